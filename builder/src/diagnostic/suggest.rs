//! "Did you mean …?"

/// This many wrong letters still make a typing error.
const MOST_WRONG: usize = 2;

/// The candidate that is closest to `written`, if at most two letters are wrong. Case does not
/// count; lower-case writing gets a lower-case answer.
pub fn suggest<'c>(written: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<String> {
    let folded = written.to_lowercase();
    let (distance, best) = candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(written.len()) <= MOST_WRONG)
        .map(|candidate| (distance(&folded, &candidate.to_lowercase()), candidate))
        .min_by_key(|(distance, _)| *distance)?;
    // With a word this short, two wrong letters leave nothing in common.
    if distance == 0 || distance > MOST_WRONG || distance >= best.len() {
        return None;
    }
    let lower = written.chars().all(|c| !c.is_uppercase());
    Some(if lower { best.to_lowercase() } else { best.to_owned() })
}

/// The number of letters to insert, delete, replace or swap with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before_last[j - 2] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
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
            ("RNU", Some("RUN")),
            ("WORKDIR", None),
            ("RUN", None),
        ] {
            assert_eq!(suggest(written, keywords).as_deref(), suggested, "{written}");
        }
        assert_eq!(suggest(&"R".repeat(100_000), keywords), None);
    }
}
