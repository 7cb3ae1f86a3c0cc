//! Uploads to a bucket. A small blob is held until its digest is known and written to its place at
//! once; a large one goes out in parts and is copied to its place by the store itself.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use oci::{Algorithm, Digest};

use super::Shared;
use crate::name::Repository;
use crate::storage::Staged;
use crate::{Error, Result};

/// The least size of a part but the last, in bytes, as S3 has it.
const PART: usize = 5 << 20;
/// After this many parts they grow: there are at most 10 000.
const GROW_AFTER: usize = 2000;
/// What a store copies in one request, in bytes.
const MAX_COPY: u64 = 5 << 30;

pub(super) struct Staging {
    shared: Arc<Shared>,
    id: String,
    /// What is not yet in a part.
    buffer: BytesMut,
    /// How much is in parts, in bytes.
    flushed: u64,
    parts: usize,
    remote: Remote,
}

enum Remote {
    Nothing,
    Open(Box<dyn MultipartUpload>),
    /// A part could not be sent. Parts are numbered as they are sent: there is a gap now.
    Broken,
    Complete,
}

impl Staging {
    pub(super) fn new(shared: Arc<Shared>) -> Staging {
        let id = crate::session::new_id();
        let buffer = BytesMut::new();
        Staging { shared, id, buffer, flushed: 0, parts: 0, remote: Remote::Nothing }
    }

    fn key(&self) -> Path {
        self.shared.keys.upload(&self.id)
    }

    fn part(&self) -> usize {
        if self.parts < GROW_AFTER { PART } else { PART * 10 }
    }

    async fn flush(&mut self) -> Result<()> {
        let key = self.key();
        if matches!(self.remote, Remote::Nothing) {
            let begun = self.shared.store.put_multipart(&key).await;
            self.remote = Remote::Open(begun.map_err(|e| Error::bucket("begin", &key, e))?);
        }
        let Remote::Open(upload) = &mut self.remote else {
            return Err(Error::Interrupted { operation: "upload" });
        };
        let bytes = self.buffer.split().freeze();
        let (length, payload) = (bytes.len() as u64, PutPayload::from(bytes));
        match upload.put_part(payload).await {
            Ok(()) => {
                self.flushed += length;
                self.parts += 1;
                Ok(())
            }
            Err(error) => {
                self.abandon();
                Err(Error::bucket("write", &key, error))
            }
        }
    }

    /// Has what was sent removed, by nobody who waits.
    fn abandon(&mut self) {
        let remote = std::mem::replace(&mut self.remote, Remote::Broken);
        let (store, key) = (self.shared.store.clone(), self.key());
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let removal = async move {
            let removed = match remote {
                Remote::Nothing | Remote::Broken => Ok(()),
                Remote::Open(mut upload) => upload.abort().await,
                Remote::Complete => store.delete(&key).await,
            };
            if let Err(error) = removed {
                tracing::warn!(%error, %key, "an upload leaves something behind");
            }
        };
        runtime.spawn(removal);
    }

    /// Makes the object whole.
    async fn complete(&mut self) -> Result<()> {
        if !self.buffer.is_empty() {
            self.flush().await?;
        }
        if let Remote::Open(mut upload) = std::mem::replace(&mut self.remote, Remote::Complete) {
            let key = self.key();
            upload.complete().await.map_err(|e| Error::bucket("complete", &key, e))?;
        }
        Ok(())
    }

    /// Moves the object to the place of its digest.
    async fn settle(&mut self, digest: &Digest, size: u64) -> Result<()> {
        let (from, to) = (self.key(), self.shared.keys.blob(digest));
        let store = &self.shared.store;
        if size <= MAX_COPY {
            return store.copy(&from, &to).await.map_err(|e| Error::bucket("copy to", &to, e));
        }
        let failed = |error| Error::bucket("copy to", &to, error);
        let mut source = store.get(&from).await.map_err(failed)?.into_stream();
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

impl Staged for Staging {
    fn write(&mut self, offset: u64, batch: Vec<Bytes>) -> BoxFuture<'_, Result<()>> {
        async move {
            // A write that failed may have left more than was counted.
            let kept = offset.checked_sub(self.flushed).and_then(|kept| usize::try_from(kept).ok());
            self.buffer.truncate(kept.ok_or(Error::Interrupted { operation: "upload" })?);
            for bytes in batch {
                self.buffer.extend_from_slice(&bytes);
            }
            if self.buffer.len() >= self.part() { self.flush().await } else { Ok(()) }
        }
        .boxed()
    }

    fn digest(&mut self, algorithm: Algorithm, _size: u64) -> BoxFuture<'_, Result<Digest>> {
        async move {
            if self.flushed == 0 {
                return Ok(algorithm.digest(&self.buffer));
            }
            self.complete().await?;
            let key = self.key();
            let failed = |error| Error::bucket("read", &key, error);
            let mut bytes = self.shared.store.get(&key).await.map_err(failed)?.into_stream();
            let mut hasher = algorithm.hasher();
            while let Some(bytes) = bytes.try_next().await.map_err(failed)? {
                hasher.update(&bytes);
            }
            Ok(hasher.finish())
        }
        .boxed()
    }

    fn commit(
        mut self: Box<Self>,
        repository: Repository,
        digest: Digest,
        size: u64,
    ) -> BoxFuture<'static, Result<()>> {
        async move {
            if !self.shared.is_settled(&digest, size).await? {
                self.shared.reprieve(&digest).await?;
                if self.flushed == 0 {
                    let (key, bytes) =
                        (self.shared.keys.blob(&digest), self.buffer.split().freeze());
                    let put = self.shared.store.put(&key, bytes.into()).await;
                    put.map_err(|e| Error::bucket("write", &key, e))?;
                } else {
                    self.complete().await?;
                    self.settle(&digest, size).await?;
                }
                self.shared.spare(&digest).await?;
            }
            self.shared.hold(&repository, &digest, size).await
        }
        .boxed()
    }
}

/// What was sent and is not wanted is removed from the bucket, too.
impl Drop for Staging {
    fn drop(&mut self) {
        self.abandon();
    }
}
