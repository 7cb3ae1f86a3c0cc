//! `ENV`.

use super::flag::Flags;
use super::pair::parse_pairs;
use super::{Directive, Pair};
use crate::diagnostic::Diagnostic;
use crate::syntax::Line;

/// `ENV name=value…` or `ENV name value`: sets variables of the container's environment. All
/// values expand against the environment before the instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Env {
    /// The variables, at least one.
    pub variables: Vec<Pair>,
}

impl Directive for Env {
    const KEYWORD: &'static str = "ENV";

    fn parse(line: &Line<'_>) -> Result<Self, Diagnostic> {
        Flags::none(line)?;
        Ok(Self { variables: parse_pairs(line)? })
    }
}
