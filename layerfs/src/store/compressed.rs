//! Blobs of layers that were made here, and manifests over them: only when somebody needs them.

use std::collections::HashMap;

use oci::compress::{Compression, Encoders};
use oci::{Descriptor, DiffId, Image, LayerCompression, Manifest, MediaType, Raw};

use super::making::{Making, Nobody};
use super::{ImageRecord, Onlooker, Store};
use crate::Result;
use crate::lease::Lease;
use crate::state::images as image_rows;
use crate::state::layers::{self as rows, LayerBlob};

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
        if let Some(kept) = self.kept_blob(lease, diff_id, Some(compression))? {
            return Ok(kept);
        }
        let encoders = Encoders::new(compression, self.threads())?;
        self.make_blob(lease, diff_id, &Making { compression, encoders, onlooker: &Nobody })
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
        self.manifest_watched(lease, image, compression, &Nobody)
    }

    /// As [`manifest`](Store::manifest); the blobs that have to be made can be seen to grow.
    ///
    /// # Errors
    /// As [`compressed`](Store::compressed).
    pub fn manifest_watched(
        &self,
        lease: &Lease,
        image: &ImageRecord,
        compression: Option<Compression>,
        onlooker: &dyn Onlooker,
    ) -> Result<Image> {
        let config = self.config(&image.id)?;
        let layers = self.image_layers(&image.id)?;
        if compression.is_none()
            && let Some(manifest) = self.usable_manifest(lease, image, &layers)?
        {
            let index = image.target.clone().filter(|target| target != manifest.digest());
            return Ok(Image { manifest, config, index });
        }
        let blobs = self.blobs_of_layers(lease, &layers, compression, onlooker)?;
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
        onlooker: &dyn Onlooker,
    ) -> Result<Vec<Descriptor>> {
        let mut found: HashMap<&DiffId, Descriptor> = HashMap::new();
        let mut lacking: Vec<(&DiffId, u64)> = Vec::new();
        let mut blobs = vec![None; layers.len()];
        for ((diff_id, claim), blob) in layers.iter().zip(&mut blobs) {
            match claim {
                Some(claim) if compression.is_none() && self.stands(lease, diff_id, claim)? => {
                    *blob = Some(claim.clone());
                }
                _ if found.contains_key(diff_id) => {}
                _ => match self.kept_blob(lease, diff_id, compression)? {
                    Some(kept) => drop(found.insert(diff_id, kept)),
                    None if lacking.iter().any(|(other, _)| *other == diff_id) => {}
                    None => {
                        let size = self.layer(diff_id)?.map_or(0, |layer| layer.size);
                        lacking.push((diff_id, size));
                    }
                },
            }
        }
        let made = self.make_blobs(lease, lacking, compression.unwrap_or_default(), onlooker)?;
        found.extend(made);
        let blobs = layers.iter().zip(blobs).filter_map(|((diff_id, _), blob)| {
            Some(as_oci(blob.or_else(|| found.get(diff_id).cloned())?))
        });
        Ok(blobs.collect())
    }

    /// Whether a claim is the best there is: its blob is kept, or its layer is not unpacked.
    fn stands(&self, lease: &Lease, diff_id: &DiffId, claim: &Descriptor) -> Result<bool> {
        Ok(is_shippable(claim)
            && (self.pin_blob(lease, &claim.digest)?.is_some() || self.layer(diff_id)?.is_none()))
    }

    /// A blob of the layer that is kept and serves: of the kind asked for, and made by the encoder
    /// that would make it now, if it was made here at all.
    fn kept_blob(
        &self,
        lease: &Lease,
        diff_id: &DiffId,
        compression: Option<Compression>,
    ) -> Result<Option<Descriptor>> {
        let encoder = compression.unwrap_or_default().encoder();
        let wanted = compression.map(Compression::layer_compression);
        let fits = |kept: &LayerBlob| {
            let kind = kept.blob.media_type.layer_compression();
            let of_kind = match wanted {
                Some(wanted) => kind == Some(wanted),
                None => kind.is_some_and(|kind| kind != LayerCompression::None),
            };
            of_kind && (kept.encoder.is_none() || kept.encoder == encoder)
        };
        let kept = self.kept_blobs(lease, diff_id)?;
        Ok(kept.into_iter().find(fits).map(|kept| kept.blob))
    }

    /// The blobs of a layer that are there, pinned.
    pub(super) fn kept_blobs(&self, lease: &Lease, diff_id: &DiffId) -> Result<Vec<LayerBlob>> {
        let mut kept = Vec::new();
        for blob in
            self.state().read("look for a layer's blobs", |c| rows::blobs_of_layer(c, diff_id))?
        {
            if self.pin_blob(lease, &blob.blob.digest)?.is_some() {
                kept.push(blob);
            }
        }
        Ok(kept)
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
