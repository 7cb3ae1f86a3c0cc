//! Blobs from wherever they are known to be: the store, else the registries they came from.

use std::io::Read;

use layerfs::Store;
use oci::{BlobRead, Descriptor, Digest, Reference, Verified};
use registry_client::Client;
use registry_client::blocking::Source;
use tokio::runtime::Handle;

/// Reads a blob from the store, or from a repository that the store knows to have it. A base
/// image whose files nobody needed was never fetched; who sends it on takes it from there.
#[derive(Clone)]
pub(crate) struct Anywhere {
    /// Where blobs are looked for first.
    pub(crate) store: Store,
    /// Who fetches what is not there.
    pub(crate) client: Client,
    /// What drives the client.
    pub(crate) handle: Handle,
}

impl Anywhere {
    /// The repositories that are known to have a blob.
    pub(crate) fn repositories(&self, digest: &Digest) -> Vec<Reference> {
        let known = self.store.blob_sources(digest).unwrap_or_default();
        known
            .iter()
            .filter_map(|(registry, repository)| {
                Reference::new(registry, repository, None, None).ok()
            })
            .collect()
    }
}

impl BlobRead for Anywhere {
    fn size(&self, digest: &Digest) -> oci::Result<Option<u64>> {
        self.store.size(digest)
    }

    fn open(&self, blob: &Descriptor) -> oci::Result<Verified<Box<dyn Read + Send + '_>>> {
        let mut missing = match self.store.open(blob) {
            Err(error @ oci::Error::BlobNotFound { .. }) => error,
            found => return found,
        };
        for repository in self.repositories(&blob.digest) {
            let source =
                Source::of_repository(self.client.clone(), self.handle.clone(), repository);
            match source.open_blob(blob) {
                Ok(found) => return Ok(found),
                Err(error) => missing = error,
            }
        }
        Err(missing)
    }
}
