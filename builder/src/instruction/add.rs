//! `ADD`.

use super::copy::{check_chmod, parse_sources};
use super::flag::{Flag, Flags};
use super::{CopySource, Directive};
use crate::diagnostic::Diagnostic;
use crate::syntax::{Line, Word};

/// `ADD [flags] source… destination`: copies, unpacks archives and fetches URLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    /// What is added, at least one.
    pub sources: Vec<CopySource>,
    /// Where to; expands.
    pub destination: Word,
    /// `--chown=user[:group]`; expands.
    pub chown: Option<Flag<Word>>,
    /// `--chmod`; expands, then [`Chmod::parse`](super::Chmod::parse) reads it.
    pub chmod: Option<Flag<Word>>,
    /// `--link`.
    pub link: Option<Flag<bool>>,
    /// `--keep-git-dir`: whether a git source keeps its `.git`.
    pub keep_git_dir: Option<Flag<bool>>,
    /// `--checksum`: the digest of a URL or the commit of a git source; expands.
    pub checksum: Option<Flag<Word>>,
    /// `--unpack`: whether archives are unpacked, whatever their source.
    pub unpack: Option<Flag<bool>>,
    /// `--strip-components`: how many leading parts the names in archives lose; expands.
    pub strip: Option<Flag<Word>>,
    /// `--exclude` patterns; they do not expand.
    pub excludes: Vec<Flag<Word>>,
}

impl Directive for Add {
    const KEYWORD: &'static str = "ADD";
    const HEREDOCS: bool = true;

    fn parse(line: &Line<'_>) -> Result<Self, Diagnostic> {
        let mut flags = Flags::of(line);
        let chown = flags.word("chown")?;
        let chmod = flags.word("chmod")?;
        let link = flags.boolean("link")?;
        let keep_git_dir = flags.boolean("keep-git-dir")?;
        let checksum = flags.word("checksum")?;
        let unpack = flags.boolean("unpack")?;
        let strip = flags.word("strip-components")?;
        let excludes = flags.words("exclude")?;
        flags.finish()?;
        check_chmod(chmod.as_ref())?;
        let (sources, destination) = parse_sources(line)?;
        Ok(Self {
            sources,
            destination,
            chown,
            chmod,
            link,
            keep_git_dir,
            checksum,
            unpack,
            strip,
            excludes,
        })
    }
}
