//! `MAINTAINER`.

use super::Directive;
use super::flag::Flags;
use super::statement::whole_rest;
use crate::diagnostic::Diagnostic;
use crate::syntax::{Line, Word};

/// `MAINTAINER name`: the author of the image. Deprecated for the label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maintainer {
    /// The author; never expands.
    pub name: Word,
}

impl Directive for Maintainer {
    const KEYWORD: &'static str = "MAINTAINER";

    fn parse(line: &Line<'_>) -> Result<Self, Diagnostic> {
        Flags::none(line)?;
        Ok(Self { name: whole_rest(line)? })
    }
}
