//! `WORKDIR`.

use super::Directive;
use super::copy::check_chmod;
use super::flag::{Flag, Flags};
use super::statement::whole_rest;
use crate::diagnostic::Diagnostic;
use crate::syntax::{Line, Word};

/// `WORKDIR [flags] path`: the working directory from here on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workdir {
    /// The directory, relative to the one before; expands. Blanks belong to it.
    pub path: Word,
    /// `--chown=user[:group]` of the directory; expands.
    pub chown: Option<Flag<Word>>,
    /// `--chmod` of the directory; expands, then [`Chmod::parse`](super::Chmod::parse) reads it.
    pub chmod: Option<Flag<Word>>,
}

impl Directive for Workdir {
    const KEYWORD: &'static str = "WORKDIR";

    fn parse(line: &Line<'_>) -> Result<Self, Diagnostic> {
        let mut flags = Flags::of(line);
        let chown = flags.word("chown")?;
        let chmod = flags.word("chmod")?;
        flags.finish()?;
        check_chmod(chmod.as_ref())?;
        Ok(Self { path: whole_rest(line)?, chown, chmod })
    }
}
