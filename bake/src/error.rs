//! What is wrong with definitions.

use std::fmt;

/// What is wrong with definitions, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    message: String,
    /// The file and the line, from one.
    place: Option<(String, usize)>,
}

impl Error {
    /// Something that is wrong.
    pub(crate) fn new(message: impl Into<String>) -> Error {
        Error { message: message.into(), place: None }
    }

    /// With its place, unless it has one: the innermost says most.
    pub(crate) fn at(mut self, file: &str, line: usize) -> Error {
        self.place.get_or_insert_with(|| (file.to_owned(), line));
        self
    }

    /// With what was being done.
    pub(crate) fn within(mut self, what: &str) -> Error {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some((file, line)) => write!(f, "{file}:{line}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Error {}

/// A text as messages show it: what is too long is cut.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 200;
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}
