//! Patterns of names: `*` stands for anything but a slash, `**` for anything.

/// A pattern of repositories or tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    /// Whether stars are stars.
    stars: bool,
}

impl Pattern {
    /// A pattern; every text is one.
    pub fn new(text: impl Into<String>) -> Pattern {
        Pattern { text: text.into(), stars: true }
    }

    /// A pattern that fits this name alone.
    pub(crate) fn exactly(name: &str) -> Pattern {
        Pattern { text: name.to_owned(), stars: false }
    }

    /// Whether it fits all of a name.
    pub fn matches(&self, name: &str) -> bool {
        if self.stars { fits(self.text.as_bytes(), name.as_bytes()) } else { self.text == name }
    }

    /// Whether it fits every name.
    pub(crate) fn is_everything(&self) -> bool {
        self.stars && self.text == "**"
    }
}

/// Looks at each star's shortest stretch first and lengthens the last one that can be lengthened.
/// `**` can always be, so nothing before it has to be tried again: the time is bounded by the
/// product of the lengths.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut single: Option<(usize, usize)> = None;
    let mut double: Option<(usize, usize)> = None;
    loop {
        if pattern[p..].starts_with(b"**") {
            p += 2;
            (single, double) = (None, Some((p, n)));
            continue;
        }
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            single = Some((p, n));
            continue;
        }
        match (pattern.get(p), name.get(n)) {
            (None, None) => return true,
            (Some(a), Some(b)) if a == b => (p, n) = (p + 1, n + 1),
            _ => {
                if let Some((after, at)) = single
                    && name.get(at).is_some_and(|b| *b != b'/')
                {
                    (p, n, single) = (after, at + 1, Some((after, at + 1)));
                } else if let Some((after, at)) = double
                    && at < name.len()
                {
                    (p, n, single, double) = (after, at + 1, None, Some((after, at + 1)));
                } else {
                    return false;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_star_stays_within_a_component() {
        for (pattern, name, expected) in [
            ("team/app", "team/app", true),
            ("team/app", "team/app2", false),
            ("team/*", "team/app", true),
            ("team/*", "team/app/x", false),
            ("team/**", "team/app/x", true),
            ("team/**", "team", false),
            ("**", "a/b/c", true),
            ("**/x", "a/b/x", true),
            ("**/x", "a/b/y", false),
            ("*-dev", "a-b-dev", true),
            ("v*.*", "v1.2.3", true),
            ("v*.*", "v1", false),
            ("a*/b*/c", "ax/by/c", true),
            ("**a*b", "a/aab", true),
            ("", "", true),
            ("*", "", true),
        ] {
            assert_eq!(Pattern::new(pattern).matches(name), expected, "{pattern} and {name}");
        }
        let long = "a".repeat(20_000);
        assert!(!Pattern::new("*a*a*a*a*a*b").matches(&long));
    }
}
