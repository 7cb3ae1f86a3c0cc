//! Files that appear whole.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use oci::{Algorithm, Digest};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat};

use crate::storage::{Durability, locked};
use crate::{Error, Result};

/// How much is read at a time to compute a digest, in bytes.
const READ: usize = 1 << 20;

/// Names for files on their way. The directory is emptied at the start and one process at a time
/// works in it, so a counter is enough.
pub(super) struct Staging {
    dir: PathBuf,
    next: AtomicU64,
    /// Whether the file system has files without a name, and lets them be given one.
    nameless: bool,
}

/// A file that is whole and not yet in its place.
#[derive(Clone, Copy)]
pub(super) enum Fresh<'a> {
    Named(&'a Path),
    /// It has no name, and goes with its last descriptor.
    Nameless(&'a File),
}

impl Staging {
    /// Makes the directory, or empties it of what another process left when it ended.
    pub(super) fn open(dir: PathBuf) -> Result<Staging> {
        fs::create_dir_all(&dir).map_err(|e| Error::at("create", &dir, e))?;
        for entry in fs::read_dir(&dir).map_err(|e| Error::at("list", &dir, e))? {
            let path = entry.map_err(|e| Error::at("list", &dir, e))?.path();
            fs::remove_file(&path).map_err(|e| Error::at("remove", &path, e))?;
        }
        let mut staging = Staging { dir, next: AtomicU64::new(0), nameless: false };
        staging.nameless = staging.try_nameless();
        Ok(staging)
    }

    #[cfg(test)]
    pub(super) fn with_names(dir: PathBuf) -> Result<Staging> {
        Ok(Staging { nameless: false, ..Staging::open(dir)? })
    }

    /// Not every file system has them, and without `/proc` they get no name.
    fn try_nameless(&self) -> bool {
        let path = self.path();
        let named = self.nameless().and_then(|file| name(&file, &path));
        if let Err(error) = &named {
            tracing::debug!(%error, "every upload has a name");
        }
        // What was not made need not be removed.
        named.is_ok() && fs::remove_file(&path).is_ok()
    }

    pub(super) fn has_nameless(&self) -> bool {
        self.nameless
    }

    /// A file without a name.
    pub(super) fn nameless(&self) -> Result<File> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let opened = rustix::fs::open(&self.dir, flags, Mode::from_raw_mode(0o666));
        opened.map(File::from).map_err(|e| Error::at("create a file in", &self.dir, e.into()))
    }

    pub(super) fn path(&self) -> PathBuf {
        self.dir.join(self.next.fetch_add(1, Ordering::Relaxed).to_string())
    }

    /// Writes a file and then lets it take the place of `target` in one step.
    pub(super) fn replace(&self, target: &Path, bytes: &[u8], disk: &Disk) -> Result<()> {
        let path = self.path();
        let written = create(&path).and_then(|mut file| file.write_all(bytes));
        let placed = written
            .map_err(|e| Error::at("write", &path, e))
            .and_then(|()| disk.sync(&path))
            .and_then(|()| disk.rename(&path, target));
        if placed.is_err() {
            // The first error is the one to tell; what is left here is emptied at the next start.
            let _ = fs::remove_file(&path);
        }
        placed
    }
}

impl Fresh<'_> {
    /// It is not needed.
    pub(super) fn remove(self) -> Result<()> {
        match self {
            Fresh::Named(path) => remove(path).map(drop),
            Fresh::Nameless(_) => Ok(()),
        }
    }
}

/// Gives a file a name that nothing has.
fn name(file: &File, path: &Path) -> Result<()> {
    let opened = format!("/proc/self/fd/{}", file.as_raw_fd());
    linkat(CWD, opened, CWD, path, AtFlags::SYMLINK_FOLLOW)
        .map_err(|e| Error::at("link to", path, e.into()))
}

pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).open(path)
}

/// What is known of a disk: how durable everything must be, and which directories are.
pub(super) struct Disk {
    durability: Durability,
    /// Directories whose names are on the disk. That one is there says nothing: who made it, in
    /// this process or in one that was killed, may not have come so far.
    durable: Mutex<HashSet<PathBuf>>,
}

