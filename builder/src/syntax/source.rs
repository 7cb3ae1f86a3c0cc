//! A named text and the places in it.

use std::ops::Range;

/// The text of a Dockerfile (or of one trigger, or one `--change`) and the name to call it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What messages call it: usually the path as the user wrote it.
    pub name: String,
    /// The whole text, a byte order mark included.
    pub text: String,
    /// The parts that were put together, in order; none if all of it is one file.
    parts: Vec<Part>,
}

/// A part of a text that stood in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    /// Where it starts in the text.
    start: usize,
    /// The file's name.
    name: String,
    /// The line there that it starts in.
    line: usize,
}

/// Bytes that cannot be a Dockerfile.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceError {
    /// The bytes are not UTF-8.
    #[error("{name}:{line}: the text is not valid UTF-8 (byte {offset} of the file)")]
    NotUtf8 {
        /// The name of the source.
        name: String,
        /// The line of the first wrong byte, counted from 1.
        line: usize,
        /// The offset of the first wrong byte.
        offset: usize,
    },
}

/// A range of bytes in a [`Source`]'s text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// The offset of the first byte.
    pub start: usize,
    /// The offset after the last byte.
    pub end: usize,
}

/// A place as people count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
}

/// A line and where it stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlacedLine<'a> {
    /// The name of its file.
    pub file: &'a str,
    /// Its number there, from 1.
    pub number: usize,
    /// What it says.
    pub text: &'a str,
}

impl Source {
    /// A source from text that is known to be text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into(), parts: Vec::new() }
    }

    /// A source from the bytes of a file.
    ///
    /// # Errors
    /// [`SourceError::NotUtf8`] names the first byte that is not UTF-8.
    pub fn from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Result<Self, SourceError> {
        let name = name.into();
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(name, text)),
            Err(error) => {
                let offset = error.utf8_error().valid_up_to();
                let before = &error.as_bytes()[..offset];
                let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
                Err(SourceError::NotUtf8 { name, line, offset })
            }
        }
    }

    /// Where `offset` lies, an offset behind the end counting as the end.
    pub fn position(&self, offset: usize) -> Position {
        let (start, first) = self.part_at(offset).map_or((0, 1), |part| (part.start, part.line));
        let before = &self.text[..self.text.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position {
            line: first + before[start..].bytes().filter(|byte| *byte == b'\n').count(),
            column: 1 + before[line_start..].chars().count(),
        }
    }

    /// All lines, without their ends, the last one included, each with its place.
    pub fn lines(&self) -> Vec<PlacedLine<'_>> {
        let mut parts = self.parts.iter().peekable();
        let (mut file, mut number, mut start) = (self.name.as_str(), 1, 0);
        let mut lines = Vec::new();
        for text in self.text.split('\n') {
            while let Some(part) = parts.next_if(|part| part.start <= start) {
                let since = &self.text[part.start..start];
                (file, number) = (&part.name, part.line + since.matches('\n').count());
            }
            start += text.len() + 1;
            lines.push(PlacedLine { file, number, text: text.strip_suffix('\r').unwrap_or(text) });
            number += 1;
        }
        lines
    }

    /// The name of the file that `offset` stood in.
    pub fn name_at(&self, offset: usize) -> &str {
        self.part_at(offset).map_or(&self.name, |part| &part.name)
    }

    /// Where the part starts that holds `offset`.
    pub(crate) fn start_of_part(&self, offset: usize) -> usize {
        self.part_at(offset).map_or(0, |part| part.start)
    }

    fn part_at(&self, offset: usize) -> Option<&Part> {
        let offset = offset.min(self.text.len());
        let behind = self.parts.partition_point(|part| part.start <= offset);
        self.parts[..behind].last()
    }

    /// Adds the text under `span` of another source.
    pub(crate) fn append(&mut self, other: &Source, span: Span) {
        let text = other.slice(span);
        if text.is_empty() {
            return;
        }
        let name = other.name_at(span.start).to_owned();
        let line = other.position(span.start).line;
        let end = self.text.len();
        let goes_on =
            !self.parts.is_empty() && self.name_at(end) == name && self.position(end).line == line;
        if !goes_on {
            self.parts.push(Part { start: end, name, line });
        }
        self.text.push_str(text);
    }

    /// The line that holds `offset`, without its end.
    pub(crate) fn line_of(&self, offset: usize) -> &str {
        let offset = self.text.floor_char_boundary(offset);
        let start = self.text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
        let end = self.text[offset..].find('\n').map_or(self.text.len(), |n| offset + n);
        &self.text[start..end]
    }

    /// The text under `span`, cut to what there is.
    pub fn slice(&self, span: Span) -> &str {
        let end = self.text.floor_char_boundary(span.end);
        let start = self.text.floor_char_boundary(span.start).min(end);
        &self.text[start..end]
    }
}

impl Span {
    /// The span from `start` up to `end`.
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The span that covers both.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Self { start: range.start, end: range.end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_utf8_are_refused_with_their_line() {
        let error = Source::from_bytes("Dockerfile", b"FROM a\nRUN \xff\n".to_vec()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Dockerfile:2: the text is not valid UTF-8 (byte 11 of the file)"
        );
    }

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let source = Source::new("Dockerfile", "a\n안녕b\n");
        assert_eq!(source.position(0), Position { line: 1, column: 1 });
        assert_eq!(source.position(8), Position { line: 2, column: 3 });
        assert_eq!(source.position(999), Position { line: 3, column: 1 });
    }
}
