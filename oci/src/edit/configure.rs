//! Configs changed.

use std::io::Read;

use super::image::Draft;
use crate::blob::MemoryBlobs;
use crate::transfer::{Edit, Supply};
use crate::{BlobRead, Descriptor, Digest, ImageConfig, Manifest, Reference, Result, Verified};

/// Changes the configs of images.
pub struct Configure<F> {
    change: F,
    made: MemoryBlobs,
}

impl<F: Fn(&mut ImageConfig) + Send + Sync> Configure<F> {
    /// What `change` does to a config.
    pub fn new(change: F) -> Configure<F> {
        Configure { change, made: MemoryBlobs::default() }
    }
}

impl<F: Fn(&mut ImageConfig) + Send + Sync> Edit for Configure<F> {
    fn manifest(&self, manifest: Manifest, blobs: &dyn BlobRead) -> Result<Manifest> {
        let mut draft = Draft::read(manifest, blobs)?;
        let before = draft.config.clone();
        (self.change)(&mut draft.config);
        // What stays the same keeps the bytes that somebody else wrote.
        if draft.config == before { Ok(draft.manifest) } else { draft.write(&self.made) }
    }
}

impl<F: Send + Sync> BlobRead for Configure<F> {
    fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        self.made.size(digest)
    }

    fn open(&self, blob: &Descriptor) -> Result<Verified<Box<dyn Read + Send + '_>>> {
        self.made.open(blob)
    }
}

impl<F: Send + Sync> Supply for Configure<F> {
    fn repository(&self, _: &Digest) -> Option<&Reference> {
        None
    }
}