impl Disk {
    /// A disk on which the directory `root` is.
    pub(super) fn new(root: &Path, durability: Durability) -> Result<Disk> {
        let disk = Disk { durability, durable: Mutex::default() };
        disk.sync_parent(root)?;
        locked(&disk.durable).insert(root.to_owned());
        Ok(disk)
    }

    /// Renames durably, and makes the target's directory if it is not there.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.make_parent(to)?;
        fs::rename(from, to).map_err(|e| Error::at("rename to", to, e))?;
        self.sync_parent(to)
    }

    /// Gives a whole file its place durably, whatever is there; its bytes first.
    pub(super) fn settle_at(&self, fresh: Fresh<'_>, to: &Path, staging: &Staging) -> Result<()> {
        let file = match fresh {
            Fresh::Named(path) => {
                self.sync(path)?;
                return self.rename(path, to);
            }
            Fresh::Nameless(file) => file,
        };
        if self.durability == Durability::Power {
            file.sync_data().map_err(|e| Error::at("sync", to, e))?;
        }
        self.make_parent(to)?;
        match name(file, to) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
                // A link takes nothing's place: a name does.
                let path = staging.path();
                name(file, &path)?;
                self.rename(&path, to)
            }
            named => named.and_then(|()| self.sync_parent(to)),
        }
    }

    /// Links durably, and makes the target's directory if it is not there.
    pub(super) fn link(&self, from: &Path, to: &Path) -> Result<()> {
        self.make_parent(to)?;
        fs::hard_link(from, to).map_err(|e| Error::at("link to", to, e))?;
        self.sync_parent(to)
    }

    /// Makes the directory that a file is to stand in, and its parents, durably.
    pub(super) fn make_parent(&self, path: &Path) -> Result<()> {
        let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else {
            return Ok(());
        };
        let known = self.durability == Durability::Process || self.knows(parent);
        if known && parent.is_dir() {
            return Ok(());
        }
        self.make_parent(parent)?;
        match fs::create_dir(parent) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::at("create", parent, e));
            }
            _ => {}
        }
        self.sync_parent(parent)?;
        locked(&self.durable).insert(parent.to_owned());
        Ok(())
    }

    fn knows(&self, dir: &Path) -> bool {
        locked(&self.durable).contains(dir)
    }

    /// Makes the bytes of a file durable.
    pub(super) fn sync(&self, path: &Path) -> Result<()> {
        if self.durability == Durability::Process {
            return Ok(());
        }
        let synced = File::open(path).and_then(|file| file.sync_data());
        synced.map_err(|e| Error::at("sync", path, e))
    }

    /// Makes the name of a file as durable as its bytes.
    pub(super) fn sync_parent(&self, path: &Path) -> Result<()> {
        let (Durability::Power, Some(parent)) = (self.durability, path.parent()) else {
            return Ok(());
        };
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        let synced = File::open(parent).and_then(|dir| dir.sync_all());
        synced.map_err(|e| Error::at("sync", parent, e))
    }

    /// Makes a file durable that was there before us: it may have come a moment ago, by somebody
    /// who is not yet so far.
    pub(super) fn settle(&self, path: &Path) -> Result<()> {
        self.sync(path)?;
        self.make_parent(path)?;
        self.sync_parent(path)
    }
}

/// The size of a file in bytes, `None` if it is not there.
pub(super) fn size(path: &Path) -> Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.is_file().then_some(metadata.len())),
        Err(e) if is_missing(&e) => Ok(None),
        Err(e) => Err(Error::at("read", path, e)),
    }
}

/// Removes a file; false if it was not there.
pub(super) fn remove(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(e) if is_missing(&e) => Ok(false),
        Err(e) => Err(Error::at("remove", path, e)),
    }
}

pub(super) fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The digest of the first `size` bytes of an open file.
pub(super) fn digest(file: &File, algorithm: Algorithm, size: u64) -> io::Result<Digest> {
    let mut hasher = algorithm.hasher();
    let mut buffer = vec![0; READ];
    let mut position = 0;
    while position < size {
        let wanted = usize::try_from(size - position).unwrap_or(READ).min(READ);
        let count = file.read_at(&mut buffer[..wanted], position)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        hasher.update(&buffer[..count]);
        position += count as u64;
    }
    Ok(hasher.finish())
}
