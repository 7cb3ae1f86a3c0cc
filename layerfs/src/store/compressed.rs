//! Blobs of layers that were made here, and manifests over them: only when somebody needs them.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use oci::compress::{Compression, Encoder, decoder};
use oci::{
    Algorithm, BlobRead, Descriptor, DiffId, Digest, Hasher, Image, LayerCompression, Manifest,
    MediaType, Raw,
};

use super::unpack::for_each_parallel;
use super::{ImageRecord, StagedBlob, Store};
use crate::lease::Lease;
use crate::state::{images as image_rows, layers as rows};
use crate::{Error, Result, Root, write_layer};

impl Store {
    /// The blob of a layer, compressed in the way asked for: the one that is kept, or one made
    /// now and kept. The same layer gives the same bytes.
    ///
    /// # Errors
    /// [`Error::LayerNotFound`]; [`Error::LayerNotReproducible`] if no blob of the layer is kept
    /// and its directory does not give the tar of its DiffID.
    pub fn compressed(
        &self,
        lease: &Lease,
        diff_id: &DiffId,
        compression: Compression,
    ) -> Result<Descriptor> {
        self.blob_of_layer(lease, diff_id, Some(compression), self.threads())
    }

    /// The image with its manifest: the one that it came with, where the store can provide what
    /// that lists; else an OCI manifest over blobs of the layers, made now where there are none.
    /// With a `compression` it is always the latter, with blobs of that kind alone. The same
    /// image gives the same bytes.
    ///
    /// Layers of a base image that were never unpacked here keep their descriptors; whoever wants
    /// their bytes asks the registry that they are in.
    ///
    /// # Errors
    /// As [`compressed`](Store::compressed).
    pub fn manifest(
        &self,
        lease: &Lease,
        image: &ImageRecord,
        compression: Option<Compression>,
    ) -> Result<Image> {
        let config = self.config(&image.id)?;
        let layers = self.image_layers(&image.id)?;
        if compression.is_none()
            && let Some(manifest) = self.usable_manifest(lease, image, &layers)?
        {
            let index = image.target.clone().filter(|target| target != manifest.digest());
            return Ok(Image { manifest, config, index });
        }
        let blobs = self.blobs_of_layers(lease, &layers, compression)?;
        let config_blob =
            Descriptor::new(MediaType::OCI_CONFIG, config.digest().clone(), config.size());
        let manifest = Raw::write(Manifest::oci(config_blob, blobs));
        self.put_documents(lease, &[(manifest.digest(), manifest.bytes())])?;
        if compression.is_none() {
            self.state().write("remember a manifest", |c| {
                let digest = manifest.digest();
                Ok(image_rows::put_manifest(c, &image.id, digest, digest)?)
            })?;
        }
        Ok(Image { manifest, config, index: None })
    }

    /// The manifest that the image is known by, if each of its blobs is kept, or belongs to a
    /// layer that is not unpacked here, for which there is nothing better.
    fn usable_manifest(
        &self,
        lease: &Lease,
        image: &ImageRecord,
        layers: &[(DiffId, Option<Descriptor>)],
    ) -> Result<Option<Raw<Manifest>>> {
        let Some(digest) = &image.manifest else { return Ok(None) };
        let Some(bytes) = self.document(digest)? else { return Ok(None) };
        let manifest: Raw<Manifest> = Raw::parse_verified(bytes, digest, "manifest")?;
        if manifest.layers.len() != layers.len() {
            return Ok(None);
        }
        for ((diff_id, _), blob) in layers.iter().zip(&manifest.layers) {
            if !is_shippable(blob) {
                return Ok(None);
            }
            if self.pin_blob(lease, &blob.digest)?.is_none() && self.layer(diff_id)?.is_some() {
                return Ok(None);
            }
        }
        Ok(Some(manifest))
    }

    fn blobs_of_layers(
        &self,
        lease: &Lease,
        layers: &[(DiffId, Option<Descriptor>)],
        compression: Option<Compression>,
    ) -> Result<Vec<Descriptor>> {
        let at_once = self.threads().get().min(layers.len()).max(1);
        let each = NonZeroUsize::new(self.threads().get() / at_once).unwrap_or(NonZeroUsize::MIN);
        let found = Mutex::new(vec![None; layers.len()]);
        let numbered: Vec<_> = layers.iter().enumerate().collect();
        for_each_parallel(&numbered, at_once, |(position, (diff_id, claim)), _stop| {
            let blob = match claim {
                Some(claim) if compression.is_none() && self.stands(lease, diff_id, claim)? => {
                    claim.clone()
                }
                _ => self.blob_of_layer(lease, diff_id, compression, each)?,
            };
            found.lock().unwrap_or_else(PoisonError::into_inner)[*position] = Some(as_oci(blob));
            Ok(())
        })?;
        let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(found.into_iter().flatten().collect())
    }

