//! What stands in a root while a container runs where nothing can be mounted, and what it hides.
//!
//! A mount covers what is below it and leaves it as it was. Here the same is done by renaming:
//! what is there goes aside, what is provided takes its place, and in the end all is put back.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, RenameFlags, ResolveFlags, Uid};
use rustix::io::Errno;

use crate::stub::{Mtime, mtime, set_mtime};

/// The most bytes of a file of the machine that are copied into a container.
const MOST_BYTES: u64 = 64 << 20;

/// All that was put into one root, in order.
#[derive(Debug)]
pub(crate) struct Fixtures {
    root: OwnedFd,
    /// Where goes what is hidden: a directory on the root's file system.
    aside: PathBuf,
    placed: Vec<Placed>,
}

/// One thing that was put into the root.
#[derive(Debug)]
struct Placed {
    parent: OwnedFd,
    name: OsString,
    hidden: PathBuf,
    note: PathBuf,
    /// Where it came from, if it goes back there, and where that is noted.
    lent: Option<(PathBuf, PathBuf)>,
    /// When the directory was last changed before.
    before: Mtime,
    /// When it was, with this in it.
    after: Mtime,
}

/// What a file or directory is to be like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Looks {
    /// Permission bits.
    pub(crate) mode: u32,
    /// User and group; `None` where there is only one.
    pub(crate) owner: Option<(u32, u32)>,
}

impl Fixtures {
    /// Nothing yet, for the root; `aside` is a directory on the same file system.
    pub(crate) fn new(root: BorrowedFd<'_>, aside: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&aside)?;
        let fixtures = Self { root: root.try_clone_to_owned()?, aside, placed: Vec::new() };
        fixtures.recover()?;
        Ok(fixtures)
    }

    /// Puts back what was left aside by somebody who was killed.
    fn recover(&self) -> io::Result<()> {
        let mut left: Vec<usize> = Vec::new();
        for entry in fs::read_dir(&self.aside)? {
            left.extend(entry?.file_name().to_str().and_then(|name| name.parse::<usize>().ok()));
        }
        left.sort_unstable();
        for number in left.into_iter().rev() {
            let (hidden, note) = (self.hidden(number), self.note(number));
            let place = PathBuf::from(OsString::from_vec(fs::read(&note)?));
            let name = place.file_name().ok_or(io::ErrorKind::InvalidData)?;
            let parent = open_inside(self.root.as_fd(), place.parent().unwrap_or(Path::new("")))?;
            let lent = self.lent(number);
            self.give_back(&lent, parent.as_fd(), name)?;
            remove_all(parent.as_fd(), name)?;
            rustix::fs::renameat(CWD, &hidden, &parent, name)?;
            fs::remove_file(&note)?;
            remove_if_there(&lent)?;
        }
        Ok(())
    }

