//! The image without layers that everything can be put on.

use std::io::{Cursor, Read};

use crate::transfer::Origin;
use crate::{
    BlobRead, Descriptor, Digest, Document, Error, ImageConfig, Manifest, MediaType, Platform, Raw,
    Result, Verified,
};

/// An image without layers, as an origin.
pub struct ScratchOrigin {
    config: Raw<ImageConfig>,
    manifest: Raw<Manifest>,
}

impl ScratchOrigin {
    /// The empty image for a platform.
    pub fn new(platform: &Platform) -> ScratchOrigin {
        let config = Raw::write(ImageConfig::empty(platform));
        let blob = Descriptor::new(MediaType::OCI_CONFIG, config.digest().clone(), config.size());
        ScratchOrigin { config, manifest: Raw::write(Manifest::oci(blob, Vec::new())) }
    }
}

impl BlobRead for ScratchOrigin {
    fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        Ok((digest == self.config.digest()).then(|| self.config.size()))
    }

    fn open(&self, blob: &Descriptor) -> Result<Verified<Box<dyn Read + Send + '_>>> {
        if blob.digest != *self.config.digest() {
            return Err(Error::BlobNotFound { digest: blob.digest.clone() });
        }
        Ok(Verified::new(Box::new(Cursor::new(self.config.bytes())), blob))
    }
}

impl Origin for ScratchOrigin {
    fn root(&self) -> Result<Document> {
        Ok(Document::Manifest(self.manifest.clone()))
    }

    fn document(&self, descriptor: &Descriptor) -> Result<Document> {
        Err(Error::BlobNotFound { digest: descriptor.digest.clone() })
    }

    fn referrers(&self, _: &Digest) -> Result<Vec<Descriptor>> {
        Ok(Vec::new())
    }
}