    /// Whether a claim is the best there is: its blob is kept, or its layer is not unpacked.
    fn stands(&self, lease: &Lease, diff_id: &DiffId, claim: &Descriptor) -> Result<bool> {
        Ok(is_shippable(claim)
            && (self.pin_blob(lease, &claim.digest)?.is_some() || self.layer(diff_id)?.is_none()))
    }

    /// A blob of the layer; with no `compression` any that is kept compressed, or a gzip one.
    fn blob_of_layer(
        &self,
        lease: &Lease,
        diff_id: &DiffId,
        compression: Option<Compression>,
        threads: NonZeroUsize,
    ) -> Result<Descriptor> {
        let wanted = compression.map(Compression::layer_compression);
        let mut kept = Vec::new();
        for blob in
            self.state().read("look for a layer's blobs", |c| rows::blobs_of_layer(c, diff_id))?
        {
            if self.pin_blob(lease, &blob.digest)?.is_some() {
                kept.push(blob);
            }
        }
        let fits = |blob: &&Descriptor| match (blob.media_type.layer_compression(), wanted) {
            (Some(kind), Some(wanted)) => kind == wanted,
            (kind, None) => kind.is_some_and(|kind| kind != LayerCompression::None),
            (None, Some(_)) => false,
        };
        if let Some(blob) = kept.iter().find(fits) {
            return Ok(blob.clone());
        }
        let compression = compression.unwrap_or(Compression::GZIP);
        self.compress_layer(lease, diff_id, kept.first(), compression, threads)
    }

    /// Makes a blob of a layer: from another blob of it if there is one, for that holds the very
    /// tar, whoever wrote it; else from its directory.
    fn compress_layer(
        &self,
        lease: &Lease,
        diff_id: &DiffId,
        kept: Option<&Descriptor>,
        compression: Compression,
        threads: NonZeroUsize,
    ) -> Result<Descriptor> {
        let failed = |e| Error::Oci(oci::Error::io("compress", format!("layer {diff_id}"), e));
        let output = HashedWrite::new(StagedBlob::create(lease)?, Algorithm::Sha256);
        let encoder = Encoder::new(compression, threads, output)?;
        let mut tar = HashedWrite::new(encoder, diff_id.0.algorithm());
        match kept {
            Some(blob) => {
                let kind = blob.media_type.layer_compression().unwrap_or(LayerCompression::None);
                let mut plain = decoder(kind, Box::new(self.open(blob)?))?;
                io::copy(&mut plain, &mut tar).map_err(failed)?;
            }
            None => {
                let layers = self.require_layers(lease, std::slice::from_ref(diff_id))?;
                write_layer(&Root::open(&layers[0].tree())?, &mut tar)?;
            }
        }
        let (encoder, actual) = tar.finish();
        if actual != diff_id.0 {
            let (diff_id, actual) = (diff_id.clone(), DiffId(actual));
            return Err(Error::LayerNotReproducible { diff_id, actual });
        }
        let (mut file, digest) = encoder.finish().map_err(failed)?.finish();
        let size = file.finish()?;
        let media_type = compression.layer_compression().oci_media_type();
        let blob = Descriptor::new(media_type, digest, size);
        self.state().write("record a layer's blob", |c| {
            file.place(c, &blob.digest)?;
            Ok(rows::link_blob(c, diff_id, &blob)?)
        })?;
        Ok(blob)
    }
}

/// Whether a blob is one that registries take: `docker save` puts plain tars into its archives,
/// under a media type that means nothing elsewhere.
fn is_shippable(blob: &Descriptor) -> bool {
    blob.media_type != MediaType::DOCKER_LAYER
}

/// The descriptor as it stands in an OCI manifest, whatever manifest it comes from.
fn as_oci(mut blob: Descriptor) -> Descriptor {
    if let Some(compression) = blob.media_type.layer_compression()
        && !blob.media_type.is_foreign_layer()
    {
        blob.media_type = compression.oci_media_type();
    }
    blob
}

/// Hashes what passes on its way to `inner`.
pub(super) struct HashedWrite<W> {
    inner: W,
    hasher: Hasher,
}

impl<W> HashedWrite<W> {
    pub(super) fn new(inner: W, algorithm: Algorithm) -> HashedWrite<W> {
        HashedWrite { inner, hasher: algorithm.hasher() }
    }

    pub(super) fn finish(self) -> (W, Digest) {
        (self.inner, self.hasher.finish())
    }
}

impl<W: Write> Write for HashedWrite<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
