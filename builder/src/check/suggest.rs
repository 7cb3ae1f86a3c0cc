//! The names that were perhaps meant.

/// This many wrong letters are too many.
const TOO_FAR: usize = 3;

/// Longer names are not compared: comparing takes the product of the lengths.
const LONGEST: usize = 256;

/// The first of the candidates that are closest to `written`; none if `written` is itself one
/// of them, or if three letters or more differ.
pub(super) fn closest<'c>(
    written: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let mut best = None;
    let mut least = TOO_FAR;
    for candidate in candidates {
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

/// The number of letters to insert, delete or replace.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) >= TOO_FAR {
        return TOO_FAR;
    }
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, other) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(letter != other);
            row.push(replaced.min(last[j + 1] + 1).min(row[j] + 1));
        }
        last = row;
    }
    last[b.len()]
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
        ] {
            assert_eq!(closest(written, names), suggested, "{written}");
        }
    }
}
