//! What of a tree is not to be seen: by the ignore file, and by `--exclude`.

use std::path::Path;

use super::{names, text};
use crate::dockerignore::{Ignore, ParentMatch};
use crate::select::joined;

/// The patterns that a walk heeds.
#[derive(Clone, Copy)]
pub(crate) struct Filter<'a> {
    /// Of the context: they see paths from its root.
    pub(crate) ignore: Option<&'a Ignore>,
    /// Of the instruction, for what is wanted: they leave out all else. They see the same paths.
    pub(crate) includes: Option<&'a Ignore>,
    /// Of the instruction: they see paths from the directory that is copied.
    pub(crate) excludes: &'a Ignore,
}

/// What the patterns say of a directory, for what it holds.
#[derive(Debug, Clone, Default)]
pub(super) struct Heeded {
    ignore: ParentMatch,
    includes: ParentMatch,
    excludes: ParentMatch,
}

/// What becomes of an entry.
pub(super) struct Verdict {
    /// Whether it is left out.
    pub(super) left_out: bool,
    /// Whether something below it may be taken back in.
    pub(super) may_hold: bool,
    /// For what it holds.
    pub(super) below: Heeded,
}

impl Filter<'_> {
    /// What becomes of the file or directory `path` that a source names itself.
    pub(super) fn top(&self, path: &Path) -> Verdict {
        let mut verdict = Verdict { left_out: false, may_hold: true, below: Heeded::default() };
        let parent = path.parent().filter(|_| path != Path::new(""));
        if let (Some(ignore), Some(parent)) = (self.ignore, parent) {
            let at = text(path);
            let (out, matched) = ignore.check(&at, &matches_of(ignore, parent));
            verdict.left_out = out;
            verdict.below.ignore = matched;
        }
        verdict
    }

    /// What becomes of the entry at `path`, seen from the directory that is copied, which is at
    /// `base` in the tree.
    pub(super) fn entry(&self, base: &Path, path: &Path, parent: &Heeded) -> Verdict {
        let mut verdict = Verdict { left_out: false, may_hold: true, below: Heeded::default() };
        let in_tree = joined(base, path);
        let lists = [
            (self.ignore, in_tree.as_path(), &parent.ignore, &mut verdict.below.ignore),
            (self.includes, path, &parent.includes, &mut verdict.below.includes),
            (Some(self.excludes), path, &parent.excludes, &mut verdict.below.excludes),
        ];
        for (patterns, path, parent, below) in lists {
            let Some(patterns) = patterns.filter(|patterns| !patterns.is_empty()) else { continue };
            let at = text(path);
            let (out, matched) = patterns.check(&at, parent);
            verdict.left_out |= out;
            verdict.may_hold &= !out || patterns.may_reinclude_below(&at);
            *below = matched;
        }
        verdict
    }
}

/// What the ignore file's patterns say of the directory `path`, for what it holds.
pub(super) fn matches_of(ignore: &Ignore, path: &Path) -> ParentMatch {
    let mut matches = ParentMatch::default();
    let mut at = std::path::PathBuf::new();
    for name in names(path) {
        at.push(name);
        matches = ignore.check(&text(&at), &matches).1;
    }
    matches
}
