//! What a container or a build step changed: the upper directory against what it was put over.
//!
//! Only the upper is walked. An entry there is there because it was made, or because overlayfs
//! copied it up; a copy that still equals what it was copied from is no change. As with other
//! tools, the time of a directory is no property to compare: it changes with its content.

mod between;
mod clamp;
mod compare;
mod lower;
mod settle;
mod walk;

use std::path::PathBuf;

use crate::Result;
use crate::root::Root;

pub use between::{Aspect, Difference, Entry, differences};
pub(crate) use clamp::clamp;
pub use lower::Lower;
pub(crate) use lower::LowerDir;
pub use settle::{DirectoryTimes, Settled, settle};

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// It was not there before.
    Added,
    /// It was there and is different now, or it is a directory and something below it changed.
    Modified,
    /// It is not there any more.
    Deleted,
}

/// One path that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The path from the root, without a leading slash.
    pub path: PathBuf,
    /// What happened to it.
    pub kind: ChangeKind,
}

/// What the directory `upper` changes of `lower`, the layers below it shown together.
///
/// The changes are sorted by the components of their paths, a directory before what is in it.
/// Directories above a change are listed as modified. What was in a directory that is gone, or
/// that something else replaced, is not listed for itself.
///
/// # Errors
/// If one of the trees cannot be read.
pub fn changes(upper: &Root, lower: &Lower) -> Result<Vec<Change>> {
    walk::walk(upper, lower).map(|found| found.changes)
}
