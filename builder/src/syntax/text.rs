//! Pieces of a logical line that know where they stood in the file.

use std::ops::Range;

use super::Span;

/// A word as an instruction carries it: not expanded, quotes and escapes kept unless its place
/// in the grammar removes them (flags, JSON strings).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Word {
    /// The word's text.
    pub text: String,
    /// Where it stood.
    pub span: Span,
}

impl Word {
    /// A word with this text that stood at `span`.
    pub fn new(text: impl Into<String>, span: Span) -> Self {
        Self { text: text.into(), span }
    }
}

/// Maps offsets in joined text to offsets in the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SourceMap {
    /// Runs of text that are contiguous in the file, ordered by both offsets.
    runs: Vec<Run>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    text: usize,
    source: usize,
}

impl SourceMap {
    /// Records that the text from offset `text` on stood at `source`.
    pub(crate) fn push(&mut self, text: usize, source: usize) {
        if self.runs.last().is_some_and(|last| last.text == text) {
            self.runs.pop();
        }
        self.runs.push(Run { text, source });
    }

    /// Where the bytes of `range` stood, continuations and comments inside it included.
    pub(crate) fn span(&self, range: Range<usize>) -> Span {
        let start = self.offset(range.start);
        if range.end <= range.start {
            return Span::new(start, start);
        }
        Span::new(start, self.offset(range.end - 1) + 1)
    }

    fn offset(&self, text: usize) -> usize {
        let index = self.runs.partition_point(|run| run.text <= text);
        let run = match index.checked_sub(1) {
            Some(index) => self.runs[index],
            None => Run { text: 0, source: 0 },
        };
        run.source + (text - run.text)
    }
}

/// A slice of a logical line.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    text: &'a str,
    /// Where `text` starts in the logical line.
    offset: usize,
    map: &'a SourceMap,
}

impl<'a> Text<'a> {
    pub(crate) fn new(text: &'a str, map: &'a SourceMap) -> Self {
        Self { text, offset: 0, map }
    }

    /// The characters.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Where it stood in the file.
    pub fn span(&self) -> Span {
        self.span_of(0..self.text.len())
    }

    /// Where the bytes of `range`, counted from this slice's start, stood in the file.
    pub fn span_of(&self, range: Range<usize>) -> Span {
        self.map.span(self.offset + range.start..self.offset + range.end)
    }

    /// The part of it at `range`, which lies on character boundaries.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        Self { text: &self.text[range.clone()], offset: self.offset + range.start, map: self.map }
    }

    /// It without white space at both ends.
    #[must_use]
    pub fn trim(&self) -> Self {
        let start = self.text.len() - self.text.trim_start().len();
        let end = self.text.trim_end().len().max(start);
        self.slice(start..end)
    }

    /// All of it as one word.
    pub fn word(&self) -> Word {
        Word::new(self.text, self.span())
    }

    /// The two sides of the first character that `separates`, which neither side keeps.
    pub fn split_once(&self, separates: impl Fn(char) -> bool) -> Option<(Self, Self)> {
        let (at, found) = self.text.char_indices().find(|(_, c)| separates(*c))?;
        Some((self.slice(0..at), self.slice(at + found.len_utf8()..self.text.len())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_over_a_continuation_covers_what_was_left_out() {
        // "ab\<newline>cd": the text "abcd" stood at 0..2 and 4..6.
        let mut map = SourceMap::default();
        map.push(0, 0);
        map.push(2, 4);
        let text = Text::new("abcd", &map);
        assert_eq!(text.slice(0..2).span(), Span::new(0, 2));
        assert_eq!(text.slice(1..3).span(), Span::new(1, 5));
        assert_eq!(text.slice(2..4).span(), Span::new(4, 6));
        assert_eq!(text.slice(4..4).span(), Span::new(6, 6));
    }
}
