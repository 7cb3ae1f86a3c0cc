//! Images out of a registry.

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use oci::{BlobRead, Descriptor, Digest, Image, ImageSource, Platform, Reference, Verified};
use tokio::runtime::Handle;

use super::chunks::ChunkReader;
use super::to_oci;
use crate::{Client, Error};

/// Finds documents that are at hand.
type Documents = dyn Fn(&Digest) -> Option<Vec<u8>> + Send + Sync;

/// Takes images and their blobs out of registries. A blob is looked for in the repository of the
/// image that named it, else in the repository that the source was made for.
pub struct Source {
    client: Client,
    handle: Handle,
    repository: Option<Reference>,
    known: Arc<Documents>,
    named_by: Mutex<HashMap<Digest, Reference>>,
}

impl Source {
    /// A source of images of all registries.
    pub fn new(client: Client, handle: Handle) -> Source {
        Source {
            client,
            handle,
            repository: None,
            known: Arc::new(|_| None),
            named_by: Mutex::default(),
        }
    }

    /// The same source, which does not fetch manifests and configs that `documents` finds.
    #[must_use]
    pub fn knowing(
        self,
        documents: impl Fn(&Digest) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Source {
        Source { known: Arc::new(documents), ..self }
    }

    /// A source whose blobs come out of one repository, whoever names them.
    pub fn of_repository(client: Client, handle: Handle, repository: Reference) -> Source {
        Source { repository: Some(repository), ..Source::new(client, handle) }
    }

    /// Opens a blob; what is returned outlives the source.
    ///
    /// # Errors
    /// As [`BlobRead::open`].
    pub fn open_blob(&self, blob: &Descriptor) -> oci::Result<Verified<Box<dyn Read + Send>>> {
        let repository = self.repository_of(&blob.digest)?;
        let failed = |error: Error| {
            if error.is_not_found() {
                oci::Error::BlobNotFound { digest: blob.digest.clone() }
            } else {
                to_oci("pull from", repository.registry(), error)
            }
        };
        let mut opened = self.client.unverified_blob(&repository, blob).map_err(failed)?;
        self.handle.block_on(opened.connect()).map_err(failed)?;
        let reader = ChunkReader::new(opened, self.handle.clone());
        Ok(Verified::new(Box::new(reader), blob))
    }

    fn repository_of(&self, digest: &Digest) -> oci::Result<Reference> {
        let named_by = self.named_by.lock().unwrap_or_else(PoisonError::into_inner);
        let found = named_by.get(digest).or(self.repository.as_ref());
        found.cloned().ok_or_else(|| oci::Error::BlobNotFound { digest: digest.clone() })
    }

    fn remember(&self, name: &Reference, image: &Image) {
        let mut named_by = self.named_by.lock().unwrap_or_else(PoisonError::into_inner);
        let layers = image.manifest.layers.iter().map(|layer| &layer.digest);
        for digest in layers.chain([&image.manifest.config.digest]) {
            named_by.insert(digest.clone(), name.clone());
        }
    }
}

impl ImageSource for Source {
    fn image(&self, name: &Reference, platform: &Platform) -> oci::Result<Image> {
        let image = self.client.image_knowing(name, platform, &*self.known);
        let image = self.handle.block_on(image).map_err(|error| {
            if error.is_not_found() {
                oci::Error::ImageNotFound { name: name.familiar() }
            } else {
                to_oci("pull from", name.registry(), error)
            }
        })?;
        self.remember(name, &image);
        Ok(image)
    }
}

impl BlobRead for Source {
    fn size(&self, digest: &Digest) -> oci::Result<Option<u64>> {
        let repository = self.repository_of(digest)?;
        let size = self.handle.block_on(self.client.blob_size(&repository, digest));
        size.map_err(|error| to_oci("pull from", repository.registry(), error))
    }

    fn open(&self, blob: &Descriptor) -> oci::Result<Verified<Box<dyn Read + Send + '_>>> {
        self.open_blob(blob)
    }
}
