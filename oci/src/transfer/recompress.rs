//! Layers compressed anew, by way of files.

use std::io::{self, Write};
use std::path::Path;

use crate::blob::DirBlobs;
use crate::compress::{Compression, Encoders, decoder};
use crate::{BlobRead, BlobStore, Descriptor, Document, Error, LayerCompression, Result};

/// How layers are compressed on their way.
pub struct Recompression {
    compression: Compression,
    /// Also those that are compressed in this way already.
    force: bool,
    encoders: Encoders,
    pub(super) made: DirBlobs,
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
        Ok(Recompression { compression, force, encoders, made: DirBlobs::new(scratch, scratch) })
    }

    /// The layers of an image that have to be compressed anew.
    pub(super) fn candidates<'a>(
        &'a self,
        document: &'a Document,
    ) -> impl Iterator<Item = &'a Descriptor> {
        let layers = match document {
            Document::Manifest(image) if image.config.media_type.is_image_config() => {
                &image.layers[..]
            }
            _ => &[],
        };
        let wanted = self.compression.layer_compression();
        layers.iter().filter(move |layer| {
            let is = layer.media_type.layer_compression();
            let differs = is.is_some_and(|is| is != wanted || self.force);
            differs && !layer.media_type.is_foreign_layer()
        })
    }

    /// Compresses a layer anew and answers with what it is then.
    pub(super) fn make(&self, layer: &Descriptor, blobs: &dyn BlobRead) -> Result<Descriptor> {
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
                crate::MediaType::DOCKER_LAYER_GZIP
            }
            Compression::None if layer.media_type.as_str().contains(".docker.") => {
                crate::MediaType::DOCKER_LAYER
            }
            _ => media_type,
        };
        Ok(Descriptor { media_type, digest, size, ..layer.clone() })
    }
}
