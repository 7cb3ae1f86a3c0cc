//! Images as values, and the places they come from and go to.

use crate::{BlobRead, Digest, ImageConfig, Manifest, Platform, Raw, Reference, Result};

/// One image: immutable, known by the digest of its manifest.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its manifest.
    pub manifest: Raw<Manifest>,
    /// Its config.
    pub config: Raw<ImageConfig>,
    /// The index through which it was found, if any: `repository@digest` may name that.
    pub index: Option<Digest>,
}

/// A place that images are taken from: a store, a registry, an archive.
///
/// [`image`](ImageSource::image) reads documents alone; layers are read through [`BlobRead`] by
/// who needs them, as many at once as it likes.
pub trait ImageSource: BlobRead {
    /// The image that `name` means for `platform`.
    ///
    /// # Errors
    /// [`Error::ImageNotFound`](crate::Error::ImageNotFound) and
    /// [`Error::PlatformNotFound`](crate::Error::PlatformNotFound) if there is none.
    fn image(&self, name: &Reference, platform: &Platform) -> Result<Image>;
}

/// A place that images are given to.
pub trait ImageSink {
    /// Takes an image under a name, with what it lacks of the image's blobs, and answers with the
    /// digest that the image is now known by there. Nothing is visible under the name before all
    /// of it is there.
    fn put(&self, name: &Reference, image: &Image, blobs: &dyn BlobRead) -> Result<Digest>;
}
