//! `CMD`.

use super::flag::Flags;
use super::{CommandLine, Directive};
use crate::diagnostic::Diagnostic;
use crate::syntax::Line;

/// `CMD command`: what a container runs, or the arguments of its entry point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cmd {
    /// The command.
    pub command: CommandLine,
}

impl Directive for Cmd {
    const KEYWORD: &'static str = "CMD";

    fn parse(line: &Line<'_>) -> Result<Self, Diagnostic> {
        Flags::none(line)?;
        Ok(Self { command: CommandLine::parse(line.rest)? })
    }
}
