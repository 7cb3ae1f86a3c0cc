//! `SHELL`.

use super::Directive;
use super::flag::Flags;
use crate::diagnostic::Diagnostic;
use crate::syntax::{JsonArray, Line, Word, json_strings};

/// `SHELL ["program", "argument"…]`: runs the shell forms that follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shell {
    /// The program and its arguments, at least one word; they never expand.
    pub words: Vec<Word>,
}

impl Directive for Shell {
    const KEYWORD: &'static str = "SHELL";

    fn parse(line: &Line<'_>) -> Result<Self, Diagnostic> {
        Flags::none(line)?;
        let span = line.keyword.span.to(line.rest.span());
        match json_strings(line.rest)? {
            JsonArray::Strings(words) if words.is_empty() => {
                Err(Diagnostic::error(span, "SHELL needs at least one argument"))
            }
            JsonArray::Strings(words) => Ok(Self { words }),
            JsonArray::NotJson => {
                Err(Diagnostic::error(span, "SHELL takes a JSON array of strings")
                    .help("write `SHELL [\"/bin/sh\", \"-c\"]`"))
            }
        }
    }
}
