//! The patterns of `#`, `%` and `/`: `*` and `?`, and `\` before these and before `\`, `/`, `}`.

use regex::{Regex, RegexBuilder};

use super::ExpandErrorKind;

/// A compiled pattern may take this much memory, in bytes.
const MAX_COMPILED: usize = 10 << 20;

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// `*`
    Anything,
    /// `?`
    One,
    Literal(char),
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, ExpandErrorKind> {
        let mut parts = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            parts.push(match c {
                '*' => Part::Anything,
                '?' => Part::One,
                '\\' => match chars.next() {
                    Some(c @ ('*' | '?' | '\\' | '}' | '/')) => Part::Literal(c),
                    Some(other) => return Err(ExpandErrorKind::Pattern(other)),
                    None => return Err(ExpandErrorKind::Pattern(' ')),
                },
                c => Part::Literal(c),
            });
        }
        Ok(Self { parts })
    }

    /// `value` without the start that matches.
    pub(super) fn trim_start(&self, value: &str, longest: bool) -> Result<String, ExpandErrorKind> {
        let start = self.regex(longest, true)?;
        Ok(match start.find(value) {
            Some(found) => value[found.end()..].to_owned(),
            None => value.to_owned(),
        })
    }

    /// `value` without the end that matches. The shortest match at the end is found by looking
    /// for the shortest at the start of everything reversed.
    pub(super) fn trim_end(&self, value: &str, longest: bool) -> Result<String, ExpandErrorKind> {
        let reversed = Self { parts: self.parts.iter().rev().copied().collect() };
        let value: String = value.chars().rev().collect();
        Ok(reversed.trim_start(&value, longest)?.chars().rev().collect())
    }

    /// `value` with the first match, or all, replaced by text of at most `limit` bytes in all.
    pub(super) fn replace(
        &self,
        value: &str,
        replacement: &str,
        all: bool,
        limit: usize,
    ) -> Result<String, ExpandErrorKind> {
        let mut replaced = String::new();
        let mut from = 0;
        let most = if all { usize::MAX } else { 1 };
        for found in self.regex(true, false)?.find_iter(value).take(most) {
            replaced.push_str(&value[from..found.start()]);
            replaced.push_str(replacement);
            from = found.end();
            if replaced.len() > limit {
                return Err(ExpandErrorKind::Length);
            }
        }
        replaced.push_str(&value[from..]);
        Ok(replaced)
    }

    fn regex(&self, longest: bool, anchored: bool) -> Result<Regex, ExpandErrorKind> {
        let mut text = String::from(if anchored { "^" } else { "" });
        for part in &self.parts {
            match part {
                Part::Anything if longest => text.push_str(".*"),
                Part::Anything => text.push_str(".*?"),
                Part::One => text.push('.'),
                Part::Literal(c) => text.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
            }
        }
        let built = RegexBuilder::new(&text).size_limit(MAX_COMPILED).build();
        built.map_err(|_| ExpandErrorKind::PatternTooLong)
    }
}
