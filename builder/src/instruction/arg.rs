//! `ARG`.

use super::Directive;
use super::flag::Flags;
use crate::diagnostic::Diagnostic;
use crate::syntax::{Line, Text, Word, quoted_words};

/// `ARG name[=default]…`: declares build arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arg {
    /// The arguments, at least one.
    pub arguments: Vec<ArgDefinition>,
}

/// One build argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgDefinition {
    /// The name; expands.
    pub name: Word,
    /// The default; expands. None inherits a global argument's value.
    pub default: Option<Word>,
}

impl Directive for Arg {
    const KEYWORD: &'static str = "ARG";

    fn parse(line: &Line<'_>) -> Result<Self, Diagnostic> {
        Flags::none(line)?;
        let words = quoted_words(line.rest, line.escape);
        if words.is_empty() {
            let message = "ARG needs at least one argument";
            return Err(Diagnostic::error(line.keyword.span, message));
        }
        let arguments = words.into_iter().map(ArgDefinition::parse).collect::<Result<_, _>>()?;
        Ok(Self { arguments })
    }
}

impl ArgDefinition {
    fn parse(word: Text<'_>) -> Result<Self, Diagnostic> {
        let Some((name, default)) = word.split_once(|c| c == '=') else {
            return Ok(Self { name: word.word(), default: None });
        };
        if name.is_empty() {
            return Err(Diagnostic::error(word.span(), "the name of a build argument is blank"));
        }
        Ok(Self { name: name.word(), default: Some(default.word()) })
    }
}
