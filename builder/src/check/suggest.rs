//! The names that were perhaps meant.

/// This many wrong letters are too many.
const TOO_FAR: usize = 3;

/// Longer names are not compared.
const LONGEST: usize = 128;

/// More candidates are not compared.
const MOST: usize = 1000;

/// The first of the candidates that are closest to `written`; none if `written` is itself one
/// of them, or if three letters or more differ.
pub(super) fn closest<'c>(
    written: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let mut best = None;
    let mut least = TOO_FAR;
    for candidate in candidates.into_iter().take(MOST) {
        if candidate == written {
            return None;
        }
        if candidate.len().max(written.len()) > LONGEST {
            continue;
        }
        let distance = distance(written, candidate);
        if distance < least {
            (best, least) = (Some(candidate), distance);
        }
    }
    best
}

/// The number of letters to insert, delete or replace, at most [`TOO_FAR`].
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) >= TOO_FAR {
        return TOO_FAR;
    }
    // What lies further from the diagonal is too far.
    let near = |i: usize| i.saturating_sub(TOO_FAR)..(i + TOO_FAR).min(b.len());
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.iter().enumerate() {
        let mut row = vec![TOO_FAR; b.len() + 1];
        row[0] = i + 1;
        for j in near(i) {
            let replaced = last[j] + usize::from(*letter != b[j]);
            row[j + 1] = replaced.min(last[j + 1] + 1).min(row[j] + 1);
        }
        last = row;
    }
    last[b.len()].min(TOO_FAR)
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn the_first_of_the_closest_is_suggested() {
        let names = ["PATH", "fruit", "friut2", "X"];
        for (written, suggested) in [
            ("PAHT", Some("PATH")),
            ("friut", Some("friut2")),
            ("FRUIT", None),
            ("fruit", None),
            ("Y", Some("X")),
            ("unrelated", None),
            ("fruits are", None),
            ("fruitss", Some("fruit")),
            ("frui", Some("fruit")),
        ] {
            assert_eq!(closest(written, names), suggested, "{written}");
        }
    }
}
