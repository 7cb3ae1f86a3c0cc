//! The bytes of an upload to a bucket, as the rest of the server has them.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use oci::{Algorithm, Digest};

use super::super::Shared;
use super::work::Work;
use crate::name::Repository;
use crate::progress::Progress;
use crate::storage::Staged;
use crate::{Error, Result};

/// `None` once it is left.
pub(in crate::storage::bucket) struct Staging(Option<Work>);

impl Staging {
    pub(super) fn new(work: Work) -> Staging {
        Staging(Some(work))
    }

    /// What one request brings whole.
    pub(in crate::storage::bucket) fn alone(shared: Arc<Shared>) -> Staging {
        Staging::new(Work::alone(shared))
    }

    fn work(&mut self) -> Result<&mut Work> {
        self.0.as_mut().ok_or(Error::Ended)
    }
}

impl Staged for Staging {
    fn write(&mut self, offset: u64, batch: Vec<Bytes>) -> BoxFuture<'_, Result<Option<Progress>>> {
        async move { self.work()?.write(offset, batch).await }.boxed()
    }

    fn note(&mut self, progress: &Progress) {
        if let Some(work) = &mut self.0 {
            work.note(progress);
        }
    }

    fn park(&mut self) -> BoxFuture<'_, Result<Option<Progress>>> {
        async move { self.work()?.park().await }.boxed()
    }

    fn refresh(&mut self) -> BoxFuture<'_, Result<Option<Progress>>> {
        async move { self.work()?.refresh().await }.boxed()
    }

    fn end(&mut self) {
        if let Some(work) = &mut self.0 {
            work.end();
        }
    }

    fn remove(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        let work = self.0.take();
        async move {
            if let Some(work) = work.filter(Work::leaves_something) {
                leave(work).await;
            }
        }
        .boxed()
    }

    fn digest(&mut self, algorithm: Algorithm, _size: u64) -> BoxFuture<'_, Result<Digest>> {
        async move { self.work()?.digest(algorithm).await }.boxed()
    }

    fn commit(
        mut self: Box<Self>,
        repository: Repository,
        digest: Digest,
        size: u64,
    ) -> BoxFuture<'static, Result<()>> {
        async move {
            let work = self.work()?;
            work.end();
            work.commit(&repository, &digest, size).await
        }
        .boxed()
    }
}

/// An upload that goes on is written down, and what is not wanted is removed from the bucket, by
/// nobody who waits.
impl Drop for Staging {
    fn drop(&mut self) {
        let Some(work) = self.0.take().filter(Work::leaves_something) else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(leave(work));
    }
}

async fn leave(work: Work) {
    if let Err(error) = work.leave().await {
        tracing::warn!(%error, "an upload leaves something behind");
    }
}
