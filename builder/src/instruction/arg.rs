//! `ARG`.

use super::Directive;
use super::flag::Flags;
use super::pair::split_span;
use crate::diagnostic::Diagnostic;
use crate::syntax::{Line, Word, quoted_words};

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
    fn parse(word: Word) -> Result<Self, Diagnostic> {
        let Some((name, default)) = word.text.split_once('=') else {
            return Ok(Self { name: word, default: None });
        };
        if name.is_empty() {
            return Err(Diagnostic::error(word.span, "the name of a build argument is blank"));
        }
        let (name_span, default_span) = split_span(&word, name.len());
        let default = Some(Word::new(default, default_span));
        Ok(Self { name: Word::new(name, name_span), default })
    }
}
