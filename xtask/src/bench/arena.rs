//! The folder in memory where everything happens.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::step::Result;

/// The kernel's number for tmpfs.
const TMPFS: i64 = 0x0102_1994;

/// A fresh folder on a memory-backed file system; it goes when this is dropped.
pub(crate) struct Arena {
    root: PathBuf,
    filesystem: String,
}

impl Arena {
    /// Makes a folder below `parent`, which must lie in memory.
    pub(crate) fn new(parent: &Path) -> Result<Self> {
        let filesystem = in_memory(parent)?;
        let root = parent.join(format!("tierce-bench-{}", std::process::id()));
        std::fs::create_dir_all(&root)
            .map_err(|e| format!("cannot create {}: {e}", root.display()))?;
        Ok(Arena { root, filesystem })
    }

    /// What it stands on.
    pub(crate) fn filesystem(&self) -> &str {
        &self.filesystem
    }

    /// A path in it.
    pub(crate) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join(name)
    }

    /// A folder in it, made if it is not there.
    pub(crate) fn folder(&self, name: impl AsRef<Path>) -> Result<PathBuf> {
        let path = self.join(name);
        std::fs::create_dir_all(&path)
            .map_err(|e| format!("cannot create {}: {e}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        if let Err(e) = remove(&self.root) {
            eprintln!("xtask: {e}");
        }
    }
}

/// Removes a tree if it is there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {e}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Says what memory-backed file system a path lies on; an error if it is none.
pub(crate) fn in_memory(path: &Path) -> Result<String> {
    if is_tmpfs(path)? {
        return Ok("tmpfs".to_owned());
    }
    let device = std::fs::metadata(path)
        .map_err(|e| format!("cannot look at {}: {e}", path.display()))?
        .dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let backing = format!("/sys/dev/block/{major}:{minor}/loop/backing_file");
    match std::fs::read_to_string(&backing) {
        Ok(file) if is_tmpfs(Path::new(file.trim()))? => {
            Ok("a loop device with its file in tmpfs".to_owned())
        }
        _ => Err(format!(
            "{} is not on a memory-backed file system; times would be the disk's (`--dir` names \
             another folder)",
            path.display()
        )),
    }
}

fn is_tmpfs(path: &Path) -> Result<bool> {
    let found =
        rustix::fs::statfs(path).map_err(|e| format!("cannot look at {}: {e}", path.display()))?;
    Ok(found.f_type == TMPFS)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_from_other_file_systems() {
        assert_eq!(in_memory(Path::new("/dev/shm")).unwrap(), "tmpfs");
        assert!(in_memory(Path::new("/proc")).unwrap_err().contains("/proc is not on"));
    }

    #[test]
    fn an_arena_goes_with_all_that_is_in_it() {
        let arena = Arena::new(Path::new("/dev/shm")).unwrap();
        let inner = arena.folder("a/b").unwrap();
        assert!(inner.is_dir());
        drop(arena);
        assert!(!inner.exists());
    }
}
