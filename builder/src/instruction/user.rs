//! `USER`.

use super::Directive;
use super::flag::Flags;
use super::statement::whole_rest;
use crate::diagnostic::Diagnostic;
use crate::syntax::{Line, Word};

/// `USER user[:group]`: who runs what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Names or numbers; expands.
    pub user: Word,
}

impl Directive for User {
    const KEYWORD: &'static str = "USER";

    fn parse(line: &Line<'_>) -> Result<Self, Diagnostic> {
        Flags::none(line)?;
        Ok(Self { user: whole_rest(line)? })
    }
}
