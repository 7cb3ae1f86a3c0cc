//! The end of an upload. A small blob is held until its digest is known and written to its place at
//! once; a large one has gone out in parts and is copied to its place by the store itself.

use bytes::BytesMut;
use futures_util::TryStreamExt;
use futures_util::future::try_join;
use object_store::ObjectStoreExt;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use oci::{Algorithm, Digest};

use super::super::{Shared, is_missing};
use super::work::{PART, Work};
use crate::name::Repository;
use crate::{Error, Result};

/// Up to this size, in bytes, it is not looked whether a blob is there before it is written, nor if
/// the store only has to copy it.
const SMALL: u64 = 256 << 10;
/// What a store copies in one request, in bytes.
const MAX_COPY: u64 = 5 << 30;

impl Work {
    /// Makes one object of the parts.
    async fn complete(&mut self) -> Result<()> {
        if self.complete {
            return Ok(());
        }
        self.fetch().await?;
        // What was verified are the bytes that were here before.
        if self.claim().await?.is_some() {
            return Err(Error::Contended);
        }
        if !self.buffer.is_empty() {
            self.flush(self.buffer.len()).await?;
        }
        let key = self.shared.keys.upload(&self.id);
        let id = self.multipart.clone().ok_or(Error::Ended)?;
        let parts = self.parts.iter().map(|part| PartId { content_id: part.clone() }).collect();
        let completed = self.shared.store.complete_multipart(&key, &id, parts).await;
        completed.map_err(|e| self.failed("complete", &key, e))?;
        self.complete = true;
        Ok(())
    }

    pub(super) async fn digest(&mut self, algorithm: Algorithm) -> Result<Digest> {
        if self.flushed == 0 {
            self.fetch().await?;
            return Ok(algorithm.digest(&self.buffer));
        }
        self.complete().await?;
        let key = self.shared.keys.upload(&self.id);
        let failed = |error| Error::bucket("read", &key, error);
        let mut bytes = self.shared.store.get(&key).await.map_err(failed)?.into_stream();
        let mut hasher = algorithm.hasher();
        while let Some(bytes) = bytes.try_next().await.map_err(failed)? {
            hasher.update(&bytes);
        }
        Ok(hasher.finish())
    }

    /// Makes the upload a blob of the repository.
    pub(super) async fn commit(
        &mut self,
        repository: &Repository,
        digest: &Digest,
        size: u64,
    ) -> Result<()> {
        let shared = self.shared.clone();
        let (doomed, ()) = try_join(shared.is_doomed(digest), self.require_draft()).await?;
        // Looked for after that: what is there then and was not doomed before stays for a while.
        let costs = size > SMALL && !self.away;
        let there = !doomed && costs && shared.size(digest).await? == Some(size);
        if !there {
            if doomed {
                shared.reprieve(digest).await?;
            }
            self.put_at(digest, size).await?;
            if doomed {
                shared.spare(digest).await?;
            }
        }
        if self.version.is_none() {
            return shared.hold(repository, digest, size).await;
        }
        let draft = shared.keys.draft(&self.id);
        try_join(shared.hold(repository, digest, size), shared.delete(&draft)).await?;
        self.version = None;
        Ok(())
    }

    /// Fails if the upload was ended by somebody else.
    pub(super) async fn require_draft(&self) -> Result<()> {
        if self.version.is_none() || self.claimed.is_some() {
            return Ok(());
        }
        let key = self.shared.keys.draft(&self.id);
        match self.shared.store.head(&key).await {
            Ok(_) => Ok(()),
            Err(e) => Err(self.failed("look for", &key, e)),
        }
    }

    /// Writes the bytes to the place of their digest.
    async fn put_at(&mut self, digest: &Digest, size: u64) -> Result<()> {
        if self.flushed > 0 {
            self.complete().await?;
            return self.shared.copy(&self.shared.keys.upload(&self.id), digest, size).await;
        }
        if let Some(key) = self.tail_key().filter(|_| self.away) {
            return self.shared.copy(&key, digest, size).await;
        }
        self.shared.put(&self.shared.keys.blob(digest), self.buffer.split().freeze()).await
    }

    pub(super) fn leaves_something(&self) -> bool {
        if self.parked && !self.ended {
            return false;
        }
        self.version.is_some() || self.multipart.is_some() || self.draft.tail.is_some()
    }

    /// Leaves an upload that goes on as it should be found, and removes another.
    pub(super) async fn leave(mut self) -> Result<()> {
        if self.ended { self.remove().await } else { self.park().await.map(drop) }
    }

    /// Removes all there is of the upload.
    pub(super) async fn remove(self) -> Result<()> {
        self.shared.recent.take(&self.id);
        if self.version.is_some() {
            self.shared.delete(&self.shared.keys.draft(&self.id)).await?;
        }
        if let Some(key) = self.tail_key() {
            self.shared.delete(&key).await?;
        }
        match &self.multipart {
            Some(_) if self.complete => {
                self.shared.delete(&self.shared.keys.upload(&self.id)).await
            }
            Some(multipart) => self.abort(multipart).await,
            None => Ok(()),
        }
    }
}

impl Shared {
    /// Copies an object to the place of its digest.
    async fn copy(&self, from: &Path, digest: &Digest, size: u64) -> Result<()> {
        let (to, store) = (self.keys.blob(digest), &self.store);
        // Who has gone on with the upload since has removed it.
        let failed = |error| match is_missing(&error) {
            true => Error::Contended,
            false => Error::bucket("copy to", &to, error),
        };
        if size <= MAX_COPY {
            return store.copy(from, &to).await.map_err(failed);
        }
        let mut source = store.get(from).await.map_err(failed)?.into_stream();
        let mut target = store.put_multipart(&to).await.map_err(failed)?;
        let mut buffer = BytesMut::new();
        while let Some(bytes) = source.try_next().await.map_err(failed)? {
            buffer.extend_from_slice(&bytes);
            if buffer.len() >= PART * 10 {
                target.put_part(buffer.split().freeze().into()).await.map_err(failed)?;
            }
        }
        target.put_part(buffer.freeze().into()).await.map_err(failed)?;
        target.complete().await.map_err(failed)?;
        Ok(())
    }
}
