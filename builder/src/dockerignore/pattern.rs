//! One pattern of an ignore file, compiled.

use regex::{Regex, RegexBuilder};

use crate::glob::{Glob, GlobError, Part, parse_class};

/// A compiled pattern may take this much memory, in bytes.
const MAX_COMPILED: usize = 10 << 20;

/// How a pattern is matched: by comparison where that is enough.
#[derive(Debug, Clone)]
pub(super) enum Matcher {
    /// No wildcard: the path itself.
    Exact(String),
    /// `dir/**`: what begins with this.
    Prefix(String),
    /// `**/name`, `**.md`: what ends with this; or is it, but for a leading `/`.
    Suffix(String),
    /// All else.
    Regex(Regex),
}

impl Matcher {
    pub(super) fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) => path.starts_with(prefix.as_str()),
            Self::Suffix(suffix) => {
                path.ends_with(suffix.as_str())
                    || suffix.strip_prefix('/').is_some_and(|name| path == name)
            }
            Self::Regex(regex) => regex.is_match(path),
        }
    }
}

/// What kind of pattern it has been so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Exact,
    Prefix,
    Suffix,
    Regex,
}

/// Compiles a cleaned pattern. Three rules are peculiar: `**` eats the `/` behind it and may
/// stand for nothing; at the very start it makes the rest a suffix, so that `**.md` is
/// `**/*.md`; at the very end it stands for anything.
pub(super) fn compile(pattern: &str) -> Result<Matcher, GlobError> {
    Glob::parse(pattern)?;
    let bad = || GlobError(pattern.to_owned());
    let mut kind = Kind::Exact;
    let mut regex = String::from("^");
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let first = rest.len() == pattern.len();
        rest = &rest[c.len_utf8()..];
        match c {
            '*' if rest.starts_with('*') => {
                rest = &rest[1..];
                rest = rest.strip_prefix('/').unwrap_or(rest);
                kind = match (first, rest.is_empty(), kind) {
                    (true, ..) => Kind::Suffix,
                    (false, true, Kind::Exact) => Kind::Prefix,
                    _ => Kind::Regex,
                };
                regex.push_str(if rest.is_empty() { ".*" } else { "(.*/)?" });
            }
            '*' => {
                regex.push_str("[^/]*");
                kind = Kind::Regex;
            }
            '?' => {
                regex.push_str("[^/]");
                kind = Kind::Regex;
            }
            '[' => {
                let (class, behind) = parse_class(rest).ok_or_else(bad)?;
                push_class(&mut regex, &class);
                rest = behind;
                kind = Kind::Regex;
            }
            '\\' => {
                let escaped = rest.chars().next().ok_or_else(bad)?;
                rest = &rest[escaped.len_utf8()..];
                regex.push_str(&regex::escape(escaped.encode_utf8(&mut [0; 4])));
                kind = Kind::Regex;
            }
            c => regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    Ok(match kind {
        Kind::Exact => Matcher::Exact(pattern.to_owned()),
        Kind::Prefix => Matcher::Prefix(pattern.trim_end_matches("**").to_owned()),
        Kind::Suffix => Matcher::Suffix(pattern[2..].to_owned()),
        Kind::Regex => {
            regex.push('$');
            let built = RegexBuilder::new(&regex).size_limit(MAX_COMPILED).build();
            Matcher::Regex(built.map_err(|_| bad())?)
        }
    })
}

/// A class as a regular expression writes it. Unlike that of `filepath.Match` it takes `/` where
/// it is negated.
fn push_class(regex: &mut String, class: &Part) {
    let Part::Class { negated, ranges } = class else { return };
    regex.push_str(if *negated { "[^" } else { "[" });
    for (low, high) in ranges.iter().filter(|(low, high)| low <= high) {
        regex.push_str(&format!("\\x{{{:x}}}-\\x{{{:x}}}", u32::from(*low), u32::from(*high)));
    }
    // An empty class would not compile; this one matches nothing that is a path.
    regex.push_str("\\x00]");
}
