//! Variables, quotes and escapes in words.
//!
//! The grammar is the shell's as far as Dockerfiles have it: `$x`, `${x}`, and in braces the
//! operators `:-` `-` `:+` `+` `:?` `?` `#` `##` `%` `%%` `/` `//`, whose words expand in turn.
//! Which variables a word sees is the caller's choice: one instruction sees one snapshot.

mod expander;
mod pattern;
mod words;

use std::collections::BTreeSet;

use crate::diagnostic::Diagnostic;
use crate::syntax::{Escape, Span, Word};

use expander::Expander;

/// Where variables come from: the value of a name that is set.
pub type Lookup<'e> = dyn Fn(&str) -> Option<String> + 'e;

/// What a word expanded into.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expansion {
    /// All of it as one text.
    pub text: String,
    /// It split at white space that was neither quoted nor escaped, the values' own included.
    pub words: Vec<String>,
    /// The names that were looked up and are set.
    pub used: BTreeSet<String>,
    /// The names that were looked up and are not set.
    pub unset: BTreeSet<String>,
}

/// What quotes and escapes become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They are removed: a word of an instruction.
    Word,
    /// Quotes are text, and escapes are removed: the body of a here-document.
    Heredoc,
    /// Quotes are kept, and what is not set stays as it is written: a command that is shown.
    Display,
}

/// Why a word cannot be expanded.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{kind}")]
pub struct ExpandError {
    /// What is wrong.
    pub kind: ExpandErrorKind,
    /// Where in the word, in bytes.
    pub at: usize,
}

/// What is wrong with a word.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExpandErrorKind {
    /// A quote is not closed.
    #[error("the quote {0} is not closed")]
    Quote(char),
    /// A brace is not closed.
    #[error("the `${{` is not closed: a `}}` is missing")]
    Brace,
    /// The `/` between a pattern and its replacement is missing.
    #[error("the `/` behind the pattern is missing: write `${{name/pattern/replacement}}`")]
    Slash,
    /// No name follows `${`.
    #[error("no name follows `${{`")]
    Name,
    /// The operator does not exist.
    #[error("`{0}` is no operator of `${{…}}`")]
    Operator(String),
    /// The variable must be set, or must not be empty: `${name:?message}`.
    #[error("{name}: {message}")]
    Required {
        /// The variable.
        name: String,
        /// What the word says about it.
        message: String,
    },
    /// A pattern escapes what needs no escape.
    #[error("`\\{0}` is no escape of a pattern")]
    Pattern(char),
    /// A pattern is too large to be compiled.
    #[error("the pattern is too long")]
    PatternTooLong,
    /// Operators nest too deeply.
    #[error("more than {MAX_DEPTH} `${{…}}` in each other")]
    Depth,
    /// The result is too long.
    #[error("variables bring more than {MAX_LENGTH} bytes to one word")]
    Length,
}

/// How deeply `${…}` may nest.
pub const MAX_DEPTH: usize = 64;

/// How many bytes variables may bring to one word, to those nested in it included: far more than a
/// process takes in one argument, and too little for a file of words to fill all memory.
pub const MAX_LENGTH: usize = 1 << 20;

/// Expands `word`.
///
/// # Errors
/// See [`ExpandErrorKind`].
pub fn expand(
    word: &str,
    env: &Lookup<'_>,
    escape: Escape,
    mode: Mode,
) -> Result<Expansion, ExpandError> {
    Expander::new(word, env, escape.as_char(), mode).run()
}

/// The text that `word` expands into.
///
/// # Errors
/// See [`ExpandErrorKind`].
pub fn expand_word(word: &str, env: &Lookup<'_>, escape: Escape) -> Result<String, ExpandError> {
    expand(word, env, escape, Mode::Word).map(|expansion| expansion.text)
}

/// The words that `word` expands into: any number, also none.
///
/// # Errors
/// See [`ExpandErrorKind`].
pub fn expand_words(
    word: &str,
    env: &Lookup<'_>,
    escape: Escape,
) -> Result<Vec<String>, ExpandError> {
    expand(word, env, escape, Mode::Word).map(|expansion| expansion.words)
}

/// The text that the body of a here-document expands into. It escapes with `\`, whatever the
/// file's escape character is.
///
/// # Errors
/// See [`ExpandErrorKind`].
pub fn expand_heredoc(body: &str, env: &Lookup<'_>) -> Result<String, ExpandError> {
    expand(body, env, Escape::Backslash, Mode::Heredoc).map(|expansion| expansion.text)
}

impl ExpandError {
    /// The error as a diagnostic that points into `word`.
    pub fn in_word(&self, word: &Word) -> Diagnostic {
        let Span { start, end } = word.span;
        // A word with quotes removed, or over a continuation, cannot be pointed into.
        let exact = end - start == word.text.len();
        let span = if exact { Span::new((start + self.at).min(end), end) } else { word.span };
        Diagnostic::error(span, self.kind.to_string())
    }
}
