//! The command of RUN, CMD, ENTRYPOINT and HEALTHCHECK.

use crate::diagnostic::Diagnostic;
use crate::syntax::{JsonArray, Text, Word, json_strings};

/// A command in one of its two forms. Variables in it are the shell's, never expanded here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandLine {
    /// Text for the shell, possibly empty.
    Shell(Word),
    /// The arguments of a process, from a JSON array; possibly none.
    Exec(Vec<Word>),
}

impl CommandLine {
    /// Reads a command: a JSON array of strings is the exec form, all else the shell form.
    pub(super) fn parse(text: Text<'_>) -> Result<Self, Diagnostic> {
        match json_strings(text)? {
            JsonArray::Strings(words) => Ok(Self::Exec(words)),
            JsonArray::NotJson => Ok(Self::Shell(text.word())),
        }
    }

    /// Whether there is no command at all.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Shell(word) => word.text.is_empty(),
            Self::Exec(words) => words.is_empty(),
        }
    }
}
