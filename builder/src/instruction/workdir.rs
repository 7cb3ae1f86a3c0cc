//! `WORKDIR`.

use super::Directive;
use super::flag::Flags;
use super::statement::whole_rest;
use crate::diagnostic::Diagnostic;
use crate::syntax::{Line, Word};

/// `WORKDIR path`: the working directory from here on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workdir {
    /// The directory, relative to the one before; expands. Blanks belong to it.
    pub path: Word,
}

impl Directive for Workdir {
    const KEYWORD: &'static str = "WORKDIR";

    fn parse(line: &Line<'_>) -> Result<Self, Diagnostic> {
        Flags::none(line)?;
        Ok(Self { path: whole_rest(line)? })
    }
}
