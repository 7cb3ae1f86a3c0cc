//! Notes on manifests, on indexes, and on what indexes list.

use std::io::Read;

use indexmap::IndexMap;

use crate::transfer::{Edit, Supply};
use crate::{BlobRead, Descriptor, Digest, Error, Index, Manifest, Reference, Result, Verified};

/// Notes by their names: `Some` is set, `None` is taken away.
pub type Annotations = Vec<(String, Option<String>)>;

/// Annotates.
#[derive(Debug, Clone, Default)]
pub struct Annotate {
    /// For the manifests of images.
    pub manifests: Annotations,
    /// For indexes.
    pub indexes: Annotations,
    /// For what indexes list.
    pub entries: Annotations,
}

fn apply(changes: &Annotations, notes: &mut IndexMap<String, String>) {
    for (name, value) in changes {
        match value {
            Some(value) => drop(notes.insert(name.clone(), value.clone())),
            None => drop(notes.shift_remove(name)),
        }
    }
}

impl Edit for Annotate {
    fn manifest(&self, mut manifest: Manifest, _: &dyn BlobRead) -> Result<Manifest> {
        apply(&self.manifests, &mut manifest.annotations);
        Ok(manifest)
    }

    fn index(&self, mut index: Index) -> Result<Index> {
        apply(&self.indexes, &mut index.annotations);
        for entry in &mut index.manifests {
            apply(&self.entries, &mut entry.annotations);
        }
        Ok(index)
    }
}

impl BlobRead for Annotate {
    fn size(&self, _: &Digest) -> Result<Option<u64>> {
        Ok(None)
    }

    fn open(&self, blob: &Descriptor) -> Result<Verified<Box<dyn Read + Send + '_>>> {
        Err(Error::BlobNotFound { digest: blob.digest.clone() })
    }
}

impl Supply for Annotate {
    fn repository(&self, _: &Digest) -> Option<&Reference> {
        None
    }
}
