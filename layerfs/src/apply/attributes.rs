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
pub(super) struct Attributes {
    ids: IdMode,
    overrides: Overrides,
    new_files: NewFiles,
    /// How many extended attributes were not set.
    pub(super) skipped: u64,
}

impl Attributes {
    pub(super) fn new(ids: IdMode, overrides: Overrides) -> Attributes {
        Attributes { ids, overrides, new_files: NewFiles::of_this_process(), skipped: 0 }
    }

    fn owner(&self, entry: &Entry) -> (u32, u32) {
        self.overrides.owner.unwrap_or((entry.uid, entry.gid))
    }

    /// Finishes a regular file that [`Dir::create_file`](crate::root::Dir::create_file) made with
    /// the entry's mode, after its data. The order matters: `chown` clears set-user-ID bits and
    /// capabilities.
    pub(super) fn finish_file(
        &mut self,
        entry: &Entry,
        file: &File,
        parent: &Parent,
    ) -> Result<(), Refusal> {
        let (uid, gid) = self.owner(entry);
        let mut set_mode = !self.new_files.keep(entry.mode);
        match self.ids {
            IdMode::Full => {
                let group = parent.group_of_new(file).map_err(|e| errno(&e))?;
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
        for (key, value) in &entry.xattrs {
            let key = OsStr::from_bytes(key);
            if self.is_wanted(key) {
                let set = rustix::fs::fsetxattr(file, key, value, XattrFlags::empty());
                self.tolerate(key, set)?;
            }
        }
        if set_mode {
            rustix::fs::fchmod(file, Mode::from_raw_mode(entry.mode))?;
        }
        Ok(rustix::fs::futimens(file, &entry.mtime.both())?)
    }

    /// Finishes anything else that was just made as `name`, except for a directory's time, which
    /// later entries would change again.
    pub(super) fn finish(
        &mut self,
        entry: &Entry,
        kind: FileKind,
        parent: &Parent,
        name: &OsStr,
    ) -> Result<(), Refusal> {
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
        for (key, value) in &entry.xattrs {
            let key = OsStr::from_bytes(key);
            if self.is_wanted(key) {
                let set = dir.set_xattr(name, key, value);
                self.tolerate(key, set)?;
            }
        }
        if kind == FileKind::Dir { Ok(()) } else { Ok(dir.set_mtime(name, entry.mtime)?) }
    }

    /// Makes an empty file in the place of a device that this process may not make.
    pub(super) fn stand_in(
        &mut self,
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

    fn is_wanted(&mut self, key: &OsStr) -> bool {
        let wanted = !whiteout::is_private(key) && !whiteout::is_of_the_machine(key);
        self.skipped += u64::from(!wanted);
        wanted
    }

    /// Lets pass what other tools let pass too: an attribute of a kind that the file system does
    /// not have, and one that only the machine's root may set.
    fn tolerate(&mut self, key: &OsStr, set: rustix::io::Result<()>) -> rustix::io::Result<()> {
        let privileged = [&b"security."[..], b"trusted.", b"system."]
            .iter()
            .any(|prefix| key.as_bytes().starts_with(prefix));
        match set {
            Err(Errno::NOTSUP) => {}
            Err(Errno::PERM | Errno::INVAL) if privileged => {}
            answer => return answer,
        }
        self.skipped += 1;
        tracing::debug!(?key, "extended attribute not set");
        Ok(())
    }
}

/// The system's answer inside an I/O error.
pub(super) fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
