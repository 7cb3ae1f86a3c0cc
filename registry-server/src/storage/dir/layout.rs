//! Where things stand below the root:
//!
//! ```text
//! <name>/oci-layout, index.json, blobs/<algorithm>/<hex>   an OCI image layout per repository
//! _shared/<algorithm>/<hex>                                another link of each blob
//! _staging/                                                uploads; emptied at the start
//! _lock                                                    held by the process that serves
//! ```
//!
//! No component of a repository's name begins with an underscore, so these names are free; and a
//! component that is also a name of the image layout gets one put before it.

use std::path::{Path, PathBuf};

use oci::Digest;

use crate::name::Repository;

/// Names that mean something inside an image layout.
const TAKEN: [&str; 3] = ["blobs", "index.json", "oci-layout"];

/// The paths below a root.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(super) fn new(root: &Path) -> Layout {
        Layout { root: root.to_owned() }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.root.join("_lock")
    }

    pub(super) fn staging(&self) -> PathBuf {
        self.root.join("_staging")
    }

    /// The image layout of a repository.
    pub(super) fn repository(&self, name: &Repository) -> PathBuf {
        let mut path = self.root.clone();
        for component in name.as_str().split('/') {
            if TAKEN.contains(&component) {
                path.push(format!("_{component}"));
            } else {
                path.push(component);
            }
        }
        path
    }

    pub(super) fn index(&self, name: &Repository) -> PathBuf {
        self.repository(name).join("index.json")
    }

    /// A blob in a repository.
    pub(super) fn blob(&self, name: &Repository, digest: &Digest) -> PathBuf {
        let mut path = self.repository(name);
        path.extend(["blobs", digest.algorithm().as_str(), digest.hex()]);
        path
    }

    /// Where the blobs are that all repositories share.
    pub(super) fn shared(&self) -> PathBuf {
        self.root.join("_shared")
    }

    /// The same blob as all repositories share it.
    pub(super) fn shared_blob(&self, digest: &Digest) -> PathBuf {
        self.shared().join(digest.algorithm().as_str()).join(digest.hex())
    }
}

/// What a directory entry below the root or below a repository can be.
pub(super) fn component_of(file_name: &str) -> Option<&str> {
    match file_name.strip_prefix('_') {
        Some(rest) => TAKEN.contains(&rest).then_some(rest),
        None => (!TAKEN.contains(&file_name)).then_some(file_name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_repository_stands_in_another_ones_layout() {
        let layout = Layout::new(Path::new("/r"));
        let path = |name: &str| layout.repository(&Repository::parse(name).unwrap());
        assert_eq!(path("a/b"), Path::new("/r/a/b"));
        assert_eq!(path("a/blobs/sha256"), Path::new("/r/a/_blobs/sha256"));
        assert_eq!(path("index.json"), Path::new("/r/_index.json"));
        assert_eq!(component_of("_blobs"), Some("blobs"));
        assert_eq!(component_of("blobs"), None);
        assert_eq!(component_of("_staging"), None);
        assert_eq!(component_of("a"), Some("a"));
    }
}
