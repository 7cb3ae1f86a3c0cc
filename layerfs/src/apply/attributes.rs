//! Owner, mode, extended attributes and times of what an archive's entries make.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Gid, Mode, Uid, XattrFlags};
use rustix::io::Errno;

use super::parents::Parent;
use super::{Entry, IdMode};
use crate::new_files::NewFiles;
use crate::root::FileKind;
use crate::whiteout::{self, Intended, IntendedDevice};

/// What the caller wants otherwise than the archive says it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Overrides {
    /// The owner and group of everything.
    pub(crate) owner: Option<(u32, u32)>,
}

/// Why something could not be made as its entry says.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It cannot belong to this user and group.
    Owner(u32, u32),
    /// The system's answer.
    System(Errno),
}

impl From<Errno> for Refusal {
    fn from(error: Errno) -> Refusal {
        Refusal::System(error)
    }
}

/// Tells an owner that the user namespace does not map from other failures.
fn given(owner: (u32, u32), answer: rustix::io::Result<()>) -> Result<(), Refusal> {
    answer.map_err(|error| match error {
        Errno::INVAL => Refusal::Owner(owner.0, owner.1),
        error => Refusal::System(error),
    })
}

/// Gives attributes, and knows which ones new files have anyway.
#[derive(Clone, Copy)]
pub(super) struct Giver {
    ids: IdMode,
    overrides: Overrides,
    new_files: NewFiles,
}

impl Giver {
    fn owner(&self, entry: &Entry) -> (u32, u32) {
        self.overrides.owner.unwrap_or((entry.uid, entry.gid))
    }

    /// Finishes a regular file that [`Dir::create_file`](crate::root::Dir::create_file) made with
    /// the entry's mode and that has the group `group`, after its data. The order matters:
    /// `chown` clears set-user-ID bits and capabilities. Answers how many extended attributes
    /// were not set.
    pub(super) fn finish_file(
        &self,
        entry: &Entry,
        file: &File,
        group: u32,
    ) -> Result<u64, Refusal> {
        let (uid, gid) = self.owner(entry);
        let mut set_mode = !self.new_files.keep(entry.mode);
        match self.ids {
            IdMode::Full => {
                if (uid, gid) != (self.new_files.uid, group) {
                    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(gid));
                    given((uid, gid), rustix::fs::fchown(file, Some(user), Some(group)))?;
                }
            }
            IdMode::Single if (uid, gid) != (0, 0) => {
                let value = Intended { uid, gid, device: None }.to_value();
                // The owner needs to write to set it, whatever the entry's mode.
                if entry.mode & 0o200 == 0 {
                    rustix::fs::fchmod(file, Mode::from_raw_mode(entry.mode | 0o200))?;
                    set_mode = true;
                }
                rustix::fs::fsetxattr(file, Intended::key(), &value, XattrFlags::empty())?;
            }
            IdMode::Single => {}
        }
        let set = |key: &OsStr, value: &[u8]| {
            rustix::fs::fsetxattr(file, key, value, XattrFlags::empty())
        };
        let skipped = set_xattrs(entry, set)?;
        if set_mode {
            rustix::fs::fchmod(file, Mode::from_raw_mode(entry.mode))?;
        }
        rustix::fs::futimens(file, &entry.mtime.both())?;
        Ok(skipped)
    }

    /// Finishes anything else that was just made as `name`, except for a directory's time, which
    /// later entries would change again.
    fn finish(
        &self,
        entry: &Entry,
        kind: FileKind,
        parent: &Parent,
        name: &OsStr,
    ) -> Result<u64, Refusal> {
        let dir = &parent.dir;
        let (uid, gid) = self.owner(entry);
        match self.ids {
            IdMode::Full => given((uid, gid), dir.chown(name, uid, gid))?,
            IdMode::Single if kind == FileKind::Dir => {
                if (uid, gid) == (0, 0) {
                    dir.remove_xattr(name, Intended::key())?;
                } else {
                    let value = Intended { uid, gid, device: None }.to_value();
                    dir.set_xattr(name, Intended::key(), &value)?;
                }
            }
            // The kernel allows no `user.` attributes on symlinks and special files.
            IdMode::Single => {}
        }
        if kind != FileKind::Symlink {
            dir.chmod(name, entry.mode)?;
        }
        let skipped = set_xattrs(entry, |key, value| dir.set_xattr(name, key, value))?;
        if kind != FileKind::Dir {
            dir.set_mtime(name, entry.mtime)?;
        }
        Ok(skipped)
    }

    /// Makes an empty file in the place of a device that this process may not make.
    pub(super) fn stand_in(
        &self,
        entry: &Entry,
        kind: FileKind,
        rdev: (u32, u32),
        parent: &Parent,
        name: &OsStr,
    ) -> Result<(), Refusal> {
        let (uid, gid) = self.owner(entry);
        let device = Some(IntendedDevice { kind, rdev, mode: entry.mode });
        let value = Intended { uid, gid, device }.to_value();
        let dir = &parent.dir;
        drop(dir.create_file(name, 0o600)?);
        if self.ids == IdMode::Full {
            dir.chown(name, 0, 0)?;
        }
        dir.set_xattr(name, Intended::key(), &value)?;
        dir.chmod(name, 0)?;
        Ok(dir.set_mtime(name, entry.mtime)?)
    }
}

/// Gives attributes as a [`Giver`], and counts.
pub(super) struct Attributes {
    pub(super) giver: Giver,
    /// How many extended attributes were not set.
    pub(super) skipped: u64,
}

impl Attributes {
    pub(super) fn new(ids: IdMode, overrides: Overrides) -> Attributes {
        let giver = Giver { ids, overrides, new_files: NewFiles::of_this_process() };
        Attributes { giver, skipped: 0 }
    }

    /// See [`Giver::finish_file`].
    pub(super) fn finish_file(
        &mut self,
        entry: &Entry,
        file: &File,
        group: u32,
    ) -> Result<(), Refusal> {
        self.skipped += self.giver.finish_file(entry, file, group)?;
        Ok(())
    }

    /// See [`Giver::finish`].
    pub(super) fn finish(
        &mut self,
        entry: &Entry,
        kind: FileKind,
        parent: &Parent,
        name: &OsStr,
    ) -> Result<(), Refusal> {
        self.skipped += self.giver.finish(entry, kind, parent, name)?;
        Ok(())
    }
}

/// Sets an entry's extended attributes, and answers how many were not: those that nobody wants,
/// and, as other tools let pass too, one of a kind that the file system does not have, or that
/// only the machine's root may set.
fn set_xattrs(
    entry: &Entry,
    mut set: impl FnMut(&OsStr, &[u8]) -> rustix::io::Result<()>,
) -> rustix::io::Result<u64> {
    let mut skipped = 0;
    for (key, value) in &entry.xattrs {
        let key = OsStr::from_bytes(key);
        let is_wanted = !whiteout::is_private(key) && !whiteout::is_of_the_machine(key);
        let is_privileged = [&b"security."[..], b"trusted.", b"system."]
            .iter()
            .any(|prefix| key.as_bytes().starts_with(prefix));
        match if is_wanted { set(key, value) } else { Err(Errno::NOTSUP) } {
            Ok(()) => continue,
            Err(Errno::NOTSUP) => {}
            Err(Errno::PERM | Errno::INVAL) if is_privileged => {}
            Err(error) => return Err(error),
        }
        skipped += 1;
        tracing::debug!(?key, "extended attribute not set");
    }
    Ok(skipped)
}
