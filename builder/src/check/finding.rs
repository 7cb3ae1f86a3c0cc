//! What a rule finds, and where findings are gathered.

use crate::diagnostic::Diagnostic;
use crate::instruction::Statement;
use crate::syntax::{Comment, Source, Span};

use super::lines::{LineRange, Lines};
use super::{Config, Rule};

/// More are not kept.
const MAX_FINDINGS: usize = 1000;

/// Something doubtful.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The rule that it breaks.
    pub rule: &'static Rule,
    /// What exactly is doubtful.
    pub detail: String,
    /// Where.
    pub span: Span,
    /// The lines of the instruction.
    pub lines: LineRange,
}

impl Finding {
    /// The finding as an error, for files that ask for that.
    pub fn to_error(&self) -> Diagnostic {
        let rule = Some(self.rule.name);
        Diagnostic { rule, ..Diagnostic::error(self.span, self.detail.clone()) }
            .help(format!("see {}", self.rule.url))
    }
}

/// The instruction that a finding is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// The instruction.
    pub(super) span: Span,
    /// Where it ends, its here-documents included.
    end: usize,
    comments: &'a [Comment],
}

impl<'a> Place<'a> {
    pub(super) fn of<I>(statement: &'a Statement<I>) -> Place<'a> {
        let span = statement.span;
        let end = statement.heredocs.last().map_or(span.end, |heredoc| heredoc.span.end + 1);
        Place { span, end, comments: &statement.comments }
    }

    /// From where to where it reaches.
    pub(super) fn extent(self) -> Extent {
        (self.span, self.end)
    }

    /// The lines that it takes.
    pub(super) fn lines(self, lines: &Lines) -> LineRange {
        lines.range(self.span.start, self.end)
    }

    /// The same place, but for comments: they belong to another instruction.
    pub(super) fn without_comments(self) -> Place<'a> {
        Place { comments: &[], ..self }
    }
}

/// Where an instruction stands, and where it ends with its here-documents.
pub(super) type Extent = (Span, usize);

/// The findings so far.
pub(super) struct Report {
    config: Config,
    lines: Lines,
    found: Vec<(Order, Finding)>,
}

/// Where a finding comes among the others: the rule's phase, then a place in the file.
type Order = (super::rules::Phase, usize);

impl Report {
    pub(super) fn new(config: Config, source: &Source) -> Report {
        Report { config, lines: Lines::of(source), found: Vec::new() }
    }

    /// Whether nothing more is taken.
    pub(super) fn is_full(&self) -> bool {
        self.found.len() >= MAX_FINDINGS
    }

    /// Adds a finding about the instruction at `place`.
    pub(super) fn add(&mut self, rule: &'static Rule, place: Place<'_>, detail: String) {
        let lines = self.lines.range(place.span.start, place.end);
        self.push(rule, place, place.span, lines, detail);
    }

    /// Adds a finding about the instruction at `earlier` that shows only when `later` is
    /// reached, whose comments count.
    pub(super) fn add_earlier(
        &mut self,
        rule: &'static Rule,
        (span, end): Extent,
        later: Place<'_>,
        detail: String,
    ) {
        let lines = self.lines.range(span.start, end);
        self.push(rule, later, span, lines, detail);
    }

    /// Adds a finding at `span`, a line that continues the instruction at `place`, whose last
    /// line stands for it; the last of the file if the instruction ends before `span`.
    pub(super) fn add_in(
        &mut self,
        rule: &'static Rule,
        place: Place<'_>,
        span: Span,
        detail: String,
    ) {
        let last = match span.start < place.span.end {
            true => self.lines.range(place.span.start, place.span.end).last,
            false => self.lines.last(),
        };
        let lines = LineRange { first: last, last };
        self.push(rule, place, span, lines, detail);
    }

    fn push(
        &mut self,
        rule: &'static Rule,
        reached: Place<'_>,
        span: Span,
        lines: LineRange,
        detail: String,
    ) {
        if self.is_full() || !self.config.runs(rule, reached.comments) {
            return;
        }
        self.found.push(((rule.phase, reached.span.start), Finding { rule, detail, span, lines }));
    }

    pub(super) fn into_findings(mut self) -> Vec<Finding> {
        self.found.sort_by_key(|(order, _)| *order);
        self.found.into_iter().map(|(_, finding)| finding).collect()
    }
}
