//! Go's `filepath.Match` on slash-separated paths: `*`, `?`, `[a-z]`, `[^a]` and `\` to escape.
//! No wildcard matches a `/`.

/// A pattern that can be matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    parts: Vec<Part>,
}

/// A pattern that cannot be matched.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no pattern: a `[` is not closed, or a `\\` or a range is incomplete")]
pub struct GlobError(pub String);

/// One step of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// `*`: any characters but `/`.
    Star,
    /// `?`: one character but `/`.
    One,
    /// `[a-z]`: one of these characters, or with `[^a-z]` none of these; never `/`.
    Class { negated: bool, ranges: Vec<(char, char)> },
    /// The character itself.
    Literal(char),
}

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// A pattern that `filepath.Match` calls bad.
    pub fn parse(pattern: &str) -> Result<Self, GlobError> {
        let mut parts = Vec::new();
        let mut rest = pattern;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            parts.push(match c {
                '*' => Part::Star,
                '?' => Part::One,
                '[' => {
                    let (class, behind) =
                        parse_class(rest).ok_or_else(|| GlobError(pattern.to_owned()))?;
                    rest = behind;
                    class
                }
                '\\' => {
                    let escaped = rest.chars().next();
                    let escaped = escaped.ok_or_else(|| GlobError(pattern.to_owned()))?;
                    rest = &rest[escaped.len_utf8()..];
                    Part::Literal(escaped)
                }
                c => Part::Literal(c),
            });
        }
        Ok(Self { parts })
    }

    /// Whether `text` may hold a wildcard at all: `*`, `?` or `[`, or an escape.
    pub fn has_meta(text: &str) -> bool {
        text.contains(['*', '?', '[', '\\'])
    }

    /// Whether all of `name` matches.
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut part, mut at) = (0, 0);
        // Where to go on when what follows the last star does not match: a later star makes
        // earlier ones' choices final, so one place is enough.
        let mut retry: Option<(usize, usize)> = None;
        loop {
            let stepped = match (self.parts.get(part), name.get(at)) {
                (None, None) => return true,
                (Some(Part::Star), _) => {
                    retry = Some((part, at));
                    part += 1;
                    continue;
                }
                (Some(step), Some(c)) => step.matches(*c),
                (Some(_), None) | (None, Some(_)) => false,
            };
            if stepped {
                part += 1;
                at += 1;
                continue;
            }
            match retry {
                Some((star, from)) if name.get(from).is_some_and(|c| *c != '/') => {
                    retry = Some((star, from + 1));
                    part = star + 1;
                    at = from + 1;
                }
                _ => return false,
            }
        }
    }
}

impl Part {
    /// Whether the part, which is no star, takes `c`.
    fn matches(&self, c: char) -> bool {
        match self {
            Self::Star => false,
            Self::One => c != '/',
            Self::Class { negated, ranges } => {
                let inside = ranges.iter().any(|(low, high)| (*low..=*high).contains(&c));
                c != '/' && inside != *negated
            }
            Self::Literal(literal) => *literal == c,
        }
    }
}

/// The class behind a `[`, and what follows it.
pub(crate) fn parse_class(text: &str) -> Option<(Part, &str)> {
    let (negated, mut rest) = match text.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut ranges = Vec::new();
    loop {
        if let Some(behind) = rest.strip_prefix(']').filter(|_| !ranges.is_empty()) {
            return Some((Part::Class { negated, ranges }, behind));
        }
        let low;
        (low, rest) = class_char(rest)?;
        let mut high = low;
        if let Some(behind) = rest.strip_prefix('-') {
            (high, rest) = class_char(behind)?;
        }
        ranges.push((low, high));
    }
}

/// A character of a class, possibly escaped. `-` and `]` must be.
fn class_char(text: &str) -> Option<(char, &str)> {
    let mut chars = text.chars();
    let c = match chars.next()? {
        '-' | ']' => return None,
        '\\' => chars.next()?,
        c => c,
    };
    // Something must follow: at least the `]`.
    (!chars.as_str().is_empty()).then_some((c, chars.as_str()))
}

#[cfg(test)]
mod tests {
    use super::Glob;

    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, name, matches) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^b-d]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("a?b", "a/b", false),
            ("a[^x]b", "a/b", false),
            ("[\\]a]", "]", true),
            ("[\\-x]", "-", true),
            ("arr[[]0].txt", "arr[0].txt", true),
            ("*x", "xxx", true),
            ("", "", true),
            ("", "a", false),
        ] {
            let glob = Glob::parse(pattern).expect(pattern);
            assert_eq!(glob.matches(name), matches, "{pattern} {name}");
        }
    }

    #[test]
    fn bad_patterns_are_refused() {
        for bad in ["[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[", "[^", "[^bc", "a[", "\\", "[a"] {
            assert!(Glob::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let glob = Glob::parse(&"a*".repeat(500)).expect("a pattern");
        assert!(!glob.matches(&format!("{}b/", "a".repeat(5_000))));
    }
}
