//! `VOLUME`.

use super::Directive;
use super::flag::Flags;
use crate::diagnostic::Diagnostic;
use crate::syntax::{JsonArray, Line, Word, blank_separated, json_strings};

/// `VOLUME path…` or `VOLUME ["path", …]`: mount points of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// The paths, at least one; they expand.
    pub paths: Vec<Word>,
}

impl Directive for Volume {
    const KEYWORD: &'static str = "VOLUME";

    fn parse(line: &Line<'_>) -> Result<Self, Diagnostic> {
        Flags::none(line)?;
        let paths = match json_strings(line.rest)? {
            JsonArray::Strings(words) => words,
            JsonArray::NotJson => blank_separated(line.rest),
        };
        if paths.is_empty() {
            let message = "VOLUME needs at least one argument";
            return Err(Diagnostic::error(line.keyword.span.to(line.rest.span()), message));
        }
        let paths: Vec<Word> = paths.iter().map(trimmed).collect();
        match paths.iter().find(|path| path.text.is_empty()) {
            Some(blank) => Err(Diagnostic::error(blank.span, "a path of VOLUME is blank")),
            None => Ok(Self { paths }),
        }
    }
}

fn trimmed(word: &Word) -> Word {
    Word::new(word.text.trim(), word.span)
}