    /// Moves what was lent back, if the note says that something was, and its place is empty.
    fn give_back(&self, note: &Path, parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
        let from = match fs::read(note) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            answer => PathBuf::from(OsString::from_vec(answer?)),
        };
        match rustix::fs::renameat_with(parent, name, CWD, &from, RenameFlags::NOREPLACE) {
            // It is back already, or its place went with the lease that it was made under.
            Ok(()) | Err(Errno::EXIST | Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn hidden(&self, number: usize) -> PathBuf {
        self.aside.join(number.to_string())
    }

    /// Where it says what a hidden entry was.
    fn note(&self, number: usize) -> PathBuf {
        self.aside.join(format!("{number}.place"))
    }

    /// Where it says where that came from which stands in its place.
    fn lent(&self, number: usize) -> PathBuf {
        self.aside.join(format!("{number}.lent"))
    }

    /// Puts an empty directory at `place`, a path below the root without links where something
    /// is, and gives it.
    pub(crate) fn directory(&mut self, place: &Path, looks: Looks) -> io::Result<OwnedFd> {
        let (parent, name) = self.hide(place, None)?;
        rustix::fs::mkdirat(&parent, &name, Mode::from_raw_mode(0o700))?;
        let directory = self.seen(parent.as_fd(), &name)?;
        adjust(directory.as_fd(), looks)?;
        Ok(directory)
    }

    /// Puts a file with this content at such a place.
    pub(crate) fn file(&mut self, place: &Path, bytes: &[u8], looks: Looks) -> io::Result<()> {
        let (parent, name) = self.hide(place, None)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&parent, &name, flags, Mode::from_raw_mode(0o600))?;
        let mut file = fs::File::from(file);
        file.write_all(bytes)?;
        adjust(file.as_fd(), looks)?;
        self.seen(parent.as_fd(), &name).map(drop)
    }

    /// Puts a copy of a file or device of the machine at such a place.
    pub(crate) fn copy(&mut self, place: &Path, original: &Path) -> io::Result<()> {
        let stat = rustix::fs::stat(original)?;
        let owner = Some((stat.st_uid, stat.st_gid));
        let looks = Looks { mode: stat.st_mode & 0o7777, owner };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let mut bytes = Vec::new();
                fs::File::open(original)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
                if bytes.len() as u64 > MOST_BYTES {
                    return Err(io::ErrorKind::FileTooLarge.into());
                }
                self.file(place, &bytes, looks)
            }
            kind @ (FileType::CharacterDevice | FileType::BlockDevice) => {
                let (parent, name) = self.hide(place, None)?;
                rustix::fs::mknodat(&parent, &name, kind, Mode::empty(), stat.st_rdev)?;
                let made = self.seen(parent.as_fd(), &name)?;
                adjust(made.as_fd(), looks)
            }
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Moves what is at `path` of the machine to such a place, and back in the end.
    pub(crate) fn lend(&mut self, place: &Path, path: &Path) -> io::Result<()> {
        let (parent, name) = self.hide(place, Some(path.to_owned()))?;
        rustix::fs::renameat(CWD, path, &parent, &name)?;
        self.seen(parent.as_fd(), &name).map(drop)
    }

    /// Puts aside what is at a place.
    fn hide(&mut self, place: &Path, lent: Option<PathBuf>) -> io::Result<(OwnedFd, OsString)> {
        let name = place.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        let parent = open_inside(self.root.as_fd(), place.parent().unwrap_or(Path::new("")))?;
        let before = mtime(&rustix::fs::fstat(&parent)?);
        let number = self.placed.len();
        let (hidden, note) = (self.hidden(number), self.note(number));
        fs::write(&note, place.as_os_str().as_bytes())?;
        if let Some(lent) = &lent {
            fs::write(self.lent(number), lent.as_os_str().as_bytes())?;
        }
        rustix::fs::renameat(&parent, &name, CWD, &hidden)?;
        let again = parent.try_clone()?;
        self.placed.push(Placed {
            parent,
            name: name.clone(),
            hidden,
            note,
            lent: lent.map(|from| (from, self.lent(number))),
            before,
            after: before,
        });
        Ok((again, name))
    }

    /// Notes that the last one stands in its place.
    fn seen(&mut self, parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
        if let Some(last) = self.placed.last_mut() {
            last.after = mtime(&rustix::fs::fstat(parent)?);
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(parent, name, flags, Mode::empty())?)
    }

    /// Puts all back as it was. What the container did to what it was given goes with that, but
    /// for what was lent.
    pub(crate) fn remove(self) {
        for one in self.placed.into_iter().rev() {
            let place = one.name.clone();
            if let Err(error) = one.remove() {
                tracing::warn!(?place, %error, "cannot put back what a container did not see");
            }
        }
    }
}

impl Placed {
    fn remove(self) -> io::Result<()> {
        let now = mtime(&rustix::fs::fstat(&self.parent)?);
        let then = if now == self.after { self.before } else { now };
        match &self.lent {
            Some((from, _)) => rustix::fs::renameat(&self.parent, &self.name, CWD, from)?,
            None => remove_all(self.parent.as_fd(), &self.name)?,
        }
        rustix::fs::renameat(CWD, &self.hidden, &self.parent, &self.name)?;
        fs::remove_file(&self.note)?;
        if let Some((_, note)) = &self.lent {
            fs::remove_file(note)?;
        }
        set_mtime(self.parent.as_fd(), then.0, then.1);
        Ok(())
    }
}

fn remove_if_there(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        answer => answer,
    }
}

/// Removes what is at a name, with all below it, following no link.
fn remove_all(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    let stat = match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(()),
        answer => answer?,
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Ok(rustix::fs::unlinkat(parent, name, AtFlags::empty())?);
    }
    let path = PathBuf::from(format!("/proc/self/fd/{}", parent.as_raw_fd()));
    fs::remove_dir_all(path.join(name))
}

/// A directory below the root, without following a link.
fn open_inside(root: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    loop {
        match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
            // A rename somewhere on the machine; the kernel asks to try again.
            Err(Errno::AGAIN | Errno::INTR) => {}
            answer => return Ok(answer?),
        }
    }
}

