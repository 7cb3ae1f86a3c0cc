//! Several images as one: an index of them, that is nowhere yet.

use std::io::Read;

use super::Origin;
use crate::{
    BlobRead, Descriptor, Digest, Document, Error, Index, Platform, Raw, Result, Verified,
};

/// An index of images that are at places of their own, one for each platform.
pub struct Joined {
    parts: Vec<(Document, Box<dyn Origin>)>,
    index: Raw<Index>,
}

impl Joined {
    /// Joins images, in this order.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub fn new(images: Vec<(Platform, Box<dyn Origin>)>) -> Result<Joined> {
        let (mut parts, mut entries) = (Vec::new(), Vec::new());
        for (platform, origin) in images {
            let document = origin.root()?;
            let mut entry = document.descriptor();
            entry.platform = Some(platform);
            entries.push(entry);
            parts.push((document, origin));
        }
        Ok(Joined { parts, index: Raw::write(Index::oci(entries)) })
    }
}

impl BlobRead for Joined {
    fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        for (_, origin) in &self.parts {
            if let Some(size) = origin.size(digest)? {
                return Ok(Some(size));
            }
        }
        Ok(None)
    }

    fn open(&self, blob: &Descriptor) -> Result<Verified<Box<dyn Read + Send + '_>>> {
        for (_, origin) in &self.parts {
            match origin.open(blob) {
                Err(Error::BlobNotFound { .. }) => {}
                opened => return opened,
            }
        }
        Err(Error::BlobNotFound { digest: blob.digest.clone() })
    }
}

impl Origin for Joined {
    fn root(&self) -> Result<Document> {
        Ok(Document::Index(self.index.clone()))
    }

    fn document(&self, descriptor: &Descriptor) -> Result<Document> {
        let found = self.parts.iter().find(|(document, _)| *document.digest() == descriptor.digest);
        found
            .map(|(document, _)| document.clone())
            .ok_or_else(|| Error::BlobNotFound { digest: descriptor.digest.clone() })
    }

    /// What is nowhere yet has none.
    fn referrers(&self, _: &Digest) -> Result<Vec<Descriptor>> {
        Ok(Vec::new())
    }
}
