//! Where base images come from.

use std::sync::Arc;

use oci::{BlobRead, Descriptor, Digest, ImageConfig, Platform, Raw};

/// Finds the images that a Dockerfile names in FROM and `--from`. Who implements it decides where
/// it looks, and in what order.
pub trait BaseImages: Sync {
    /// The image that `name` means for `platform`. `pull` asks for the newest, even if an older
    /// one is at hand. Only documents are read: a layer is fetched when a step needs its files.
    ///
    /// # Errors
    /// If there is no such image, or it cannot be reached.
    fn resolve(&self, name: &str, platform: &Platform, pull: bool) -> oci::Result<BaseImage>;
}

/// An image to build on.
#[derive(Clone)]
pub struct BaseImage {
    /// What the progress display calls it: its full name, with its digest where there is one.
    pub name: String,
    /// What a registry knows it by: the digest of its index or manifest. None if it was made here.
    pub digest: Option<Digest>,
    /// Its config.
    pub config: Raw<ImageConfig>,
    /// The blobs of its layers, lowest first and as many as the config has DiffIDs. A layer
    /// without one was made here: the store has its files.
    pub layers: Vec<Option<Descriptor>>,
    /// Where those blobs are read from.
    pub blobs: Arc<dyn BlobRead>,
}

impl std::fmt::Debug for BaseImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BaseImage").field("name", &self.name).finish_non_exhaustive()
    }
}
