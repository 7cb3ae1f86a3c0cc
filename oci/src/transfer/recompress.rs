//! Layers compressed anew, by way of files.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::{Edit, Supply};
use crate::blob::DirBlobs;
use crate::compress::{Compression, Encoders, decoder};
use crate::{
    BlobRead, BlobStore, Descriptor, Digest, Error, LayerCompression, Manifest, MediaType,
    Reference, Result, Verified,
};

/// How layers are compressed on their way.
pub struct Recompression {
    compression: Compression,
    /// Also those that are compressed in this way already.
    force: bool,
    encoders: Encoders,
    made: DirBlobs,
    /// What became of each layer: images of an index share some.
    became: Mutex<HashMap<Digest, Descriptor>>,
}

impl Recompression {
    /// Compresses into files in `scratch`, a directory of the caller's that he removes.
    ///
    /// # Errors
    /// If there is no such level of compression.
    pub fn new(
        compression: Compression,
        force: bool,
        threads: std::num::NonZeroUsize,
        scratch: &Path,
    ) -> Result<Recompression> {
        let encoders = Encoders::new(compression, threads)?;
        let made = DirBlobs::new(scratch, scratch);
        Ok(Recompression { compression, force, encoders, made, became: Mutex::default() })
    }

    fn concerns(&self, layer: &Descriptor) -> bool {
        let wanted = self.compression.layer_compression();
        let is = layer.media_type.layer_compression();
        is.is_some_and(|is| is != wanted || self.force) && !layer.media_type.is_foreign_layer()
    }

    /// Compresses a layer anew and answers with what it is then.
    fn make(&self, layer: &Descriptor, blobs: &dyn BlobRead) -> Result<Descriptor> {
        let failed = |e| Error::io("compress", format!("layer {}", layer.digest), e);
        let kind = layer.media_type.layer_compression().unwrap_or(LayerCompression::None);
        let mut tar = decoder(kind, Box::new(blobs.open(layer)?))?;
        let mut ingest = self.made.ingest()?;
        let mut encoder = self.encoders.encoder(&mut ingest as &mut dyn Write);
        io::copy(&mut tar, &mut encoder).map_err(failed)?;
        encoder.finish().map_err(failed)?;
        let (digest, size) = ingest.commit(None)?;
        let media_type = self.compression.layer_compression().oci_media_type();
        // In docker's manifests stay docker's types, as far as there are any.
        let media_type = match self.compression {
            Compression::Gzip { .. } if layer.media_type.as_str().contains(".docker.") => {
                MediaType::DOCKER_LAYER_GZIP
            }
            Compression::None if layer.media_type.as_str().contains(".docker.") => {
                MediaType::DOCKER_LAYER
            }
            _ => media_type,
        };
        Ok(Descriptor { media_type, digest, size, ..layer.clone() })
    }
}

impl Edit for Recompression {
    fn manifest(&self, mut manifest: Manifest, blobs: &dyn BlobRead) -> Result<Manifest> {
        for layer in manifest.layers.iter_mut().filter(|layer| self.concerns(layer)) {
            let known = || self.became.lock().unwrap_or_else(PoisonError::into_inner);
            let made = known().get(&layer.digest).cloned();
            let made = made.map_or_else(|| self.make(layer, blobs), Ok)?;
            known().insert(layer.digest.clone(), made.clone());
            layer.digest = made.digest;
            layer.size = made.size;
            layer.media_type = made.media_type;
        }
        Ok(manifest)
    }
}

impl BlobRead for Recompression {
    fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        self.made.size(digest)
    }

    fn open(&self, blob: &Descriptor) -> Result<Verified<Box<dyn Read + Send + '_>>> {
        self.made.open(blob)
    }
}

impl Supply for Recompression {
    fn repository(&self, _: &Digest) -> Option<&Reference> {
        None
    }
}
