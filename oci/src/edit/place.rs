//! Where images that an index lists run.

use std::io::Read;

use serde::{Deserialize, Serialize};

use crate::transfer::{Edit, Supply};
use crate::{
    BlobRead, Descriptor, Digest, Error, Index, Manifest, Platform, Reference, Result, Verified,
};

/// What of a platform is said anew.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformChange {
    /// The operating system.
    pub os: Option<String>,
    /// The architecture.
    pub architecture: Option<String>,
    /// The variant of the architecture.
    pub variant: Option<String>,
    /// The version of the operating system.
    pub os_version: Option<String>,
    /// Features of the operating system; none leaves them as they are.
    pub os_features: Vec<String>,
}

impl PlatformChange {
    fn apply(&self, platform: &mut Platform) {
        let put = |new: &Option<String>, old: &mut String| {
            if let Some(new) = new {
                old.clone_from(new);
            }
        };
        put(&self.os, &mut platform.os);
        put(&self.architecture, &mut platform.architecture);
        platform.variant = self.variant.clone().or(platform.variant.take());
        platform.os_version = self.os_version.clone().or(platform.os_version.take());
        if !self.os_features.is_empty() {
            platform.os_features.clone_from(&self.os_features);
        }
    }

    /// This and a later change of the same.
    #[must_use]
    pub fn then(self, later: PlatformChange) -> PlatformChange {
        PlatformChange {
            os: later.os.or(self.os),
            architecture: later.architecture.or(self.architecture),
            variant: later.variant.or(self.variant),
            os_version: later.os_version.or(self.os_version),
            os_features: match later.os_features.is_empty() {
                true => self.os_features,
                false => later.os_features,
            },
        }
    }
}

/// Says where images run that an index lists.
#[derive(Debug, Clone, Default)]
pub struct PlaceImages {
    /// The images, by the digests of their manifests.
    pub changes: Vec<(Digest, PlatformChange)>,
}

impl Edit for PlaceImages {
    fn manifest(&self, manifest: Manifest, _: &dyn BlobRead) -> Result<Manifest> {
        Ok(manifest)
    }

    fn index(&self, mut index: Index) -> Result<Index> {
        for (digest, change) in self.changes.iter().filter(|(_, c)| *c != PlatformChange::default())
        {
            for entry in index.manifests.iter_mut().filter(|entry| entry.digest == *digest) {
                let unknown = Platform {
                    os: String::new(),
                    architecture: String::new(),
                    variant: None,
                    os_version: None,
                    os_features: Vec::new(),
                };
                change.apply(entry.platform.get_or_insert(unknown));
            }
        }
        Ok(index)
    }
}

impl BlobRead for PlaceImages {
    fn size(&self, _: &Digest) -> Result<Option<u64>> {
        Ok(None)
    }

    fn open(&self, blob: &Descriptor) -> Result<Verified<Box<dyn Read + Send + '_>>> {
        Err(Error::BlobNotFound { digest: blob.digest.clone() })
    }
}

impl Supply for PlaceImages {
    fn repository(&self, _: &Digest) -> Option<&Reference> {
        None
    }
}
