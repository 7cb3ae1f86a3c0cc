//! Owner, mode and time of what a COPY makes.

use std::ffi::OsStr;
use std::fs::File;
use std::io;

use layerfs::{Dir, FileKind, IdMode, Metadata, NewFiles, Timestamp};
use rustix::fs::{Mode, Timespec, Timestamps};
use rustix::io::Errno;

use super::clamped;
use crate::instruction::Chmod;
use crate::op::Times;
use crate::tree::Entry;

/// The mode of directories that nobody chose one for.
const DIRECTORY_MODE: u32 = 0o755;

/// What BuildKit's umask takes from the mode of directories that it makes without a source, even
/// from one that `--chmod` chose.
const UMASK: u32 = 0o022;

/// What the instruction says of everything that it makes.
#[derive(Clone, Copy)]
pub(super) struct Attributes<'a> {
    /// `--chown`.
    pub(super) owner: Option<(u32, u32)>,
    /// `--chmod`.
    pub(super) chmod: Option<&'a Chmod>,
    /// Which times are given.
    pub(super) times: Times,
    /// Which owners can be given.
    pub(super) ids: IdMode,
    /// What files have that are created.
    pub(super) new_files: NewFiles,
}

impl Attributes<'_> {
    /// The mode of directories that are made without a source.
    pub(super) fn directory_mode(&self) -> u32 {
        match self.chmod {
            Some(Chmod::Octal(bits)) => bits & 0o777 & !UMASK,
            _ => DIRECTORY_MODE,
        }
    }

    /// The time of what is made without a source.
    pub(super) fn made(&self) -> Timestamp {
        Timestamp::at(self.times.made)
    }

    /// The time of what is copied.
    pub(super) fn time(&self, source: &Metadata) -> Timestamp {
        clamped(source.mtime, self.times.latest)
    }

    fn owner(&self, source: &Metadata) -> (u32, u32) {
        self.owner.unwrap_or((source.uid, source.gid))
    }

    /// The mode to create a regular file with. Where its owner is written down beside it, it is
    /// one that can be written to until it is finished.
    pub(super) fn creation_mode(&self, source: &Metadata) -> u32 {
        match self.ids {
            IdMode::Full => self.mode(source),
            IdMode::Single => 0o600,
        }
    }

    fn mode(&self, source: &Metadata) -> u32 {
        let is_dir = source.kind == FileKind::Dir;
        self.chmod.map_or(source.mode, |chmod| chmod.apply(source.mode, is_dir))
    }

    /// Gives a new directory to whom `--chown` says.
    pub(super) fn own_directory(&self, dir: &Dir) -> rustix::io::Result<()> {
        match self.owner {
            None => Ok(()),
            Some(owner) => layerfs::give(dir, OsStr::new("."), FileKind::Dir, owner, self.ids),
        }
    }

    /// Whether a regular file is what a copy of `entry` would be, its bytes aside.
    pub(super) fn are_those_of(&self, file: &Metadata, entry: &Entry) -> bool {
        let source = &entry.metadata;
        // Where one id stands for all, owners are kept elsewhere.
        self.ids == IdMode::Full
            && entry.xattrs.is_empty()
            && file.kind == FileKind::File
            && file.size == source.size
            && (file.uid, file.gid) == self.owner(source)
            && file.mode == self.mode(source)
            && file.mtime == self.time(source)
    }

    /// Finishes the regular file `name` of `dir`, which was created with
    /// [its mode](Self::creation_mode) and is open as `file`; `group` is the one that new files in
    /// `dir` get, if that is known. The order matters: a change of the owner clears set-user-ID
    /// bits and capabilities.
    pub(super) fn finish_file(
        &self,
        (dir, name): (&Dir, &OsStr),
        file: &File,
        entry: &Entry,
        group: Option<u32>,
    ) -> io::Result<()> {
        let source = &entry.metadata;
        let owner = self.owner(source);
        match self.ids {
            IdMode::Full if group.is_some_and(|group| owner == (self.new_files.uid, group)) => {}
            IdMode::Full => {
                let (uid, gid) = owner;
                let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
                rustix::fs::fchown(file, Some(uid), Some(gid))?;
            }
            IdMode::Single => layerfs::give(dir, name, FileKind::File, owner, self.ids)?,
        }
        set_xattrs(dir, name, entry)?;
        let mode = self.mode(source);
        if self.ids == IdMode::Single || !self.new_files.keep(mode) {
            rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?;
        }
        let Timestamp { seconds, nanoseconds } = self.time(source);
        let time = Timespec { tv_sec: seconds, tv_nsec: i64::from(nanoseconds) };
        let times = Timestamps { last_access: time, last_modification: time };
        Ok(rustix::fs::futimens(file, &times)?)
    }

    /// Finishes anything else.
    pub(super) fn finish(&self, dir: &Dir, name: &OsStr, entry: &Entry) -> rustix::io::Result<()> {
        let source = &entry.metadata;
        layerfs::give(dir, name, source.kind, self.owner(source), self.ids)?;
        if source.kind != FileKind::Symlink {
            set_xattrs(dir, name, entry)?;
            dir.chmod(name, self.mode(source))?;
        }
        dir.set_mtime(name, self.time(source))
    }
}

/// Sets extended attributes; those that the file system or a user namespace does not take are
/// left out, as by BuildKit.
fn set_xattrs(dir: &Dir, name: &OsStr, entry: &Entry) -> rustix::io::Result<()> {
    for (key, value) in &entry.xattrs {
        match dir.set_xattr(name, key, value) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
