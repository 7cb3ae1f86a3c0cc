//! Physical lines into logical ones.

use std::ops::Range;

use super::heredoc::openings;
use super::text::SourceMap;
use super::{Directives, Escape, Heredoc, Line, Source, Span, Text};
use crate::diagnostic::Diagnostic;

/// A line with its continuations joined: no comment, not blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogicalLine {
    /// The joined text. Blanks in front of it are gone, blanks at its end are kept.
    pub text: String,
    /// Where the text stood, from its first to its last byte.
    pub span: Span,
    /// The comments right above.
    pub comments: Vec<Comment>,
    /// The here-documents that it begins.
    pub heredocs: Vec<Heredoc>,
    /// The blank lines inside it, which a later version of the language may refuse.
    pub blank_continuations: Vec<Span>,
    /// The file's escape character.
    pub escape: Escape,
    pub(crate) map: SourceMap,
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// What follows the `#`, blanks at both ends removed.
    pub text: String,
    /// Where it stood, `#` included.
    pub span: Span,
}

/// The logical lines of a source, in order.
pub struct LogicalLines<'a, F> {
    source: &'a Source,
    directives: &'a Directives,
    takes_heredocs: F,
    /// Where the next physical line starts.
    at: usize,
    comments: Vec<Comment>,
}

impl<'a, F: Fn(&Line<'_>) -> bool> LogicalLines<'a, F> {
    /// The lines of `source` behind its directives. `takes_heredocs` says for which lines `<<`
    /// begins a here-document.
    pub fn new(source: &'a Source, directives: &'a Directives, takes_heredocs: F) -> Self {
        let bom = if source.text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let at = directives.end.max(bom);
        Self { source, directives, takes_heredocs, at, comments: Vec::new() }
    }

    /// The next physical line with its line break.
    fn next_physical(&mut self) -> Option<Range<usize>> {
        let rest = self.source.text.get(self.at..).filter(|rest| !rest.is_empty())?;
        let length = rest.find('\n').map_or(rest.len(), |newline| newline + 1);
        let start = self.at;
        self.at += length;
        Some(start..self.at)
    }

    /// `range` without the line break at its end.
    fn without_break(&self, range: Range<usize>) -> Range<usize> {
        let text = &self.source.text[range.clone()];
        range.start..range.start + text.trim_end_matches(['\r', '\n']).len()
    }

    /// `range` without white space at its start.
    fn without_indent(&self, range: Range<usize>) -> Range<usize> {
        let text = &self.source.text[range.clone()];
        range.end - text.trim_start().len()..range.end
    }

    /// `range` without the escape character that continues the line, and whether it had one. An
    /// escape character right before it makes it text.
    fn without_continuation(&self, range: Range<usize>) -> (Range<usize>, bool) {
        let escape = self.directives.escape.as_char();
        let text = self.source.text[range.clone()].trim_end_matches([' ', '\t']);
        match text.strip_suffix(escape) {
            Some(kept) if !kept.ends_with(escape) => (range.start..range.start + kept.len(), true),
            _ => (range, false),
        }
    }

    fn note_comment(&mut self, range: Range<usize>) {
        let text = self.source.text[range.start + 1..range.end].trim().to_owned();
        if text.is_empty() {
            self.comments.clear();
        } else {
            self.comments.push(Comment { text, span: range.into() });
        }
    }

    /// Joins the lines that continue the one at `first`.
    fn join(&mut self, first: Range<usize>) -> LogicalLine {
        let mut line = LogicalLine {
            text: String::new(),
            span: Span::default(),
            comments: std::mem::take(&mut self.comments),
            heredocs: Vec::new(),
            blank_continuations: Vec::new(),
            escape: self.directives.escape,
            map: SourceMap::default(),
        };
        let (content, mut continued) = self.without_continuation(first);
        line.push(self.source, content);
        while continued {
            let Some(physical) = self.next_physical() else { break };
            let body = self.without_break(physical);
            let indented = self.without_indent(body.clone());
            if indented.is_empty() {
                line.blank_continuations.push(body.into());
            } else if !self.source.text[indented].starts_with('#') {
                let content;
                (content, continued) = self.without_continuation(body);
                line.push(self.source, content);
            }
        }
        line.span = line.map.span(0..line.text.trim_end().len());
        line
    }

    /// Reads the bodies of the here-documents that `line` begins.
    fn read_heredocs(&mut self, line: &mut LogicalLine) -> Result<(), Diagnostic> {
        if !line.text.contains("<<") || !(self.takes_heredocs)(&line.split()) {
            return Ok(());
        }
        for (range, opening) in openings(&line.text) {
            let word = Text::new(&line.text, &line.map).slice(range).word();
            let start = self.at;
            let Some(end) = self.find_end(&opening.name, opening.strip_tabs) else {
                let message = format!("the here-document `{}` does not end", opening.name);
                return Err(Diagnostic::error(word.span, message).help(format!(
                    "end it with a line that is `{}` and nothing else",
                    opening.name
                )));
            };
            line.heredocs.push(Heredoc {
                name: opening.name,
                expand: opening.expand,
                strip_tabs: opening.strip_tabs,
                descriptor: opening.descriptor,
                word,
                content: self.source.text[start..end].to_owned(),
                span: Span::new(start, end),
            });
        }
        Ok(())
    }

    /// Goes past the line that is `name`; where that line starts.
    fn find_end(&mut self, name: &str, strip_tabs: bool) -> Option<usize> {
        while let Some(physical) = self.next_physical() {
            let text = &self.source.text[self.without_break(physical.clone())];
            let text = if strip_tabs { text.trim_start_matches('\t') } else { text };
            if text == name {
                return Some(physical.start);
            }
        }
        None
    }
}

impl<F: Fn(&Line<'_>) -> bool> Iterator for LogicalLines<'_, F> {
    type Item = Result<LogicalLine, Diagnostic>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let physical = self.next_physical()?;
            let body = self.without_indent(self.without_break(physical));
            if self.source.text[body.clone()].starts_with('#') {
                self.note_comment(body);
                continue;
            }
            if body.is_empty() {
                continue;
            }
            let mut line = self.join(body);
            if line.text.trim().is_empty() {
                continue;
            }
            return Some(self.read_heredocs(&mut line).map(|()| line));
        }
    }
}

impl LogicalLine {
    fn push(&mut self, source: &Source, range: Range<usize>) {
        if !range.is_empty() {
            self.map.push(self.text.len(), range.start);
            self.text.push_str(&source.text[range]);
        }
    }
}
