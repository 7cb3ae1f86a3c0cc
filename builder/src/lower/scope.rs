//! Words and the variables that they are expanded with.

use crate::diagnostic::Diagnostic;
use crate::environment::Environment;
use crate::expand;
use crate::syntax::{Escape, Heredoc, Word};

/// The variables as one instruction sees them: all of its words see the same.
pub(crate) struct Scope<'a> {
    /// The variables.
    pub(crate) env: &'a Environment,
    /// The character that takes a meaning away.
    pub(crate) escape: Escape,
}

impl Scope<'_> {
    /// One word into one.
    pub(crate) fn word(&self, word: &Word) -> Result<String, Diagnostic> {
        expand::expand_word(&word.text, &|name| self.get(name), self.escape)
            .map_err(|error| error.in_word(word))
    }

    /// One word into any number of them.
    pub(crate) fn words(&self, word: &Word) -> Result<Vec<String>, Diagnostic> {
        expand::expand_words(&word.text, &|name| self.get(name), self.escape)
            .map_err(|error| error.in_word(word))
    }

    /// The body of a here-document.
    pub(crate) fn heredoc(&self, heredoc: &Heredoc) -> Result<String, Diagnostic> {
        let body = heredoc.body();
        if !heredoc.expand {
            return Ok(body.into_owned());
        }
        expand::expand_heredoc(&body, &|name| self.get(name))
            .map_err(|error| Diagnostic::error(heredoc.word.span, error.to_string()))
    }

    fn get(&self, name: &str) -> Option<String> {
        self.env.get(name).map(str::to_owned)
    }
}
