//! `.dockerignore`: which paths of a context are left out.
//!
//! Patterns are tried in order and the last that matches wins; `!` takes a path back in. A
//! pattern that matches a directory matches all below it, so a walk carries what matched a
//! directory to its entries ([`Ignore::check`]).

mod pattern;

use crate::glob::Glob;

use pattern::{Matcher, compile};

/// The patterns of an ignore file.
#[derive(Debug, Clone, Default)]
pub struct Ignore {
    patterns: Vec<Pattern>,
    has_exceptions: bool,
}

#[derive(Debug, Clone)]
struct Pattern {
    matcher: Matcher,
    /// Whether it takes paths back in.
    exception: bool,
    /// Its names, for finding out where it could match.
    names: Vec<Name>,
}

/// A pattern between two slashes.
#[derive(Debug, Clone)]
enum Name {
    /// It matches one name of a path.
    One(Glob),
    /// It may match any number of names (`**`, or a class, which may take a slash).
    Any,
}

/// Which patterns matched a directory; the default stands for the context's root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParentMatch {
    /// One flag per pattern, or none at the root.
    matched: Vec<bool>,
}

/// What is wrong with an ignore file.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum IgnoreError {
    /// A `!` without pattern.
    #[error("line {line}: `!` without a pattern")]
    LoneException {
        /// The line, counted from 1.
        line: usize,
    },
    /// A pattern that cannot be matched.
    #[error(
        "line {line}: `{pattern}` is no pattern: a `[` is not closed, or a `\\` or a range is incomplete"
    )]
    Pattern {
        /// The line, counted from 1.
        line: usize,
        /// The pattern.
        pattern: String,
    },
}

impl IgnoreError {
    /// Which line or pattern it is, counted from 1.
    pub(crate) fn number(&self) -> usize {
        match self {
            Self::LoneException { line } | Self::Pattern { line, .. } => *line,
        }
    }

    /// What is wrong, without the line.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::LoneException { .. } => "takes a pattern after `!`".to_owned(),
            Self::Pattern { pattern, .. } => format!("takes a pattern, and `{pattern}` is none"),
        }
    }
}

impl Ignore {
    /// Reads an ignore file. Blank lines and lines that begin with `#` mean nothing, blanks
    /// around a pattern and a `/` before it neither.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn parse(text: &str) -> Result<Self, IgnoreError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut ignore = Self::default();
        for (index, line) in text.lines().enumerate() {
            if !line.starts_with('#') {
                ignore.add(line, index + 1)?;
            }
        }
        Ok(ignore)
    }

    /// The patterns given, in the same language without comments: `COPY --exclude`.
    ///
    /// # Errors
    /// The first pattern that is wrong; its number stands for the line.
    pub fn from_patterns<'p>(
        patterns: impl IntoIterator<Item = &'p str>,
    ) -> Result<Self, IgnoreError> {
        let mut ignore = Self::default();
        for (index, pattern) in patterns.into_iter().enumerate() {
            ignore.add(pattern, index + 1)?;
        }
        Ok(ignore)
    }

    fn add(&mut self, written: &str, line: usize) -> Result<(), IgnoreError> {
        let written = written.trim();
        let (exception, body) = match written.strip_prefix('!') {
            Some(rest) => (true, rest.trim_start()),
            None => (false, written),
        };
        if body.is_empty() {
            return match exception {
                true => Err(IgnoreError::LoneException { line }),
                false => Ok(()),
            };
        }
        let cleaned = clean(body);
        let error = || IgnoreError::Pattern { line, pattern: written.to_owned() };
        let matcher = compile(&cleaned).map_err(|_| error())?;
        let names = cleaned.split('/').map(Name::parse).collect();
        self.patterns.push(Pattern { matcher, exception, names });
        self.has_exceptions |= exception;
        Ok(())
    }

    /// No pattern.
    pub(crate) const fn nothing() -> Self {
        Self { patterns: Vec::new(), has_exceptions: false }
    }

    /// Whether there is no pattern.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether a pattern takes paths back in.
    pub fn has_exceptions(&self) -> bool {
        self.has_exceptions
    }

    /// Whether `path`, relative to the context and with slashes, is left out.
    pub fn matches(&self, path: &str) -> bool {
        let mut parent = ParentMatch::default();
        let mut ignored = false;
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for end in ends {
            (ignored, parent) = self.check(&path[..end], &parent);
        }
        ignored
    }

    /// Whether `path` is left out, where `parent` is what this function returned for the
    /// directory that holds it; and the same for what `path` itself holds.
    pub fn check(&self, path: &str, parent: &ParentMatch) -> (bool, ParentMatch) {
        let mut ignored = false;
        let mut matched = vec![false; self.patterns.len()];
        for (index, pattern) in self.patterns.iter().enumerate() {
            let inherited = parent.matched.get(index).copied().unwrap_or(false);
            // A pattern is only asked if its answer could change the outcome.
            let matches =
                inherited || (pattern.exception == ignored && pattern.matcher.matches(path));
            matched[index] = matches;
            if matches {
                ignored = !pattern.exception;
            }
        }
        (ignored, ParentMatch { matched })
    }

    /// Whether something below the directory `dir`, which is left out, could be taken back in.
    /// If not, a walk need not enter it.
    pub fn may_reinclude_below(&self, dir: &str) -> bool {
        self.has_exceptions
            && self.patterns.iter().any(|pattern| pattern.exception && pattern.may_match_below(dir))
    }
}

impl Pattern {
    /// Whether a path below `dir` could match. May say yes though none does, never the reverse.
    fn may_match_below(&self, dir: &str) -> bool {
        let mut names = self.names.iter();
        for directory in dir.split('/') {
            match names.next() {
                Some(Name::Any) => return true,
                Some(Name::One(glob)) if glob.matches(directory) => {}
                _ => return false,
            }
        }
        names.next().is_some()
    }
}

impl Name {
    fn parse(text: &str) -> Self {
        match Glob::parse(text) {
            Ok(glob) if !text.contains("**") && !text.contains('[') => Self::One(glob),
            _ => Self::Any,
        }
    }
}

/// The shortest path that means the same, as Go's `filepath.Clean` has it, without the `/` at
/// its start.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." if names.last().is_some_and(|last| *last != "..") => {
                names.pop();
            }
            ".." if rooted => {}
            name => names.push(name),
        }
    }
    match names.is_empty() {
        true if rooted => "/".to_owned(),
        true => ".".to_owned(),
        false => names.join("/"),
    }
}
