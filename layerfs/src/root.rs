//! The only way into an untrusted tree.
//!
//! The names and symlinks of a tree are what somebody else's image says they are. A path is
//! therefore never joined to the tree's place and handed to the kernel: it is resolved by
//! `openat2(2)` with the tree as its root, so that `..` stops at the tree's root, absolute
//! symlinks begin there, and magic links lead nowhere. What is done to an entry is then done by
//! a single name inside an open directory ([`Dir`]), never through a symlink of that name.

mod dir;
mod ensure;
mod metadata;
mod opened;
mod remove;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

pub use dir::Dir;
pub(crate) use dir::check_name;
pub use metadata::{FileKind, Metadata, Timestamp};
pub(crate) use opened::opened_xattrs;

use crate::{Error, Result};

/// A directory tree that nobody leaves: paths are resolved inside it.
///
/// Paths are bytes, with or without a leading slash; `""`, `"."` and `"/"` are the root itself.
/// Symlinks in the middle of a path are followed inside the tree; the last component is followed
/// only where a function says so.
#[derive(Debug)]
pub struct Root(Dir);

impl Root {
    /// The tree at `path`, which the caller trusts.
    ///
    /// # Errors
    /// If `path` is no directory that can be opened.
    pub fn open(path: &Path) -> Result<Root> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, path, flags, Mode::empty())
            .map_err(|e| Error::tree("open the tree at", path, e))?;
        Ok(Root(Dir::from_fd(fd)))
    }

    /// The tree below an open directory, for example a detached mount.
    pub fn from_fd(fd: OwnedFd) -> Root {
        Root(Dir::from_fd(fd))
    }

    /// A second handle on the same tree.
    ///
    /// # Errors
    /// If no file descriptor can be had.
    pub fn try_clone(&self) -> Result<Root> {
        self.0.try_clone().map(Root).map_err(|e| Error::tree("open", "/", e))
    }

    /// The root directory itself.
    pub fn top(&self) -> &Dir {
        &self.0
    }

    /// The root directory itself, alone.
    pub(crate) fn into_top(self) -> Dir {
        self.0
    }

    /// The handle as the owned file descriptor.
    pub fn into_fd(self) -> OwnedFd {
        self.0.into_fd()
    }

    /// The directory at `path`, symlinks followed, also the last.
    ///
    /// # Errors
    /// If there is no such directory.
    pub fn open_dir(&self, path: impl AsRef<Path>) -> Result<Dir> {
        let path = path.as_ref();
        self.resolve(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
            .map(Dir::from_fd)
            .map_err(|e| Error::tree("open the directory", path, e))
    }

    /// The directory at `path` as a tree of its own, which nothing in it leaves.
    ///
    /// # Errors
    /// If there is no such directory.
    pub fn subtree(&self, path: impl AsRef<Path>) -> Result<Root> {
        self.open_dir(path).map(Root)
    }

    /// The regular file at `path` for reading, symlinks followed, also the last.
    ///
    /// # Errors
    /// If there is no such file, or if it is not a regular one.
    pub fn open_file(&self, path: impl AsRef<Path>) -> Result<File> {
        let path = path.as_ref();
        // NONBLOCK: opening a fifo must not wait for its writer.
        self.resolve(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY, Mode::empty())
            .and_then(opened::regular)
            .map(|(file, _)| file)
            .map_err(|e| Error::tree("open the file", path, e))
    }

    /// The directory that holds `path`'s last component, and that component.
    ///
    /// # Errors
    /// If the directory does not exist, or if `path` names the root or ends in `..`.
    pub fn parent<'a>(&self, path: &'a Path) -> Result<(Dir, &'a OsStr)> {
        let (parent, name) =
            split(path).ok_or_else(|| Error::tree("reach the parent of", path, Errno::INVAL))?;
        Ok((self.open_dir(parent)?, name))
    }

    /// What is at `path`, symlinks in the middle followed and the last not; `None` if nothing.
    ///
    /// # Errors
    /// If the system cannot say.
    pub fn stat(&self, path: impl AsRef<Path>) -> Result<Option<Metadata>> {
        self.metadata_of(path.as_ref(), OFlags::PATH | OFlags::NOFOLLOW)
    }

    /// What is at `path`, all symlinks followed; `None` if nothing.
    ///
    /// # Errors
    /// If the system cannot say.
    pub fn stat_followed(&self, path: impl AsRef<Path>) -> Result<Option<Metadata>> {
        self.metadata_of(path.as_ref(), OFlags::PATH)
    }

    fn metadata_of(&self, path: &Path, flags: OFlags) -> Result<Option<Metadata>> {
        match self.resolve(path, flags, Mode::empty()) {
            Ok(fd) => rustix::fs::fstat(&fd)
                .map(|stat| Some(Metadata::from(&stat)))
                .map_err(|e| Error::tree("examine", path, e)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(e) => Err(Error::tree("examine", path, e)),
        }
    }

    /// Where the symlink at `path` points.
    ///
    /// # Errors
    /// If `path` is no symlink.
    pub fn read_link(&self, path: impl AsRef<Path>) -> Result<PathBuf> {
        let path = path.as_ref();
        let (dir, name) = self.parent(path)?;
        dir.read_link(name).map_err(|e| Error::tree("read the symlink", path, e))
    }

    /// Creates the regular file `path`, which must not exist, with the permission bits `mode`
    /// less the process's umask.
    ///
    /// # Errors
    /// If it exists or cannot be created.
    pub fn create_file(&self, path: impl AsRef<Path>, mode: u32) -> Result<File> {
        let path = path.as_ref();
        let (dir, name) = self.parent(path)?;
        dir.create_file(name, mode).map_err(|e| Error::tree("create the file", path, e))
    }

    /// Creates the directory `path` with exactly the permission bits `mode`.
    ///
    /// # Errors
    /// If it exists or cannot be created.
    pub fn mkdir(&self, path: impl AsRef<Path>, mode: u32) -> Result<()> {
        let path = path.as_ref();
        let (dir, name) = self.parent(path)?;
        dir.mkdir(name, mode)
            .and_then(|()| dir.chmod(name, mode))
            .map_err(|e| Error::tree("create the directory", path, e))
    }

    /// Creates the symlink `path` that points to `target`, which is not looked at.
    ///
    /// # Errors
    /// If `path` exists or cannot be created.
    pub fn symlink(&self, target: impl AsRef<Path>, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let (dir, name) = self.parent(path)?;
        dir.symlink(target.as_ref(), name).map_err(|e| Error::tree("create the symlink", path, e))
    }

    /// Creates the hard link `path` to the file `existing`, whose last component is not followed.
    ///
    /// # Errors
    /// If `existing` does not exist or is a directory, or if `path` cannot be created.
    pub fn hard_link(&self, existing: impl AsRef<Path>, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let (from, from_name) = self.parent(existing.as_ref())?;
        let (dir, name) = self.parent(path)?;
        dir.hard_link(&from, from_name, name)
            .map_err(|e| Error::tree("create the hard link", path, e))
    }

    /// Creates the device, fifo or socket `path` with exactly the permission bits `mode`;
    /// `rdev` is the device's (major, minor).
    ///
    /// # Errors
    /// If `path` exists or cannot be created.
    pub fn mknod(
        &self,
        path: impl AsRef<Path>,
        kind: FileKind,
        mode: u32,
        rdev: (u32, u32),
    ) -> Result<()> {
        let path = path.as_ref();
        let (dir, name) = self.parent(path)?;
        dir.mknod(name, kind, mode, rdev)
            .and_then(|()| dir.chmod(name, mode))
            .map_err(|e| Error::tree("create the special file", path, e))
    }

    /// Gives what is at `path` to `uid` and `gid`; the last component is not followed.
    ///
    /// # Errors
    /// If it does not exist or the system refuses.
    pub fn chown(&self, path: impl AsRef<Path>, uid: u32, gid: u32) -> Result<()> {
        self.on_entry(path.as_ref(), "change the owner of", |dir, name| dir.chown(name, uid, gid))
    }

    /// Sets the permission bits of what is at `path`; the last component is not followed.
    ///
    /// # Errors
    /// If it does not exist, is a symlink, or the system refuses.
    pub fn chmod(&self, path: impl AsRef<Path>, mode: u32) -> Result<()> {
        self.on_entry(path.as_ref(), "change the mode of", |dir, name| dir.chmod(name, mode))
    }

    /// Sets the modification time of what is at `path`, and its access time to the same; the last
    /// component is not followed.
    ///
    /// # Errors
    /// If it does not exist or the system refuses.
    pub fn set_mtime(&self, path: impl AsRef<Path>, mtime: Timestamp) -> Result<()> {
        self.on_entry(path.as_ref(), "change the time of", |dir, name| dir.set_mtime(name, mtime))
    }

    /// The extended attributes of what is at `path`, sorted by name; the last component is not
    /// followed.
    ///
    /// # Errors
    /// If it does not exist or the system refuses.
    pub fn xattrs(&self, path: impl AsRef<Path>) -> Result<Vec<(OsString, Vec<u8>)>> {
        self.on_entry(path.as_ref(), "read the extended attributes of", Dir::xattrs)
    }

    /// Sets the extended attribute `key` of what is at `path`; the last component is not followed.
    ///
    /// # Errors
    /// If it does not exist or the system refuses.
    pub fn set_xattr(&self, path: impl AsRef<Path>, key: &OsStr, value: &[u8]) -> Result<()> {
        self.on_entry(path.as_ref(), "set an extended attribute of", |dir, name| {
            dir.set_xattr(name, key, value)
        })
    }

    /// Removes what is at `path` unless it is a directory.
    ///
    /// # Errors
    /// If it does not exist or is a directory.
    pub fn unlink(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let (dir, name) = self.parent(path)?;
        dir.unlink(name).map_err(|e| Error::tree("remove", path, e))
    }

    /// Moves what is at `from` to `to`, replacing what is there as `rename(2)` does.
    ///
    /// # Errors
    /// As `rename(2)`.
    pub fn rename(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<()> {
        let (from_dir, from_name) = self.parent(from.as_ref())?;
        let (to_dir, to_name) = self.parent(to.as_ref())?;
        from_dir
            .rename(from_name, &to_dir, to_name)
            .map_err(|e| Error::tree("rename", from.as_ref(), e))
    }

    /// Removes what is at `path` and, if it is a directory, all below it, however deep. Nothing
    /// being there is no error.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub fn remove_tree(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        match self.parent(path) {
            Ok((dir, name)) => dir.remove_tree(name).map_err(|e| Error::tree("remove", path, e)),
            Err(e) if e.io_kind() == Some(std::io::ErrorKind::NotFound) => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// The names in the directory `path` with their kinds, sorted by their bytes.
    ///
    /// # Errors
    /// If there is no such directory.
    pub fn read_dir(&self, path: impl AsRef<Path>) -> Result<Vec<(OsString, FileKind)>> {
        let path = path.as_ref();
        self.open_dir(path)?.read().map_err(|e| Error::tree("list the directory", path, e))
    }

    fn on_entry<T>(
        &self,
        path: &Path,
        operation: &'static str,
        act: impl FnOnce(&Dir, &OsStr) -> rustix::io::Result<T>,
    ) -> Result<T> {
        match split(path) {
            Some((parent, name)) => act(&self.open_dir(parent)?, name),
            None if components(path).next().is_none() => act(&self.0, OsStr::new(".")),
            None => Err(Errno::INVAL),
        }
        .map_err(|e| Error::tree(operation, path, e))
    }

    fn resolve(&self, path: &Path, flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        // The kernel answers EAGAIN when a rename elsewhere kept it from being sure about `..`.
        let mut attempts = 0;
        loop {
            match rustix::fs::openat2(self.as_fd(), path, flags | OFlags::CLOEXEC, mode, resolve) {
                Err(Errno::AGAIN) if attempts < 100 => attempts += 1,
                answer => return answer,
            }
        }
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The components of a path that mean something, `..` among them.
pub(crate) fn components(path: &Path) -> impl DoubleEndedIterator<Item = &OsStr> {
    path.as_os_str()
        .as_bytes()
        .split(|b| *b == b'/')
        .filter(|c| !c.is_empty() && *c != b".")
        .map(OsStr::from_bytes)
}

/// The parent and the last component; `None` if that is not a plain name.
fn split(path: &Path) -> Option<(&Path, &OsStr)> {
    let bytes = path.as_os_str().as_bytes();
    let end = bytes.iter().rposition(|b| *b != b'/')? + 1;
    let start = bytes[..end].iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1);
    let name = OsStr::from_bytes(&bytes[start..end]);
    check_name(name).ok()?;
    Some((Path::new(OsStr::from_bytes(&bytes[..start])), name))
}
