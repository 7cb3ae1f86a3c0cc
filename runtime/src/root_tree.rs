//! The container's file tree as it will be, walked before it is.
//!
//! Mounts are attached by the new process, but their mount points have to be made before. So
//! this walk knows what will be mounted where, and crosses from one tree into the next just as
//! the kernel will. Symbolic links are followed by hand, `..` stops at the root: no path of a
//! hostile image leads outside.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::error::Error;
use crate::stub::Stubs;

/// As many symbolic links as the kernel follows in one path.
const MOST_LINKS: usize = 40;

/// The root, what will be mounted below it, and the mount points made for that.
#[derive(Debug)]
pub(crate) struct RootTree {
    root: OwnedFd,
    mounts: Vec<(PathBuf, Mounted)>,
    stubs: Stubs,
}

/// What is found behind a mount point.
#[derive(Debug)]
enum Mounted {
    /// This tree.
    Tree(OwnedFd),
    /// A file system that only the new process can make.
    Kernel,
}

/// What a mount point has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A directory.
    Directory,
    /// Anything but a directory.
    File,
}

/// How far a walk has come.
struct Walk {
    /// From the root down, with the name of each in its parent. The root is not among them.
    below: Vec<(OsString, OwnedFd)>,
    left: VecDeque<OsString>,
    links: usize,
}

impl RootTree {
    /// A tree with nothing mounted in it yet.
    pub(crate) fn new(root: BorrowedFd<'_>) -> Result<Self, Errno> {
        Ok(Self { root: rustix::io::dup(root)?, mounts: Vec::new(), stubs: Stubs::default() })
    }

    /// What was made so far.
    pub(crate) fn into_stubs(self) -> Stubs {
        self.stubs
    }

    /// Notes that the tree will be mounted at a place that `mount_point` gave.
    pub(crate) fn mounted(&mut self, place: &Path, tree: BorrowedFd<'_>) -> Result<(), Errno> {
        self.mounts.push((place.to_owned(), Mounted::Tree(rustix::io::dup(tree)?)));
        Ok(())
    }

    /// Notes that a file system which does not exist yet will be mounted there.
    pub(crate) fn mounted_by_kernel(&mut self, place: &Path) {
        self.mounts.push((place.to_owned(), Mounted::Kernel));
    }

    /// The place of a system directory, made if it is missing. A symbolic link there is refused.
    pub(crate) fn system_directory(&mut self, path: &Path) -> Result<PathBuf, Error> {
        let place = self.mount_point(path, Kind::Directory)?;
        let expected = path.strip_prefix("/").unwrap_or(path);
        if place == expected {
            Ok(place)
        } else {
            Err(Error::SystemDirectoryIsLink { path: path.to_owned() })
        }
    }

    /// Where a path of the container really is: below the root, without symbolic links. What is
    /// missing is made.
    pub(crate) fn mount_point(&mut self, path: &Path, kind: Kind) -> Result<PathBuf, Error> {
        let place = self
            .walk(path, kind)
            .map_err(|errno| Error::MountPoint { path: path.to_owned(), source: errno.into() })?;
        if place.as_os_str().is_empty() { Err(Error::MountOnRoot) } else { Ok(place) }
    }

    fn walk(&mut self, path: &Path, kind: Kind) -> Result<PathBuf, Errno> {
        let mut walk =
            Walk { below: Vec::new(), left: components(path).collect(), links: MOST_LINKS };
        while let Some(name) = walk.left.pop_front() {
            if name == ".." {
                walk.below.pop();
                continue;
            }
            let place = walk.place().join(&name);
            match self.mounts.iter().rev().find(|(mount, _)| *mount == place) {
                Some((_, Mounted::Tree(tree))) => {
                    walk.below.push((name, rustix::io::dup(tree)?));
                }
                Some((_, Mounted::Kernel)) => return walk.into_unseen(place),
                None => self.step(&mut walk, name, kind)?,
            }
        }
        walk.check(kind)?;
        Ok(walk.place())
    }

    /// Goes to one entry of the directory the walk is in.
    fn step(&mut self, walk: &mut Walk, name: OsString, kind: Kind) -> Result<(), Errno> {
        let here = walk.below.last().map_or(self.root.as_fd(), |(_, directory)| directory.as_fd());
        let entry = match open(here, &name) {
            Err(Errno::NOENT) => {
                let kind = if walk.left.is_empty() { kind } else { Kind::Directory };
                let site = Stubs::before(here)?;
                make(here, &name, kind)?;
                self.stubs.made(site, name.clone())?;
                open(here, &name)?
            }
            result => result?,
        };
        let file_type = FileType::from_raw_mode(rustix::fs::fstat(&entry)?.st_mode);
        if file_type == FileType::Symlink {
            walk.follow(&entry)
        } else {
            walk.below.push((name, entry));
            Ok(())
        }
    }
}

impl Walk {
    fn place(&self) -> PathBuf {
        self.below.iter().map(|(name, _)| name).collect()
    }

    fn follow(&mut self, link: &OwnedFd) -> Result<(), Errno> {
        self.links = self.links.checked_sub(1).ok_or(Errno::LOOP)?;
        let target = rustix::fs::readlinkat(link, c"", Vec::new())?.into_bytes();
        let target = PathBuf::from(OsString::from_vec(target));
        if target.has_root() {
            self.below.clear();
        }
        for name in components(&target).collect::<Vec<_>>().into_iter().rev() {
            self.left.push_front(name);
        }
        Ok(())
    }

    /// The rest of a path in a file system that cannot be looked into yet.
    fn into_unseen(self, place: PathBuf) -> Result<PathBuf, Errno> {
        if self.left.iter().any(|name| name == "..") {
            return Err(Errno::INVAL);
        }
        Ok(self.left.iter().fold(place, |place, name| place.join(name)))
    }

    /// Whether the walk has ended at what was wanted.
    fn check(&self, kind: Kind) -> Result<(), Errno> {
        let Some((_, entry)) = self.below.last() else { return Ok(()) };
        let found = FileType::from_raw_mode(rustix::fs::fstat(entry)?.st_mode);
        match (kind, found == FileType::Directory) {
            (Kind::Directory, false) => Err(Errno::NOTDIR),
            (Kind::File, true) => Err(Errno::ISDIR),
            _ => Ok(()),
        }
    }
}

/// Names of a path; a root and `.` are none.
fn components(path: &Path) -> impl Iterator<Item = OsString> + '_ {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

fn open(directory: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::empty())
}

/// Makes an empty directory or file that all may enter or read, whatever this process's file
/// creation mask.
fn make(directory: BorrowedFd<'_>, name: &OsStr, kind: Kind) -> Result<(), Errno> {
    match kind {
        Kind::Directory => {
            let mode = Mode::from_raw_mode(0o755);
            rustix::fs::mkdirat(directory, name, mode)?;
            rustix::fs::chmodat(directory, name, mode, rustix::fs::AtFlags::empty())
        }
        Kind::File => {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            let mode = Mode::from_raw_mode(0o644);
            let file = rustix::fs::openat(directory, name, flags, mode)?;
            rustix::fs::fchmod(file, mode)
        }
    }
}

#[cfg(test)]
mod tests;
