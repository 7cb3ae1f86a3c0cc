//! A directory of a test's own.

use std::path::{Path, PathBuf};

/// A directory that goes with the test: in memory where the machine has a place for that, since
/// stores need extended attributes and devices, and many small files.
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    /// An empty directory.
    pub fn new() -> Scratch {
        let shm = Path::new("/dev/shm");
        let dir = if shm.is_dir() { shm } else { Path::new("/tmp") };
        Scratch(
            tempfile::Builder::new().prefix("tierce-test-").tempdir_in(dir).expect("a directory"),
        )
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A path in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file below it, with the directories it needs, and answers with its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(&path, content).expect("a written file");
        path
    }
}

impl Default for Scratch {
    fn default() -> Scratch {
        Scratch::new()
    }
}
