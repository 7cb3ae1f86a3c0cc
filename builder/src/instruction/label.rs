//! `LABEL`.

use super::flag::Flags;
use super::pair::parse_pairs;
use super::{Directive, Pair};
use crate::diagnostic::Diagnostic;
use crate::syntax::Line;

/// `LABEL name=value…` or `LABEL name value`: sets labels of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The labels, at least one.
    pub labels: Vec<Pair>,
}

impl Directive for Label {
    const KEYWORD: &'static str = "LABEL";

    fn parse(line: &Line<'_>) -> Result<Self, Diagnostic> {
        Flags::none(line)?;
        Ok(Self { labels: parse_pairs(line)? })
    }
}
