//! All layers of an image as one.

use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::path::Path;

use super::image::{Draft, is_dockers};
use crate::blob::DirBlobs;
use crate::compress::{Compression, Encoders};
use crate::transfer::{Edit, Supply};
use crate::{
    Algorithm, BlobRead, BlobStore, Descriptor, DiffId, Digest, Error, History, Image, Manifest,
    MediaType, Raw, Reference, Result, Verified,
};

/// What the history says of the layer.
const CREATED_BY: &str = "tierce image flatten";

/// Lays the layers of an image together.
pub trait Together: Send + Sync {
    /// Writes what all layers come to as one tar.
    ///
    /// # Errors
    /// If a layer cannot be read or put on the others.
    fn write(&self, image: &Image, blobs: &dyn BlobRead, tar: &mut dyn Write) -> Result<()>;
}

/// Gives an image one layer in place of all that it has. Files that an upper layer hides are gone
/// then, and with them what the layers had in common with those of other images.
pub struct Flatten<T> {
    together: T,
    encoders: Encoders,
    made: DirBlobs,
}

impl<T: Together> Flatten<T> {
    /// Puts the layers that it makes into `scratch`, a directory of the caller's that he removes.
    ///
    /// # Errors
    /// If no threads can be had.
    pub fn new(together: T, threads: NonZeroUsize, scratch: &Path) -> Result<Flatten<T>> {
        let encoders = Encoders::new(Compression::GZIP, threads)?;
        Ok(Flatten { together, encoders, made: DirBlobs::new(scratch, scratch) })
    }

    fn layer(&self, draft: &Draft, blobs: &dyn BlobRead) -> Result<(DiffId, Descriptor)> {
        let image = Image {
            manifest: Raw::write(draft.manifest.clone()),
            config: Raw::write(draft.config.clone()),
            index: None,
        };
        let mut ingest = self.made.ingest()?;
        let mut hashed = Hashed {
            hasher: Algorithm::Sha256.hasher(),
            inner: self.encoders.encoder(&mut ingest as &mut dyn Write),
        };
        self.together.write(&image, blobs, &mut hashed)?;
        let Hashed { hasher, inner } = hashed;
        let failed = |e| Error::io("write", "the layer".to_owned(), e);
        inner.finish().map_err(failed)?;
        let (digest, size) = ingest.commit(None)?;
        let media_type = match is_dockers(&draft.manifest) {
            true => MediaType::DOCKER_LAYER_GZIP,
            false => MediaType::OCI_LAYER_GZIP,
        };
        Ok((DiffId(hasher.finish()), Descriptor::new(media_type, digest, size)))
    }
}

/// Hashes what it passes on.
struct Hashed<W> {
    hasher: crate::Hasher,
    inner: W,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Together> Edit for Flatten<T> {
    fn manifest(&self, manifest: Manifest, blobs: &dyn BlobRead) -> Result<Manifest> {
        let mut draft = Draft::read(manifest, blobs)?;
        let layer = self.layer(&draft, blobs)?;
        draft.set_layers([layer]);
        let history = std::mem::take(&mut draft.config.history);
        let created = history.into_iter().rev().find_map(|step| step.created);
        let created_by = Some(CREATED_BY.to_owned());
        draft.config.history.push(History { created, created_by, ..History::default() });
        draft.write(&self.made)
    }
}

impl<T: Together> BlobRead for Flatten<T> {
    fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        self.made.size(digest)
    }

    fn open(&self, blob: &Descriptor) -> Result<Verified<Box<dyn Read + Send + '_>>> {
        self.made.open(blob)
    }
}

impl<T: Together> Supply for Flatten<T> {
    fn repository(&self, _: &Digest) -> Option<&Reference> {
        None
    }
}
