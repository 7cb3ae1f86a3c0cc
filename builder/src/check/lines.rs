//! Offsets into lines.

use crate::diagnostic::Severity;
use crate::error::BuildError;
use crate::instruction::Statement;
use crate::syntax::{Source, Span};

/// Lines of a file, counted from 1, the last one included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineRange {
    /// The first line.
    pub first: usize,
    /// The last line.
    pub last: usize,
}

/// The lines of `source` that `error` is about; none if it is about none of them.
pub fn error_lines(error: &BuildError, source: &Source) -> Option<LineRange> {
    let span = match error {
        BuildError::Diagnostics(diagnostics) => {
            diagnostics.iter().find(|diagnostic| diagnostic.severity == Severity::Error)?.span
        }
        BuildError::Image { span, .. } => *span,
        BuildError::Step(step) => step.span,
        _ => return None,
    };
    (span != Span::default()).then(|| Lines::of(source).range(span.start, span.end))
}

/// Where the lines of a source end.
#[derive(Debug)]
pub(super) struct Lines {
    breaks: Vec<usize>,
    /// The length of the source, in bytes.
    end: usize,
}

impl Lines {
    pub(super) fn of(source: &Source) -> Lines {
        let breaks = source.text.match_indices('\n').map(|(at, _)| at).collect();
        Lines { breaks, end: source.text.len() }
    }

    /// The lines from the one that holds `start` to the one that holds what stands before `end`.
    pub(super) fn range(&self, start: usize, end: usize) -> LineRange {
        let line = |offset: usize| 1 + self.breaks.partition_point(|at| *at < offset);
        LineRange { first: line(start), last: line(end.saturating_sub(1).max(start)) }
    }

    /// The last line of all.
    pub(super) fn last(&self) -> usize {
        self.range(0, self.end).last
    }

    /// The lines of a statement, its here-documents included.
    pub(super) fn statement<I>(&self, statement: &Statement<I>) -> LineRange {
        let end = statement.heredocs.last().map_or(statement.span.end, |doc| doc.span.end + 1);
        self.range(statement.span.start, end)
    }
}
