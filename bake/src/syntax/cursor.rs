//! A place in a text that is read.

use std::rc::Rc;

use super::{Expression, Kind, MAX_DEPTH};
use crate::{Error, Result};

/// Where the reading is.
pub(super) struct Cursor<'a> {
    pub(super) file: Rc<str>,
    pub(super) text: &'a str,
    pub(super) at: usize,
    /// The line that the text begins in, from one.
    pub(super) first_line: usize,
    /// Whether the end of a line is a space like others: between brackets it is.
    pub(super) spans_lines: bool,
    pub(super) depth: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(file: Rc<str>, text: &'a str, first_line: usize, depth: usize) -> Cursor<'a> {
        Cursor { file, text, at: 0, first_line, spans_lines: false, depth }
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn line(&self) -> usize {
        self.line_at(self.at)
    }

    fn line_at(&self, at: usize) -> usize {
        self.first_line + self.text[..at].bytes().filter(|byte| *byte == b'\n').count()
    }

    pub(super) fn error<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(Error::new(message).at(&self.file, self.line()))
    }

    pub(super) fn node(&self, kind: Kind, line: usize) -> Expression {
        Expression { kind, file: self.file.clone(), line }
    }

    /// Goes over spaces and comments.
    pub(super) fn skip(&mut self) -> Result<()> {
        loop {
            let rest = self.rest();
            match rest.chars().next() {
                Some(' ' | '\t' | '\r') => self.at += 1,
                Some('\n') if self.spans_lines => self.at += 1,
                Some('#') => self.skip_line(),
                Some('/') if rest.starts_with("//") => self.skip_line(),
                Some('/') if rest.starts_with("/*") => match rest.find("*/") {
                    Some(end) => self.at += end + 2,
                    None => return self.error("a comment has no end"),
                },
                _ => return Ok(()),
            }
        }
    }

    /// Goes over spaces, comments and line ends.
    pub(super) fn skip_lines(&mut self) -> Result<()> {
        let before = std::mem::replace(&mut self.spans_lines, true);
        let skipped = self.skip();
        self.spans_lines = before;
        skipped
    }

    fn skip_line(&mut self) {
        self.at += self.rest().find('\n').unwrap_or(self.rest().len());
    }

    /// Goes over `word` if it comes next.
    pub(super) fn take(&mut self, word: &str) -> bool {
        let is_next = self.rest().starts_with(word);
        if is_next {
            self.at += word.len();
        }
        is_next
    }

    pub(super) fn expect(&mut self, word: &str) -> Result<()> {
        self.skip()?;
        match self.take(word) {
            true => Ok(()),
            false => self.error(format!("`{word}` is missing here")),
        }
    }

    /// A name, if one comes next.
    pub(super) fn identifier(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        if !rest.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            return None;
        }
        let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        self.at += end;
        Some(&rest[..end])
    }

    /// Goes over a word that stands alone.
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let before = self.at;
        let found = self.identifier() == Some(word);
        if !found {
            self.at = before;
        }
        found
    }

    /// Reads with line ends as spaces, or not.
    pub(super) fn across_lines<T>(
        &mut self,
        spans_lines: bool,
        read: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let before = std::mem::replace(&mut self.spans_lines, spans_lines);
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.error("it is nested too deeply");
        }
        let result = read(self);
        self.depth -= 1;
        self.spans_lines = before;
        result
    }
}
