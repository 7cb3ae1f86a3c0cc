//! Makes an upper directory into a layer.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;

use rustix::io::Errno;

use super::compare::same;
use super::lower::{Lower, LowerDir};
use super::walk::{Found, link, walk};
use super::{Change, ChangeKind};
use crate::root::{Root, Timestamp};
use crate::whiteout;
use crate::{Error, Result};

/// What becomes of the times of directories that are in a layer only because of what changed in
/// them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DirectoryTimes {
    /// They stay, as after a command that ran.
    #[default]
    Keep,
    /// They become those of the layers below, so that the layer depends on what was put into it
    /// and not on when.
    Restore,
}

/// What is in a layer that was settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// What the layer changes, as [`changes`](super::changes) lists it.
    pub changes: Vec<Change>,
    /// Whether the root directory itself changed, which is in no list.
    pub root_changed: bool,
}

impl Settled {
    /// Whether the layer changes nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && !self.root_changed
    }
}

/// Removes from `upper` all that says nothing about `lower`, the layers below shown together:
/// copies that equal the original, directories with nothing changed in them, whiteouts of
/// nothing. Afterwards `upper` is the layer, and its tar depends on nothing else.
///
/// What an opaque directory hides gets whiteouts of its own, as the image specification wants of
/// those who make layers ("Opaque Whiteout"): the layer holds the changes and nothing more, also
/// where a directory was removed and made anew.
///
/// A copied-up file stays, unchanged as it is, if a changed name is the same file: without it the
/// layer would lose the hard link.
///
/// # Errors
/// If one of the trees cannot be read, or `upper` not be changed.
pub fn settle(upper: &Root, lower: &Lower, times: DirectoryTimes) -> Result<Settled> {
    let found = walk(upper, lower)?;
    make_whiteouts(upper, &found)?;
    remove_idle(upper, &found)?;
    set_times(upper, &found, times)?;
    let root_changed = settle_root(upper, lower, times)?;
    Ok(Settled { changes: found.changes, root_changed })
}

/// Says for itself of everything hidden that it is deleted. At no moment does anything show that
/// is deleted: opaque directories stay so until all below them has its whiteout.
fn make_whiteouts(upper: &Root, found: &Found) -> Result<()> {
    for path in &found.hidden {
        let (parent, name) = upper.parent(path)?;
        whiteout::make_whiteout(&parent, name).map_err(|e| Error::tree("hide", path, e))?;
    }
    for dir in found.dirs.iter().filter(|dir| dir.opaque) {
        let (parent, name) = upper.parent(&dir.path)?;
        whiteout::clear_opaque(&parent, name).map_err(|e| Error::tree("change", &dir.path, e))?;
    }
    Ok(())
}

fn remove_idle(upper: &Root, found: &Found) -> Result<()> {
    let linked = linked(upper, found)?;
    // A directory comes after what is in it: it is known to be idle when it is left.
    for idle in &found.idle {
        if idle.link.is_some_and(|link| linked.contains(&link)) {
            continue;
        }
        let failed = |e| Error::tree("remove", &idle.path, e);
        let (dir, name) = upper.parent(&idle.path)?;
        if idle.is_dir {
            match dir.rmdir(name) {
                // A hard link stayed in it.
                Ok(()) | Err(Errno::NOTEMPTY | Errno::EXIST) => {}
                Err(e) => return Err(failed(e)),
            }
        } else {
            dir.unlink(name).map_err(failed)?;
        }
    }
    Ok(())
}

/// The identities of changed files with several names, which copies that say nothing may be names
/// of as well; nobody asks while no such copy has another name.
fn linked(upper: &Root, found: &Found) -> Result<HashSet<(u64, u64)>> {
    let mut linked = HashSet::new();
    if found.idle.iter().all(|idle| idle.link.is_none()) {
        return Ok(linked);
    }
    for change in found.changes.iter().filter(|change| change.kind != ChangeKind::Deleted) {
        linked.extend(upper.stat(&change.path)?.and_then(|now| link(&now)));
    }
    Ok(linked)
}

/// Puts back the times that whiteouts and removing changed.
fn set_times(upper: &Root, found: &Found, times: DirectoryTimes) -> Result<()> {
    let idle = found.idle.iter().map(|idle| &idle.path);
    let touched: HashSet<&Path> =
        idle.chain(&found.hidden).filter_map(|path| path.parent()).collect();
    for dir in found.dirs.iter().skip(1) {
        let time = match (times, dir.lower_mtime) {
            (DirectoryTimes::Restore, Some(time)) => time,
            _ if touched.contains(dir.path.as_path()) => dir.mtime,
            _ => continue,
        };
        let set = upper.parent(&dir.path).and_then(|(parent, name)| {
            parent.set_mtime(name, time).map_err(|e| Error::tree("set the time of", &dir.path, e))
        });
        match set {
            // It was idle, and is gone.
            Err(e) if e.io_kind() == Some(ErrorKind::NotFound) => {}
            answer => answer?,
        }
    }
    Ok(())
}

/// The root is part of the layer only if it is not as before. Its time never counts.
fn settle_root(upper: &Root, lower: &Lower, times: DirectoryTimes) -> Result<bool> {
    let failed = |e| Error::tree("examine", "/", e);
    let (top, this) = (upper.top(), OsStr::new("."));
    let now = top.metadata().map_err(failed)?;
    let below = lower.top().map_err(failed)?;
    let (changed, before) = match below.as_ref().and_then(LowerDir::shown) {
        Some(lower) => {
            let before = lower.metadata().map_err(failed)?;
            let same = same(top, lower, this, &now, &before)
                .map_err(|e| Error::tree("compare", "/", e.0))?;
            (!same, before.mtime)
        }
        None => ((now.mode, now.uid, now.gid) != (0o755, 0, 0), Timestamp::at(0)),
    };
    let failed = |e| Error::tree("change", "/", e);
    if changed {
        whiteout::clear_implicit(top, this).map_err(failed)?;
    } else {
        whiteout::mark_implicit(top, this).map_err(failed)?;
    }
    if !changed || times == DirectoryTimes::Restore {
        top.set_mtime(this, before).map_err(failed)?;
    }
    Ok(changed)
}
