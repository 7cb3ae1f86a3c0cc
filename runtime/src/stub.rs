//! Mount points that were made for a container, and that a layer must not contain.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Stat, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;

/// What was made, and how the directories it was made in looked before.
#[derive(Debug, Default)]
pub(crate) struct Stubs {
    made: Vec<Stub>,
    parents: Vec<Parent>,
}

/// An empty file or directory.
#[derive(Debug)]
struct Stub {
    parent: OwnedFd,
    name: OsString,
    state: State,
}

/// A directory in which stubs were made.
#[derive(Debug)]
struct Parent {
    directory: OwnedFd,
    device: u64,
    inode: u64,
    /// When it was last changed before.
    before: Mtime,
    /// When the last stub was made in it.
    after: Mtime,
}

/// Seconds and nanoseconds.
pub(crate) type Mtime = (i64, u64);

/// By what a stub is known to be still the one that was made.
#[derive(Debug, PartialEq, Eq)]
struct State {
    device: u64,
    inode: u64,
    mode: u32,
    owner: (u32, u32),
}

impl State {
    fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            mode: stat.st_mode,
            owner: (stat.st_uid, stat.st_gid),
        }
    }

    fn is_directory(&self) -> bool {
        FileType::from_raw_mode(self.mode) == FileType::Directory
    }
}

/// When something was last changed.
pub(crate) fn mtime(stat: &Stat) -> Mtime {
    (stat.st_mtime, stat.st_mtime_nsec)
}

fn stat_of(parent: &OwnedFd, name: &OsString) -> Result<Stat, Errno> {
    rustix::fs::statat(parent, name.as_os_str(), AtFlags::SYMLINK_NOFOLLOW)
}

/// Where a stub is about to be made.
pub(crate) struct Site {
    parent: OwnedFd,
    stat: Stat,
}

impl Stubs {
    /// To be called before anything is made in `parent`.
    pub(crate) fn before(parent: BorrowedFd<'_>) -> Result<Site, Errno> {
        Ok(Site { parent: rustix::io::dup(parent)?, stat: rustix::fs::fstat(parent)? })
    }

    /// Notes what was made at the site.
    pub(crate) fn made(&mut self, site: Site, name: OsString) -> Result<(), Errno> {
        let Site { parent, stat: before } = site;
        let state = State::of(&stat_of(&parent, &name)?);
        let after = mtime(&rustix::fs::fstat(&parent)?);
        let known = self
            .parents
            .iter_mut()
            .find(|known| (known.device, known.inode) == (before.st_dev, before.st_ino));
        match known {
            Some(known) => known.after = after,
            None => self.parents.push(Parent {
                directory: rustix::io::dup(&parent)?,
                device: before.st_dev,
                inode: before.st_ino,
                before: mtime(&before),
                after,
            }),
        }
        self.made.push(Stub { parent, name, state });
        Ok(())
    }

    /// Removes what is still as it was made: files that are empty, directories that have become
    /// empty, with the owner and mode they were given. A directory that they were in gets the
    /// time back that it would have without them.
    pub(crate) fn remove(self) {
        let times: Vec<(Parent, Option<Mtime>)> = self
            .parents
            .into_iter()
            .map(|parent| {
                let now = rustix::fs::fstat(&parent.directory).ok().map(|stat| mtime(&stat));
                let then = if now == Some(parent.after) { Some(parent.before) } else { now };
                (parent, then)
            })
            .collect();
        // Children were made after their parents.
        for stub in self.made.into_iter().rev() {
            stub.remove();
        }
        for (parent, then) in times {
            if let Some((seconds, nanoseconds)) = then {
                set_mtime(parent.directory.as_fd(), seconds, nanoseconds);
            }
        }
    }
}

impl Stub {
    /// What has been changed or filled since is the container's, and stays.
    fn remove(self) {
        let Ok(stat) = stat_of(&self.parent, &self.name) else { return };
        if State::of(&stat) != self.state {
            return;
        }
        let flags = if self.state.is_directory() { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        if self.state.is_directory() || stat.st_size == 0 {
            match rustix::fs::unlinkat(&self.parent, self.name.as_os_str(), flags) {
                Ok(()) | Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT) => {}
                Err(errno) => {
                    tracing::warn!(name = ?self.name, %errno, "cannot remove a mount point");
                }
            }
        }
    }
}

/// Sets the time of a directory. `.` because the descriptor is one of a path only, which futimens(2) does not take.
pub(crate) fn set_mtime(directory: BorrowedFd<'_>, seconds: i64, nanoseconds: u64) {
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: seconds, tv_nsec: nanoseconds as _ },
    };
    match rustix::fs::utimensat(directory, c".", &times, AtFlags::empty()) {
        // It was a stub itself, and is gone.
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => tracing::warn!(%errno, "cannot restore the time of a directory"),
    }
}
