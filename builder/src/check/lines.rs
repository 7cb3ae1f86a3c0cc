//! Offsets into lines.

use crate::instruction::Statement;
use crate::syntax::Source;

/// Lines of a file, counted from 1, the last one included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineRange {
    /// The first line.
    pub first: usize,
    /// The last line.
    pub last: usize,
}

/// Where the lines of a source end.
#[derive(Debug)]
pub(super) struct Lines {
    breaks: Vec<usize>,
}

impl Lines {
    pub(super) fn of(source: &Source) -> Lines {
        Lines { breaks: source.text.match_indices('\n').map(|(at, _)| at).collect() }
    }

    /// The lines from the one that holds `start` to the one that holds what stands before `end`.
    pub(super) fn range(&self, start: usize, end: usize) -> LineRange {
        let line = |offset: usize| 1 + self.breaks.partition_point(|at| *at < offset);
        LineRange { first: line(start), last: line(end.saturating_sub(1).max(start)) }
    }

    /// The lines of a statement, its here-documents included.
    pub(super) fn statement<I>(&self, statement: &Statement<I>) -> LineRange {
        let end = statement.heredocs.last().map_or(statement.span.end, |doc| doc.span.end + 1);
        self.range(statement.span.start, end)
    }
}
