//! Where things stand in a store.

use std::fs::{self, DirBuilder, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use oci::{DiffId, Digest};

use crate::lease::Lease;
use crate::{Error, Result};

/// The layout of a store. Every part of a path is checked elsewhere: digests and ids are
/// hexadecimal.
pub(crate) struct Places {
    root: PathBuf,
}

impl Places {
    pub(crate) fn new(root: &Path) -> Places {
        Places { root: root.to_owned() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.root.join("state.db")
    }

    /// Makes the directories of an empty store. They are for its owner alone, except the one that
    /// becomes part of trees.
    pub(crate) fn make(&self) -> Result<()> {
        let own = [
            self.root.clone(),
            self.root.join("blobs/sha256"),
            self.root.join("blobs/sha512"),
            self.layers(),
            self.containers(),
            self.volumes(),
            self.cache(),
            self.all_staging(),
            self.leases(),
        ];
        for dir in own {
            make_dir(&dir, 0o700)?;
        }
        let empty = self.empty();
        make_dir(&empty, 0o755)?;
        // Whatever the umask says: this one is seen by every user of a tree.
        fs::set_permissions(&empty, Permissions::from_mode(0o755))
            .map_err(|e| Error::io("set the mode of", &empty, e))
    }

    /// A directory with nothing in it, for a snapshot backend that needs one.
    pub(crate) fn empty(&self) -> PathBuf {
        self.root.join("empty")
    }

    /// Room that is kept for pruning a full disk.
    pub(crate) fn reserve(&self) -> PathBuf {
        self.root.join("reserve")
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        let mut path = self.blobs();
        path.push(digest.algorithm().as_str());
        path.push(digest.hex());
        path
    }

    pub(crate) fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    /// Digests of different algorithms have different lengths, so the value alone is enough.
    pub(crate) fn layer(&self, diff_id: &DiffId) -> PathBuf {
        self.layers().join(diff_id.0.hex())
    }

    pub(crate) fn containers(&self) -> PathBuf {
        self.root.join("containers")
    }

    pub(crate) fn container(&self, id: &str) -> PathBuf {
        self.containers().join(id)
    }

    pub(crate) fn volume(&self, name: &str) -> PathBuf {
        self.volumes().join(name)
    }

    pub(crate) fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    pub(crate) fn all_staging(&self) -> PathBuf {
        self.root.join("staging")
    }

    pub(crate) fn staging(&self, lease: &str) -> PathBuf {
        self.all_staging().join(lease)
    }

    pub(crate) fn leases(&self) -> PathBuf {
        self.root.join("leases")
    }

    pub(crate) fn lease(&self, id: &str) -> PathBuf {
        self.leases().join(id)
    }
}

/// Makes a directory with all above it. One that is there is no error.
pub(crate) fn make_dir(path: &Path, mode: u32) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(|e| Error::io("create", path, e))
}

/// Renames `path`, if it is there, into the lease's staging directory, to be removed with it.
/// Says whether it was there.
pub(crate) fn move_away(path: &Path, lease: &Lease) -> Result<bool> {
    match fs::rename(path, lease.scratch_path("removed")) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::io("remove", path, e)),
    }
}

/// Renames what is finished to its place. What stands there without a record, left by a process
/// that was killed before it wrote one or by a loss of power, is moved away.
pub(crate) fn move_in(staged: &Path, place: &Path, lease: &Lease) -> Result<()> {
    move_away(place, lease)?;
    fs::rename(staged, place).map_err(|e| Error::io("rename to", place, e))
}
