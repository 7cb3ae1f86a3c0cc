//! An image while it is changed: its manifest with its config.

use std::io::{Read, Write};

use crate::{
    BlobRead, BlobStore, Descriptor, DiffId, Digest, Document, Error, History, ImageConfig,
    Manifest, MediaType, Raw, Result,
};

/// How large an image's config may be, in bytes.
const MAX_CONFIG: u64 = 8 << 20;

/// A layer: its tar, and the blob that has it.
pub(super) type Layer = (DiffId, Descriptor);

/// The two documents of an image, as values.
pub(super) struct Draft {
    pub(super) manifest: Manifest,
    pub(super) config: ImageConfig,
}

impl Draft {
    /// Reads the config of a manifest.
    pub(super) fn read(manifest: Manifest, blobs: &dyn BlobRead) -> Result<Draft> {
        let blob = &manifest.config;
        let refused = |reason: &str| Error::RefusedDocument {
            kind: "image config",
            digest: blob.digest.clone(),
            reason: reason.to_owned(),
        };
        if blob.size > MAX_CONFIG {
            return Err(refused("it is too large"));
        }
        let mut bytes = Vec::new();
        blobs
            .open(blob)?
            .read_to_end(&mut bytes)
            .map_err(|source| Error::io("read", format!("image config {}", blob.digest), source))?;
        let config: Raw<ImageConfig> = Raw::parse_verified(bytes, &blob.digest, "image config")?;
        if config.rootfs.diff_ids.len() != manifest.layers.len() {
            return Err(refused("it has another number of layers than the manifest"));
        }
        Ok(Draft { config: (*config).clone(), manifest })
    }

    /// The layers, lowest first.
    pub(super) fn layers(&self) -> impl Iterator<Item = Layer> {
        self.config.rootfs.diff_ids.iter().cloned().zip(self.manifest.layers.iter().cloned())
    }

    /// Gives the image these layers in place of its own.
    pub(super) fn set_layers(&mut self, layers: impl IntoIterator<Item = Layer>) {
        (self.config.rootfs.diff_ids, self.manifest.layers) = layers.into_iter().unzip();
    }

    /// Whether the history says of each layer where it comes from, so that more can be said.
    pub(super) fn has_whole_history(&self) -> bool {
        let of_layers = |step: &&History| !step.empty_layer;
        self.config.history.iter().filter(of_layers).count() == self.manifest.layers.len()
    }

    /// Writes the config into `made`, and answers with the manifest that names it.
    pub(super) fn write(mut self, made: &dyn BlobStore) -> Result<Manifest> {
        let config = Raw::write(self.config);
        if *config.digest() != self.manifest.config.digest {
            let mut ingest = made.ingest()?;
            ingest
                .write_all(config.bytes())
                .map_err(|e| Error::io("write", format!("image config {}", config.digest()), e))?;
            ingest.commit(Some(config.digest()))?;
            self.manifest.config.digest = config.digest().clone();
            self.manifest.config.size = config.size();
        }
        Ok(self.manifest)
    }
}

/// Says that an image cannot be changed so.
pub(super) fn refused(manifest: &Manifest, reason: impl Into<String>) -> Error {
    let digest: Digest = Document::Manifest(Raw::write(manifest.clone())).digest().clone();
    Error::RefusedDocument { kind: "manifest", digest, reason: reason.into() }
}

/// Whether a manifest has docker's media types.
pub(super) fn is_dockers(manifest: &Manifest) -> bool {
    manifest.media_type == Some(MediaType::DOCKER_MANIFEST)
}
