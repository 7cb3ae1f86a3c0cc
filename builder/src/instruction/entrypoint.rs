//! `ENTRYPOINT`.

use super::flag::Flags;
use super::{CommandLine, Directive};
use crate::diagnostic::Diagnostic;
use crate::syntax::Line;

/// `ENTRYPOINT command`: what a container always runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entrypoint {
    /// The command.
    pub command: CommandLine,
}

impl Directive for Entrypoint {
    const KEYWORD: &'static str = "ENTRYPOINT";

    fn parse(line: &Line<'_>) -> Result<Self, Diagnostic> {
        Flags::none(line)?;
        Ok(Self { command: CommandLine::parse(line.rest)? })
    }
}
