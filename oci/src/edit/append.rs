//! Layers on top of an image.

use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::path::Path;

use super::image::{Draft, Layer, is_dockers, refused};
use crate::blob::DirBlobs;
use crate::compress::{Compression, Encoders, Format, open_archive};
use crate::transfer::{Edit, Supply};
use crate::{
    Algorithm, BlobRead, BlobStore, Descriptor, DiffId, Digest, Error, History, LayerCompression,
    Manifest, MediaType, Reference, Result, Verified,
};

/// What the history says of a new layer.
const CREATED_BY: &str = "tierce image append";

/// A tar that is to be a layer, compressed or not.
pub struct NewLayer<'a> {
    /// What to call it in errors.
    pub name: String,
    /// Its bytes.
    pub content: Box<dyn Read + Send + 'a>,
}

/// Puts layers on top of an image.
pub struct Append {
    layers: Vec<Layer>,
    made: DirBlobs,
}

impl Append {
    /// Reads the layers, lowest first, into files in `scratch`, a directory of the caller's that
    /// he removes. One that is a gzip or zstd stream keeps its bytes; a plain tar, or one in
    /// another compression, becomes gzip.
    ///
    /// # Errors
    /// If one cannot be read or is no tar.
    pub fn new(layers: Vec<NewLayer<'_>>, threads: NonZeroUsize, scratch: &Path) -> Result<Append> {
        let made = DirBlobs::new(scratch, scratch);
        let encoders = Encoders::new(Compression::GZIP, threads)?;
        let take = |layer| take(layer, &made, &encoders);
        let layers = layers.into_iter().map(take).collect::<Result<_>>()?;
        Ok(Append { layers, made })
    }
}

fn take(layer: NewLayer<'_>, made: &DirBlobs, encoders: &Encoders) -> Result<Layer> {
    let NewLayer { name, mut content } = layer;
    let failed = |e| Error::io("read", name.clone(), e);
    let mut ingest = made.ingest()?;
    io::copy(&mut content, &mut ingest).map_err(failed)?;
    let (digest, size) = ingest.commit(None)?;
    let given = Descriptor::new(MediaType::OCI_LAYER, digest, size);
    let (format, mut tar) = open_archive(Box::new(made.open(&given)?))?;
    let kept = match format {
        Some(Format::Gzip) => Some(LayerCompression::Gzip),
        Some(Format::Zstd) => Some(LayerCompression::Zstd),
        Some(_) => None,
        None => return Err(failed(io::Error::new(io::ErrorKind::InvalidData, "it is no tar"))),
    };
    let mut hasher = Algorithm::Sha256.hasher();
    let blob = if let Some(compression) = kept {
        io::copy(&mut tar, &mut hasher).map_err(failed)?;
        Descriptor { media_type: compression.oci_media_type(), ..given }
    } else {
        let mut ingest = made.ingest()?;
        let mut encoder = encoders.encoder(&mut ingest as &mut dyn Write);
        io::copy(&mut tar, &mut Both(&mut hasher, &mut encoder)).map_err(failed)?;
        encoder.finish().map_err(failed)?;
        let (digest, size) = ingest.commit(None)?;
        drop(tar);
        made.remove(&given.digest)?;
        Descriptor::new(MediaType::OCI_LAYER_GZIP, digest, size)
    };
    Ok((DiffId(hasher.finish()), blob))
}

/// Writes to two.
struct Both<A, B>(A, B);

impl<A: Write, B: Write> Write for Both<A, B> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(bytes)?;
        self.1.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Edit for Append {
    fn manifest(&self, manifest: Manifest, blobs: &dyn BlobRead) -> Result<Manifest> {
        let mut draft = Draft::read(manifest, blobs)?;
        let tells = draft.has_whole_history();
        let mut layers: Vec<Layer> = draft.layers().collect();
        for (diff_id, blob) in self.layers.iter().cloned() {
            let blob = in_format_of(&draft.manifest, blob)?;
            layers.push((diff_id, blob));
            if tells {
                let created_by = Some(CREATED_BY.to_owned());
                draft.config.history.push(History { created_by, ..History::default() });
            }
        }
        draft.set_layers(layers);
        draft.write(&self.made)
    }
}

/// A layer as the family of a manifest's media types calls it.
fn in_format_of(manifest: &Manifest, blob: Descriptor) -> Result<Descriptor> {
    if !is_dockers(manifest) {
        return Ok(blob);
    }
    if blob.media_type == MediaType::OCI_LAYER_GZIP {
        return Ok(Descriptor { media_type: MediaType::DOCKER_LAYER_GZIP, ..blob });
    }
    Err(refused(manifest, "docker's format has no zstd layers"))
}

impl BlobRead for Append {
    fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        self.made.size(digest)
    }

    fn open(&self, blob: &Descriptor) -> Result<Verified<Box<dyn Read + Send + '_>>> {
        self.made.open(blob)
    }
}

impl Supply for Append {
    fn repository(&self, _: &Digest) -> Option<&Reference> {
        None
    }
}
