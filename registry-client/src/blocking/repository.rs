//! One name of a registry as an end of a copy ([`oci::transfer`]).

use std::io::{self, Read};

use futures_util::{StreamExt, TryStreamExt, stream};
use oci::transfer::{Arrival, Destination, Origin, Standing, Supply};
use oci::{BlobRead, Descriptor, Digest, Document, Reference, Verified};
use tokio::runtime::Handle;

use super::pump::pumped_body;
use super::{Source, to_oci};
use crate::{Client, Error, Uploaded};

/// How many of an index's manifests are asked for at once.
const PARTS_AT_ONCE: usize = 16;

/// What a name in a registry means.
pub struct RepositoryOrigin {
    client: Client,
    handle: Handle,
    name: Reference,
    blobs: Source,
}

impl RepositoryOrigin {
    /// What `name` means, found out when asked.
    pub fn new(client: Client, handle: Handle, name: Reference) -> RepositoryOrigin {
        let blobs = Source::of_repository(client.clone(), handle.clone(), name.clone());
        RepositoryOrigin { client, handle, name, blobs }
    }

    fn failed(&self, error: Error) -> oci::Error {
        if error.is_not_found() {
            return oci::Error::ImageNotFound { name: self.name.familiar() };
        }
        to_oci("copy from", self.name.registry(), error)
    }
}

impl BlobRead for RepositoryOrigin {
    fn size(&self, digest: &Digest) -> oci::Result<Option<u64>> {
        self.blobs.size(digest)
    }

    fn open(&self, blob: &Descriptor) -> oci::Result<Verified<Box<dyn Read + Send + '_>>> {
        self.blobs.open(blob)
    }
}

impl Origin for RepositoryOrigin {
    fn root(&self) -> oci::Result<Document> {
        let document = self.handle.block_on(self.client.manifest(&self.name));
        document.map_err(|error| self.failed(error))
    }

    fn document(&self, descriptor: &Descriptor) -> oci::Result<Document> {
        let name = self.name.with_digest(descriptor.digest.clone());
        let document = self.handle.block_on(self.client.manifest(&name));
        document.map_err(|error| self.failed(error))
    }

    fn referrers(&self, subject: &Digest) -> oci::Result<Vec<Descriptor>> {
        let found = self.handle.block_on(self.client.referrers(&self.name, subject, None));
        found.map_err(|error| self.failed(error))
    }

    fn repository(&self) -> Option<&Reference> {
        Some(&self.name)
    }
}

/// A name in a registry that is to mean something.
pub struct RepositoryDestination {
    client: Client,
    handle: Handle,
    name: Reference,
    tagged: bool,
}

impl RepositoryDestination {
    /// The name, whose repository need not exist.
    pub fn new(client: Client, handle: Handle, name: Reference) -> RepositoryDestination {
        RepositoryDestination { client, handle, name, tagged: true }
    }

    /// The repository of a name: what is put there is known by its digest alone.
    pub fn untagged(client: Client, handle: Handle, name: Reference) -> RepositoryDestination {
        RepositoryDestination { client, handle, name, tagged: false }
    }

    fn failed(&self, error: Error) -> oci::Error {
        to_oci("copy to", self.name.registry(), error)
    }

    /// The name under which the root goes: by its tag, unless it has a digest alone.
    fn of_root(&self, digest: &Digest) -> oci::Result<Reference> {
        if !self.tagged {
            return Ok(self.name.with_digest(digest.clone()));
        }
        if let Some(expected) = self.name.digest()
            && expected != digest
        {
            let (expected, actual) = (expected.clone(), digest.clone());
            return Err(oci::Error::DigestMismatch { expected, actual });
        }
        match self.name.tag_or_default() {
            Some(tag) => {
                Reference::new(self.name.registry(), self.name.repository(), Some(tag), None)
            }
            None => Ok(self.name.clone()),
        }
    }
}

impl Destination for RepositoryDestination {
    fn is_there(&self, root: &Descriptor, parts: &[&Descriptor]) -> oci::Result<bool> {
        let name = self.of_root(&root.digest)?;
        let parts = parts.iter().map(|part| self.name.with_digest(part.digest.clone()));
        let ask = async {
            let present = self.client.present_manifest(&name).await?;
            if present.is_none_or(|present| present.digest != root.digest) {
                return Ok(false);
            }
            stream::iter(parts)
                .map(|part| async move { self.client.present_manifest(&part).await })
                .buffer_unordered(PARTS_AT_ONCE)
                .try_all(async |present| present.is_some())
                .await
        };
        self.handle.block_on(ask).map_err(|error| self.failed(error))
    }

    /// The calling thread reads the bytes, the runtime sends them. A mount out of another
    /// repository needs no question before it; within the same repository, that a manifest
    /// lists a blob does not say that the blob is still there.
    fn put_blob(
        &self,
        blob: &Descriptor,
        supply: &dyn Supply,
        moved: &(dyn Fn(u64) + Sync),
    ) -> oci::Result<Arrival> {
        let from = supply.repository(&blob.digest);
        let from = from.filter(|from| {
            from.registry() == self.name.registry() && from.repository() != self.name.repository()
        });
        if from.is_none() {
            let there = self.handle.block_on(self.client.head_blob(
                &self.name,
                &blob.digest,
                crate::auth::Access::Push,
            ));
            if there.map_err(|error| self.failed(error))?.is_some() {
                return Ok(Arrival::Present);
            }
        }
        let mounts: Vec<String> =
            from.map(|from| from.repository().to_owned()).into_iter().collect();
        let (body, mut openings) = pumped_body();
        let (client, name, sent) = (self.client.clone(), self.name.clone(), blob.clone());
        let upload = async move { client.upload_blob(&name, &sent, &body, &mounts).await };
        let task = self.handle.spawn(upload);
        // Ends when the task has ended, and the body with it.
        while let Some(opening) = openings.blocking_recv() {
            opening.fulfil(|| supply.open(blob).map_err(io::Error::from), moved);
        }
        let ended = self.handle.block_on(task).map_err(|source| oci::Error::Remote {
            operation: "push blob",
            object: blob.digest.to_string(),
            source: Box::new(source),
        })?;
        match ended.map_err(|error| self.failed(error))? {
            Uploaded::Mounted => Ok(Arrival::Mounted),
            Uploaded::Sent => Ok(Arrival::Taken),
        }
    }

    fn put_document(
        &self,
        document: &Document,
        standing: Standing,
        _: &dyn Supply,
    ) -> oci::Result<()> {
        let name = match standing {
            Standing::Root => self.of_root(document.digest())?,
            Standing::Part | Standing::Referrer => self.name.with_digest(document.digest().clone()),
        };
        let (bytes, media_type) = (document.bytes().to_vec(), document.media_type());
        let pushed = self.handle.block_on(self.client.put_manifest(&name, bytes, &media_type));
        let pushed = pushed.map_err(|error| self.failed(error))?;
        if let Some(subject) = document.subject()
            && !pushed.subject_listed
        {
            let referrer = document.as_referrer();
            let listed = self.client.list_referrer(&self.name, &subject.digest, referrer);
            self.handle.block_on(listed).map_err(|error| self.failed(error))?;
        }
        Ok(())
    }

    fn finish(&self) -> oci::Result<()> {
        Ok(())
    }
}
