//! An open directory, and what is done to single names in it.
//!
//! Every function takes one name, refuses `..` and slashes, and never follows a symlink of that
//! name. Errors are the system's bare answers: whoever knows the whole path adds it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, RawDir, RenameFlags, SeekFrom, Uid, XattrFlags,
};
use rustix::io::{Errno, Result};

use super::opened::{listed_xattrs, opened_xattr, opened_xattrs_if};
use super::{FileKind, Metadata, Timestamp};

/// The kernel's limit for one attribute's value and for the list of their names, in bytes.
const MAX_XATTR: usize = 64 * 1024;

/// An open directory.
#[derive(Debug)]
pub struct Dir(OwnedFd);

impl Dir {
    /// The directory that `fd` is open on.
    pub(crate) fn from_fd(fd: OwnedFd) -> Dir {
        Dir(fd)
    }

    /// The handle as the owned file descriptor.
    pub(crate) fn into_fd(self) -> OwnedFd {
        self.0
    }

    /// A second handle on the same directory.
    ///
    /// # Errors
    /// If no file descriptor can be had.
    pub fn try_clone(&self) -> Result<Dir> {
        rustix::io::fcntl_dupfd_cloexec(&self.0, 0).map(Dir)
    }

    /// The directory `name` in this one.
    ///
    /// # Errors
    /// If it is none; a symlink is `ENOTDIR`.
    pub fn open_dir(&self, name: impl AsRef<OsStr>) -> Result<Dir> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.0, checked(name.as_ref())?, flags, Mode::empty()).map(Dir)
    }

    /// The regular file `name` for reading.
    ///
    /// # Errors
    /// If it is none.
    pub fn open_file(&self, name: impl AsRef<OsStr>) -> Result<File> {
        self.open_file_with_metadata(name.as_ref()).map(|(file, _)| file)
    }

    /// Creates the regular file `name` for writing, with the bits `mode & 0o777` less the
    /// process's umask.
    ///
    /// # Errors
    /// If `name` exists or cannot be created.
    pub fn create_file(&self, name: impl AsRef<OsStr>, mode: u32) -> Result<File> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.0, checked(name.as_ref())?, flags, bits(mode & 0o777))
            .map(File::from)
    }

    /// Creates the directory `name` with the bits `mode` less the process's umask.
    ///
    /// # Errors
    /// If `name` exists or cannot be created.
    pub fn mkdir(&self, name: impl AsRef<OsStr>, mode: u32) -> Result<()> {
        rustix::fs::mkdirat(&self.0, checked(name.as_ref())?, bits(mode))
    }

    /// Creates the symlink `name` that points to `target`.
    ///
    /// # Errors
    /// If `name` exists or cannot be created.
    pub fn symlink(&self, target: &Path, name: impl AsRef<OsStr>) -> Result<()> {
        rustix::fs::symlinkat(target, &self.0, checked(name.as_ref())?)
    }

    /// Creates the hard link `name` to `from_name` in `from`, which is not followed.
    ///
    /// # Errors
    /// If `name` exists, `from_name` does not, or the link cannot be created.
    pub fn hard_link(&self, from: &Dir, from_name: &OsStr, name: &OsStr) -> Result<()> {
        let empty = AtFlags::empty();
        rustix::fs::linkat(&from.0, checked(from_name)?, &self.0, checked(name)?, empty)
    }

    /// Creates the device, fifo or socket `name` with the bits `mode` less the process's umask.
    ///
    /// # Errors
    /// If `name` exists or cannot be created.
    pub fn mknod(
        &self,
        name: impl AsRef<OsStr>,
        kind: FileKind,
        mode: u32,
        (major, minor): (u32, u32),
    ) -> Result<()> {
        let dev = rustix::fs::makedev(major, minor);
        rustix::fs::mknodat(&self.0, checked(name.as_ref())?, kind.to_type(), bits(mode), dev)
    }

    /// What is at `name`; `None` if nothing.
    ///
    /// # Errors
    /// If the system cannot say.
    pub fn stat(&self, name: impl AsRef<OsStr>) -> Result<Option<Metadata>> {
        match rustix::fs::statat(&self.0, checked(name.as_ref())?, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Metadata::from(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// What this directory is.
    ///
    /// # Errors
    /// If the system cannot say.
    pub fn metadata(&self) -> Result<Metadata> {
        rustix::fs::fstat(&self.0).map(|stat| Metadata::from(&stat))
    }

    /// Where the symlink `name` points.
    ///
    /// # Errors
    /// If `name` is no symlink.
    pub fn read_link(&self, name: impl AsRef<OsStr>) -> Result<PathBuf> {
        let target = rustix::fs::readlinkat(&self.0, checked(name.as_ref())?, Vec::new())?;
        Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
    }

    /// Gives `name` to `uid` and `gid`.
    ///
    /// # Errors
    /// If it does not exist or the system refuses.
    pub fn chown(&self, name: impl AsRef<OsStr>, uid: u32, gid: u32) -> Result<()> {
        rustix::fs::chownat(
            &self.0,
            checked_or_self(name.as_ref())?,
            Some(Uid::from_raw(uid)),
            Some(Gid::from_raw(gid)),
            AtFlags::SYMLINK_NOFOLLOW,
        )
    }

    /// Sets the permission bits of `name`.
    ///
    /// # Errors
    /// If it does not exist, is a symlink, or the system refuses.
    pub fn chmod(&self, name: impl AsRef<OsStr>, mode: u32) -> Result<()> {
        // `fchmodat` follows symlinks, and its successor that does not came with Linux 6.6.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let name = checked_or_self(name.as_ref())?;
        let fd = rustix::fs::openat(&self.0, name, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&fd)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
            return Err(Errno::LOOP);
        }
        rustix::fs::chmodat(CWD, link_to(fd.as_fd()), bits(mode), AtFlags::empty())
    }

    /// Sets the modification time of `name`, and its access time to the same.
    ///
    /// # Errors
    /// If it does not exist or the system refuses.
    pub fn set_mtime(&self, name: impl AsRef<OsStr>, mtime: Timestamp) -> Result<()> {
        let name = checked_or_self(name.as_ref())?;
        rustix::fs::utimensat(&self.0, name, &mtime.both(), AtFlags::SYMLINK_NOFOLLOW)
    }

    /// The extended attributes of `name`, sorted by their names.
    ///
    /// # Errors
    /// If it does not exist or the system refuses; a file system without them has none.
    pub fn xattrs(&self, name: &OsStr) -> Result<Vec<(OsString, Vec<u8>)>> {
        self.xattrs_if(name, |_| true)
    }

    /// As [`xattrs`](Dir::xattrs), those with names that are wanted.
    ///
    /// # Errors
    /// As [`xattrs`](Dir::xattrs).
    pub(crate) fn xattrs_if(
        &self,
        name: &OsStr,
        wanted: impl Fn(&OsStr) -> bool,
    ) -> Result<Vec<(OsString, Vec<u8>)>> {
        if name == "." {
            return opened_xattrs_if(&self.0, wanted);
        }
        let path = self.through_proc(name)?;
        let mut list: Vec<u8> = Vec::new();
        match sized(&mut list, |list| rustix::fs::llistxattr(path.as_path(), list)) {
            Ok(()) => {}
            Err(Errno::NOTSUP) => return Ok(Vec::new()),
            Err(e) => return Err(e),
        }
        listed_xattrs(&list, wanted, |key| read_xattr(&path, key))
    }

    /// The extended attribute `key` of `name`; `None` if it has no such.
    ///
    /// # Errors
    /// If `name` does not exist or the system refuses.
    pub fn xattr(&self, name: &OsStr, key: &OsStr) -> Result<Option<Vec<u8>>> {
        if name == "." {
            return opened_xattr(&self.0, key);
        }
        read_xattr(&self.through_proc(name)?, key)
    }

    /// Sets the extended attribute `key` of `name`.
    ///
    /// # Errors
    /// If `name` does not exist or the system refuses.
    pub fn set_xattr(&self, name: impl AsRef<OsStr>, key: &OsStr, value: &[u8]) -> Result<()> {
        let path = self.through_proc(name.as_ref())?;
        rustix::fs::lsetxattr(path, key, value, XattrFlags::empty())
    }

    /// Removes the extended attribute `key` of `name`. Its not being there is no error.
    ///
    /// # Errors
    /// If `name` does not exist or the system refuses.
    pub fn remove_xattr(&self, name: impl AsRef<OsStr>, key: &OsStr) -> Result<()> {
        match rustix::fs::lremovexattr(self.through_proc(name.as_ref())?, key) {
            Err(Errno::NODATA | Errno::NOTSUP) => Ok(()),
            answer => answer,
        }
    }

    /// Removes `name` unless it is a directory.
    ///
    /// # Errors
    /// If it does not exist or is a directory.
    pub fn unlink(&self, name: impl AsRef<OsStr>) -> Result<()> {
        rustix::fs::unlinkat(&self.0, checked(name.as_ref())?, AtFlags::empty())
    }

    /// Removes the empty directory `name`.
    ///
    /// # Errors
    /// If it does not exist, is no directory, or is not empty.
    pub fn rmdir(&self, name: impl AsRef<OsStr>) -> Result<()> {
        rustix::fs::unlinkat(&self.0, checked(name.as_ref())?, AtFlags::REMOVEDIR)
    }

    /// Moves `name` to `to_name` in `to`.
    ///
    /// # Errors
    /// As `rename(2)`.
    pub fn rename(&self, name: &OsStr, to: &Dir, to_name: &OsStr) -> Result<()> {
        rustix::fs::renameat(&self.0, checked(name)?, &to.0, checked(to_name)?)
    }

    /// Moves `name` to `to_name` in `to`, where nothing may be.
    ///
    /// # Errors
    /// As `rename(2)`, and `EEXIST` if something is there.
    pub fn rename_noreplace(&self, name: &OsStr, to: &Dir, to_name: &OsStr) -> Result<()> {
        let flags = RenameFlags::NOREPLACE;
        rustix::fs::renameat_with(&self.0, checked(name)?, &to.0, checked(to_name)?, flags)
    }

    /// The names in this directory with their kinds, sorted by their bytes.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&self) -> Result<Vec<(OsString, FileKind)>> {
        // A handle of its own, because reading moves the handle's position.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        self.read_from(rustix::fs::openat(&self.0, ".", flags, Mode::empty())?.as_fd())
    }

    /// As [`read`](Dir::read), without a further handle: nobody else reads by this one.
    ///
    /// # Errors
    /// As [`read`](Dir::read).
    pub(crate) fn read_by_itself(&mut self) -> Result<Vec<(OsString, FileKind)>> {
        rustix::fs::seek(&self.0, SeekFrom::Start(0))?;
        self.read_from(self.0.as_fd())
    }

    fn read_from(&self, fd: BorrowedFd<'_>) -> Result<Vec<(OsString, FileKind)>> {
        let mut names = Vec::new();
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let mut entries = RawDir::new(fd, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let name = OsStr::from_bytes(name).to_owned();
            let kind = match entry.file_type() {
                // Some file systems leave the kind to `stat`.
                FileType::Unknown => match self.stat(&name)? {
                    Some(metadata) => metadata.kind,
                    None => continue,
                },
                kind => FileKind::from_type(kind),
            };
            names.push((name, kind));
        }
        names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(names)
    }

    /// The path by which the calls that only take paths reach `name`. They are the ones on
    /// extended attributes that do not follow a symlink in the last place.
    fn through_proc(&self, name: &OsStr) -> Result<PathBuf> {
        let name = checked_or_self(name)?;
        let mut path = link_to(self.0.as_fd()).into_os_string();
        path.push("/");
        path.push(name);
        Ok(path.into())
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn link_to(fd: BorrowedFd<'_>) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

fn read_xattr(path: &Path, key: &OsStr) -> Result<Option<Vec<u8>>> {
    let mut value = Vec::new();
    match sized(&mut value, |value| rustix::fs::lgetxattr(path, key, value)) {
        Ok(()) => Ok(Some(value)),
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Calls `read` with a small buffer, and with the largest that the kernel fills if that is not
/// enough.
pub(super) fn sized(
    out: &mut Vec<u8>,
    mut read: impl FnMut(&mut [u8]) -> Result<usize>,
) -> Result<()> {
    let mut small = [0; 256];
    match read(&mut small) {
        Ok(n) => out.extend_from_slice(&small[..n]),
        Err(Errno::RANGE) => {
            out.resize(MAX_XATTR, 0);
            let n = read(out)?;
            out.truncate(n);
        }
        Err(e) => return Err(e),
    }
    Ok(())
}

fn bits(mode: u32) -> Mode {
    Mode::from_raw_mode(mode & 0o7777)
}

/// Refuses what is not the plain name of one entry.
pub(crate) fn check_name(name: &OsStr) -> Result<()> {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes == b"." || bytes == b".." || bytes.contains(&b'/') {
        return Err(Errno::INVAL);
    }
    Ok(())
}

pub(super) fn checked(name: &OsStr) -> Result<&OsStr> {
    check_name(name).map(|()| name)
}

/// As [`checked`], and `.` for the directory itself.
fn checked_or_self(name: &OsStr) -> Result<&OsStr> {
    if name == "." { Ok(name) } else { checked(name) }
}
