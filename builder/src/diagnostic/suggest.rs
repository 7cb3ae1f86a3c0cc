//! "Did you mean …?"

/// Words longer than this are nobody's typing error.
const LONGEST: usize = 32;

/// The candidate that is closest to `written`, if at most two letters are wrong. Case does not
/// count; lower-case writing gets a lower-case answer.
pub fn suggest<'c>(written: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<String> {
    if written.chars().count() > LONGEST {
        return None;
    }
    let folded = written.to_lowercase();
    let (distance, best) = candidates
        .into_iter()
        .map(|candidate| (distance(&folded, &candidate.to_lowercase()), candidate))
        .min_by_key(|(distance, _)| *distance)?;
    // With a word this short, two wrong letters leave nothing in common.
    if distance == 0 || distance > 2 || distance >= best.len() {
        return None;
    }
    let lower = written.chars().all(|c| !c.is_uppercase());
    Some(if lower { best.to_lowercase() } else { best.to_owned() })
}

/// The number of letters to insert, delete or replace.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::suggest;

    #[test]
    fn close_words_are_suggested_in_the_case_of_the_writer() {
        let keywords = ["RUN", "COPY", "ENV", "ENTRYPOINT"];
        for (written, suggested) in [
            ("RUNN", Some("RUN")),
            ("runn", Some("run")),
            ("ENTRYPONT", Some("ENTRYPOINT")),
            ("CPOY", Some("COPY")),
            ("WORKDIR", None),
            ("RUN", None),
        ] {
            assert_eq!(suggest(written, keywords).as_deref(), suggested, "{written}");
        }
        assert_eq!(suggest(&"R".repeat(100_000), keywords), None);
    }
}
