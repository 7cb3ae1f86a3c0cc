//! Words and the variables that they are expanded with.

use crate::diagnostic::Diagnostic;
use crate::environment::{Environment, MAX_BYTES};
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

/// Sets a variable that `word` of the file says, as long as all of them are not too much.
pub(crate) fn set_variable(
    env: &mut Environment,
    name: &str,
    value: &str,
    word: &Word,
) -> Result<(), Diagnostic> {
    if !env.has_room_for(name, value) {
        let message = format!("the variables of this stage are longer than {MAX_BYTES} bytes");
        return Err(Diagnostic::error(word.span, message));
    }
    env.set(name, value);
    Ok(())
}
