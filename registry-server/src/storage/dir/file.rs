//! Files that appear whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::storage::Durability;
use crate::{Error, Result};

/// Names for files on their way. The directory is emptied at the start and one process at a time
/// works in it, so a counter is enough.
pub(super) struct Staging {
    dir: PathBuf,
    next: AtomicU64,
}

impl Staging {
    /// Makes the directory, or empties it of what another process left when it ended.
    pub(super) fn open(dir: PathBuf) -> Result<Staging> {
        fs::create_dir_all(&dir).map_err(|e| Error::at("create", &dir, e))?;
        for entry in fs::read_dir(&dir).map_err(|e| Error::at("list", &dir, e))? {
            let path = entry.map_err(|e| Error::at("list", &dir, e))?.path();
            fs::remove_file(&path).map_err(|e| Error::at("remove", &path, e))?;
        }
        Ok(Staging { dir, next: AtomicU64::new(0) })
    }

    pub(super) fn path(&self) -> PathBuf {
        self.dir.join(self.next.fetch_add(1, Ordering::Relaxed).to_string())
    }

    /// Writes a file and then lets it take the place of `target` in one step.
    pub(super) fn replace(
        &self,
        target: &Path,
        bytes: &[u8],
        durability: Durability,
    ) -> Result<()> {
        let path = self.path();
        let written = (|| {
            let mut file = create(&path)?;
            file.write_all(bytes)?;
            if durability == Durability::Power { file.sync_data() } else { Ok(()) }
        })();
        let placed = written
            .map_err(|e| Error::at("write", &path, e))
            .and_then(|()| rename(&path, target, durability));
        if placed.is_err() {
            // The first error is the one to tell; what is left here is emptied at the next start.
            let _ = fs::remove_file(&path);
        }
        placed
    }
}

pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).open(path)
}

/// Renames durably, and makes the target's directory if it is not there.
pub(super) fn rename(from: &Path, to: &Path, durability: Durability) -> Result<()> {
    match fs::rename(from, to) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            make_parent(to, durability)?;
            fs::rename(from, to).map_err(|e| Error::at("rename to", to, e))?;
        }
        other => other.map_err(|e| Error::at("rename to", to, e))?,
    }
    sync_parent(to, durability)
}

/// Links durably, and makes the target's directory if it is not there.
pub(super) fn link(from: &Path, to: &Path, durability: Durability) -> Result<()> {
    make_parent(to, durability)?;
    fs::hard_link(from, to).map_err(|e| Error::at("link to", to, e))?;
    sync_parent(to, durability)
}

/// Makes the directory that a file is to stand in, and its parents.
pub(super) fn make_parent(path: &Path, durability: Durability) -> Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    if parent.as_os_str().is_empty() || parent.is_dir() {
        return Ok(());
    }
    make_parent(parent, durability)?;
    match fs::create_dir(parent) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(Error::at("create", parent, e)),
        Ok(()) => sync_parent(parent, durability),
    }
}

/// Makes the name of a file as durable as its bytes.
pub(super) fn sync_parent(path: &Path, durability: Durability) -> Result<()> {
    let (Durability::Power, Some(parent)) = (durability, path.parent()) else { return Ok(()) };
    let synced = File::open(parent).and_then(|dir| dir.sync_all());
    synced.map_err(|e| Error::at("sync", parent, e))
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
