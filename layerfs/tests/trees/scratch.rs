//! Directories to work in.

use std::path::{Path, PathBuf};

use layerfs::{ApplyOptions, Committed, OverlaySnapshotter, Place, Root};

/// A directory that goes away with its content.
pub(crate) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(crate) fn new() -> Scratch {
        Scratch(tempfile::Builder::new().prefix("tierce-trees-").tempdir().unwrap())
    }

    /// A new directory in it, as a layer's root should be.
    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.0.path().join(name);
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// A new directory in it, whatever its name.
    pub(crate) fn fresh(&self) -> layerfs::Result<PathBuf> {
        let made = tempfile::Builder::new().prefix("fresh-").tempdir_in(self.path()).unwrap();
        Ok(made.keep())
    }

    /// A layer unpacked from `tar`.
    pub(crate) fn layer(&self, name: &str, tar: &[u8]) -> Committed {
        let tree = self.dir(name);
        let root = Root::open(&tree).unwrap();
        layerfs::apply_layer(&mut &tar[..], &root, &ApplyOptions::default()).unwrap();
        Committed { tree }
    }

    pub(crate) fn place(&self, name: &str) -> Place {
        let upper = self.dir(&format!("{name}-upper"));
        Place { upper, work: self.dir(&format!("{name}-work")) }
    }

    pub(crate) fn overlay(&self) -> OverlaySnapshotter {
        let empty = self.path().join("empty");
        if !empty.exists() {
            self.dir("empty");
        }
        OverlaySnapshotter { empty }
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}
