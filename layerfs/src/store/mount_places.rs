//! Where something is mounted in a container that runs: mount points that its image lacks were
//! made in its upper directory, go with its end, and are no change of its own.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::Container;
use super::container_state::ContainerState;
use crate::root::{FileKind, Root};
use crate::{Change, ChangeKind, Error, Result};

/// Changes without mount points.
pub(super) struct Own {
    /// What the container changed itself.
    pub(super) changes: Vec<Change>,
    /// The mount points, those below first.
    pub(super) places: Vec<PathBuf>,
}

impl Own {
    /// Tells them apart: a mount point is an empty file, or a directory with nothing of the
    /// container's, at or above a place where something is mounted.
    pub(super) fn of(changes: Vec<Change>, upper: &Root, container: &Container) -> Result<Own> {
        let mounted = mounted_in(container);
        let mut own = Own { changes: Vec::new(), places: Vec::new() };
        if mounted.is_empty() {
            own.changes = changes;
            return Ok(own);
        }
        // Of directories below the one that is looked at: which have a change, or a mount point.
        let (mut changed, mut left) = (HashSet::new(), HashSet::new());
        for change in changes.into_iter().rev() {
            let parent = change.path.parent().map(Path::to_owned).unwrap_or_default();
            let is_empty = !changed.contains(&change.path);
            let leads = || mounted.iter().any(|place| place.starts_with(&change.path));
            let is_place = match change.kind {
                ChangeKind::Added => is_empty && leads() && is_bare(upper, &change.path)?,
                // It is listed for what is in it.
                ChangeKind::Modified => is_empty && left.contains(&change.path),
                ChangeKind::Deleted => false,
            };
            if !is_place {
                changed.insert(parent);
                own.changes.push(change);
                continue;
            }
            left.insert(parent);
            if change.kind == ChangeKind::Added {
                own.places.push(change.path);
            }
        }
        own.changes.reverse();
        Ok(own)
    }

    /// Takes the mount points out of a copy of the upper directory, whose directories keep their
    /// times.
    pub(super) fn remove_places(&self, copy: &Root) -> Result<()> {
        for place in &self.places {
            let failed = |e| Error::tree("remove the mount point", place, e);
            let (dir, name) = copy.parent(place)?;
            let time = dir.metadata().map_err(failed)?.mtime;
            dir.remove_tree(name).map_err(failed)?;
            dir.set_mtime(".", time).map_err(failed)?;
        }
        Ok(())
    }
}

/// Whether it is an empty file, or a directory.
fn is_bare(upper: &Root, path: &Path) -> Result<bool> {
    let found = upper.stat(path)?;
    Ok(found.is_some_and(|found| match found.kind {
        FileKind::Dir => true,
        FileKind::File => found.size == 0,
        _ => false,
    }))
}

/// The mount points of a container that runs, below its root; none where nobody can tell.
fn mounted_in(container: &Container) -> Vec<PathBuf> {
    let ContainerState::Running(run) = container.state else { return Vec::new() };
    let table = fs::read(format!("/proc/{}/mountinfo", run.process.pid)).unwrap_or_default();
    let place = |line: &[u8]| {
        // proc(5): id, parent, device, root, mount point.
        let field = line.split(|byte| *byte == b' ').nth(4)?;
        let path = PathBuf::from(OsString::from_vec(unescaped(field)));
        let below = path.strip_prefix("/").ok()?;
        (!below.as_os_str().is_empty()).then(|| below.to_owned())
    };
    table.split(|byte| *byte == b'\n').filter_map(place).collect()
}

/// A field of the table, in which blanks and the like are three octal digits behind a `\`.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits = (*first == b'\\').then(|| after.get(..3)).flatten();
        let octal = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(octal.unwrap_or(*first));
        rest = if octal.is_some() { &after[3..] } else { after };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_places_are_read_as_they_are() {
        for (field, name) in [("/a\\040b", "/a b"), ("/a\\134", "/a\\"), ("/\\0", "/\\0")] {
            assert_eq!(unescaped(field.as_bytes()), name.as_bytes(), "{field}");
        }
    }
}