/// Gives an open file or directory its owner and mode. Of one that is open as a path only, it is
/// done through `/proc`.
fn adjust(file: BorrowedFd<'_>, looks: Looks) -> io::Result<()> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    if let Some((uid, gid)) = looks.owner {
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        rustix::fs::chownat(CWD, &path, uid, gid, AtFlags::empty())?;
    }
    let mode = Mode::from_raw_mode(looks.mode);
    Ok(rustix::fs::chmodat(CWD, &path, mode, AtFlags::empty())?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

    use super::*;

    const OPEN: Looks = Looks { mode: 0o755, owner: None };

    /// A root with `etc/hosts`, and room beside it.
    fn root() -> (tempfile::TempDir, Fixtures) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("root/etc")).unwrap();
        fs::write(dir.path().join("root/etc/hosts"), "image's").unwrap();
        let root = fs::File::open(dir.path().join("root")).unwrap();
        let fixtures = Fixtures::new(root.as_fd(), dir.path().join("aside")).unwrap();
        (dir, fixtures)
    }

    #[test]
    fn what_was_there_is_there_again() {
        let (dir, mut fixtures) = root();
        let etc = dir.path().join("root/etc");
        let before = fs::metadata(&etc).unwrap().modified().unwrap();
        fixtures
            .file(Path::new("etc/hosts"), b"machine's", Looks { mode: 0o600, owner: None })
            .unwrap();
        assert_eq!(fs::read(etc.join("hosts")).unwrap(), b"machine's");
        fs::write(etc.join("hosts"), "written over").unwrap();
        fixtures.remove();
        assert_eq!(fs::read(etc.join("hosts")).unwrap(), b"image's");
        assert_eq!(fs::metadata(&etc).unwrap().modified().unwrap(), before);
    }

    #[test]
    fn what_the_container_made_beside_it_stays() {
        let (dir, mut fixtures) = root();
        let etc = dir.path().join("root/etc");
        fixtures.file(Path::new("etc/hosts"), b"x", OPEN).unwrap();
        fs::write(etc.join("new"), "").unwrap();
        let changed = fs::metadata(&etc).unwrap().modified().unwrap();
        fixtures.remove();
        assert!(etc.join("new").exists());
        assert_eq!(fs::metadata(&etc).unwrap().modified().unwrap(), changed);
    }

    #[test]
    fn what_was_lent_goes_back_with_what_was_written_to_it() {
        let (dir, mut fixtures) = root();
        let lent = dir.path().join("cache");
        fs::create_dir(&lent).unwrap();
        fixtures.lend(Path::new("etc"), &lent).unwrap();
        fs::write(dir.path().join("root/etc/kept"), "x").unwrap();
        fixtures.remove();
        assert!(lent.join("kept").exists());
        assert!(dir.path().join("root/etc/hosts").exists());
    }

    #[test]
    fn what_a_killed_one_left_is_put_back() {
        let (dir, mut fixtures) = root();
        let etc = dir.path().join("root/etc");
        fixtures.file(Path::new("etc/hosts"), b"x", OPEN).unwrap();
        let made = fixtures.directory(Path::new("etc"), OPEN).unwrap();
        drop((made, fixtures));
        assert!(!etc.join("hosts").exists());
        let root = fs::File::open(dir.path().join("root")).unwrap();
        Fixtures::new(root.as_fd(), dir.path().join("aside")).unwrap();
        assert_eq!(fs::read(etc.join("hosts")).unwrap(), b"image's");
        assert_eq!(fs::read_dir(dir.path().join("aside")).unwrap().count(), 0);
    }

    #[test]
    fn what_was_lent_to_a_killed_one_goes_back_too() {
        let (dir, mut fixtures) = root();
        let lent = dir.path().join("volume");
        fs::create_dir(&lent).unwrap();
        fixtures.lend(Path::new("etc"), &lent).unwrap();
        fs::write(dir.path().join("root/etc/kept"), "x").unwrap();
        drop(fixtures);
        let root = fs::File::open(dir.path().join("root")).unwrap();
        Fixtures::new(root.as_fd(), dir.path().join("aside")).unwrap();
        assert!(lent.join("kept").exists());
        assert!(dir.path().join("root/etc/hosts").exists());
        assert_eq!(fs::read_dir(dir.path().join("aside")).unwrap().count(), 0);
    }

    #[test]
    fn a_link_is_not_followed() {
        let (dir, mut fixtures) = root();
        std::os::unix::fs::symlink("/", dir.path().join("root/out")).unwrap();
        assert!(fixtures.file(Path::new("out/x"), b"", OPEN).is_err());
    }
}
