//! One file, link or special file, copied with all that belongs to it.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::{Errno, Result};

use crate::Error;
use crate::root::{Dir, FileKind, Metadata, Root, opened_xattrs};
use crate::whiteout::{self, Intended, IntendedDevice};

/// Copies that are one file under several names, as their originals are: by device and number of
/// the original, the path of the first copy.
#[derive(Default)]
pub(super) struct Links(HashMap<(u64, u64), PathBuf>);

impl Links {
    /// The path of the copy that there is of the same original, if there is one; else notes that
    /// it will be at `path`.
    pub(super) fn first(&mut self, original: &Metadata, path: &Path) -> Option<&Path> {
        if original.nlink < 2 {
            return None;
        }
        let mut is_first = false;
        let first = self.0.entry((original.dev, original.ino)).or_insert_with(|| {
            is_first = true;
            path.to_owned()
        });
        (!is_first).then_some(first)
    }
}

/// Makes `name` in `dir` another name of what is at `first` in the tree `root`.
pub(super) fn link(root: &Root, first: &Path, dir: &Dir, name: &OsStr) -> crate::Result<()> {
    let (from, from_name) = root.parent(first)?;
    dir.hard_link(&from, from_name, name).map_err(|e| Error::tree("link to", first, e))
}

/// Copies what is at a name of one directory, no directory itself, to a name of another.
pub(super) fn copy(
    (from, from_name): (&Dir, &OsStr),
    original: &Metadata,
    (to, name): (&Dir, &OsStr),
) -> Result<()> {
    let xattrs = match original.kind {
        FileKind::Dir => return Err(Errno::ISDIR),
        FileKind::File => copy_content((from, from_name), original, (to, name))?,
        FileKind::Symlink => {
            to.symlink(&from.read_link(from_name)?, name)?;
            from.xattrs(from_name)?
        }
        kind if kind.is_device() && !whiteout::is_harmless(kind, original.rdev) => {
            return stand_in(name, original, to);
        }
        kind => {
            match to.mknod(name, kind, 0o600, original.rdev) {
                Err(Errno::PERM) if kind.is_device() => return stand_in(name, original, to),
                answer => answer?,
            }
            from.xattrs(from_name)?
        }
    };
    to.chown(name, original.uid, original.gid)?;
    for (key, value) in xattrs {
        if key == Intended::key() || !whiteout::is_private(&key) {
            to.set_xattr(name, &key, &value)?;
        }
    }
    // After the owner: a change of that takes the set-user-id bit away.
    if original.kind != FileKind::Symlink {
        to.chmod(name, original.mode)?;
    }
    to.set_mtime(name, original.mtime)
}

/// Copies the bytes of a file, without copying where the file system can share them. Gives the
/// extended attributes of the original.
fn copy_content(
    (from, from_name): (&Dir, &OsStr),
    original: &Metadata,
    (to, name): (&Dir, &OsStr),
) -> Result<Vec<(OsString, Vec<u8>)>> {
    let mut source = from.open_file(from_name)?;
    let mut target = to.create_file(name, 0o600)?;
    if original.size > 0 && rustix::fs::ioctl_ficlone(&target, &source).is_err() {
        copy_bytes(&mut source, &mut target)?;
    }
    opened_xattrs(&source)
}

/// By `copy_file_range(2)`, which the standard library uses where it can.
fn copy_bytes(source: &mut File, target: &mut File) -> Result<()> {
    io::copy(source, target).map(drop).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))
}

/// An empty file that stands for a device which may not be made.
fn stand_in(name: &OsStr, original: &Metadata, to: &Dir) -> Result<()> {
    to.create_file(name, 0)?;
    let device = IntendedDevice { kind: original.kind, rdev: original.rdev, mode: original.mode };
    let intended = Intended { uid: original.uid, gid: original.gid, device: Some(device) };
    to.set_xattr(name, Intended::key(), &intended.to_value())?;
    to.chmod(name, 0)?;
    to.set_mtime(name, original.mtime)
}
