//! What is wrong with a Dockerfile, and where.

mod render;
mod suggest;

use crate::syntax::Span;

pub use render::render;
pub use suggest::suggest;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file builds, and something in it is doubtful.
    Warning,
    /// The file cannot be built.
    Error,
}

/// A finding in a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it stops the build.
    pub severity: Severity,
    /// The name of the rule that a build check stands for, such as `NoEmptyContinuation`.
    pub rule: Option<&'static str>,
    /// What is wrong, in lower case and without a final period.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What is said at the caret.
    pub label: Option<String>,
    /// What is said below it, in order.
    pub footers: Vec<Footer>,
}

/// A line below a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Footer {
    /// A fact that helps to understand it.
    Note(String),
    /// What to write instead.
    Help(String),
}

impl Diagnostic {
    /// An error at `span`.
    pub fn error(span: Span, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            rule: None,
            message: message.into(),
            span,
            label: None,
            footers: Vec::new(),
        }
    }

    /// A warning of the build check `rule` at `span`.
    pub fn warning(span: Span, rule: &'static str, message: impl Into<String>) -> Self {
        let severity = Severity::Warning;
        Self { severity, rule: Some(rule), ..Self::error(span, message) }
    }

    /// With `label` at the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// With one more fact.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.footers.push(Footer::Note(note.into()));
        self
    }

    /// With one more piece of advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.footers.push(Footer::Help(help.into()));
        self
    }

    /// With the question "did you mean …?" if one of `candidates` is close to `written`.
    #[must_use]
    pub fn did_you_mean<'c>(
        self,
        written: &str,
        candidates: impl IntoIterator<Item = &'c str>,
    ) -> Self {
        match suggest(written, candidates) {
            Some(candidate) => self.label(format!("did you mean {candidate}?")),
            None => self,
        }
    }
}
