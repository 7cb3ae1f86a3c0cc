//! A regular file, and all that is to be known of it, through one opened handle: the path to it is
//! walked once.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::{Errno, Result};

use super::dir::{checked, sized};
use super::{Dir, Metadata};

impl Dir {
    /// The regular file `name` for reading, and what it is.
    ///
    /// # Errors
    /// If it is none.
    pub(crate) fn open_file_with_metadata(&self, name: &OsStr) -> Result<(File, Metadata)> {
        // NONBLOCK: opening a fifo must not wait for its writer.
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        rustix::fs::openat(self, checked(name)?, flags, Mode::empty()).and_then(regular)
    }
}

/// The file behind `fd`, if it is a regular one, and what it is.
pub(super) fn regular(fd: OwnedFd) -> Result<(File, Metadata)> {
    let stat = rustix::fs::fstat(&fd)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok((File::from(fd), Metadata::from(&stat))),
        FileType::Directory => Err(Errno::ISDIR),
        _ => Err(Errno::INVAL),
    }
}

/// The extended attributes of an open file or directory, sorted by their names.
///
/// # Errors
/// If the system refuses; a file system without them has none.
pub(crate) fn opened_xattrs(file: impl AsFd) -> Result<Vec<(OsString, Vec<u8>)>> {
    opened_xattrs_if(file, |_| true)
}

/// As [`opened_xattrs`], those with names that are wanted.
///
/// # Errors
/// As [`opened_xattrs`].
pub(super) fn opened_xattrs_if(
    file: impl AsFd,
    wanted: impl Fn(&OsStr) -> bool,
) -> Result<Vec<(OsString, Vec<u8>)>> {
    let mut list = Vec::new();
    match sized(&mut list, |list| rustix::fs::flistxattr(&file, list)) {
        Ok(()) => {}
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        Err(e) => return Err(e),
    }
    listed_xattrs(&list, wanted, |key| opened_xattr(&file, key))
}

/// The attributes of a list as the system gives it, each ended by a zero byte, sorted by their
/// names.
pub(super) fn listed_xattrs(
    list: &[u8],
    wanted: impl Fn(&OsStr) -> bool,
    read: impl Fn(&OsStr) -> Result<Option<Vec<u8>>>,
) -> Result<Vec<(OsString, Vec<u8>)>> {
    let mut found = Vec::new();
    let keys = list.split(|b| *b == 0).filter(|key| !key.is_empty()).map(OsStr::from_bytes);
    for key in keys.filter(|key| wanted(key)) {
        // It may have gone meanwhile.
        if let Some(value) = read(key)? {
            found.push((key.to_owned(), value));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The extended attribute `key` of an open file or directory; `None` if it has no such.
///
/// # Errors
/// If the system refuses.
pub(super) fn opened_xattr(file: impl AsFd, key: &OsStr) -> Result<Option<Vec<u8>>> {
    let mut value = Vec::new();
    match sized(&mut value, |value| rustix::fs::fgetxattr(&file, key, value)) {
        Ok(()) => Ok(Some(value)),
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(None),
        Err(e) => Err(e),
    }
}
