//! A blob on its way in: staged and hashed at the same time.

use bytes::Bytes;
use oci::{Algorithm, Digest};
use tokio::task::spawn_blocking;

use crate::name::Repository;
use crate::progress::Progress;
use crate::quota::OverQuota;
use crate::storage::{Resumed, Staged, Storage};
use crate::{Error, Result};

/// Below this size, in bytes, hashing is not worth a change of threads.
const INLINE: usize = 32 << 10;

/// The bytes that have come so far and their digest.
pub(crate) struct Upload {
    staged: Box<dyn Staged>,
    progress: Progress,
}

/// How an upload can fail to become a blob.
pub(crate) enum Unfinished {
    /// The bytes have this digest and not the one they should have.
    Digest(Digest),
    /// The repository may not hold so much.
    OverQuota(OverQuota),
    /// Storage failed.
    Storage(Error),
}

impl Upload {
    /// Begins an upload that one request brings, whose digest will probably be of `algorithm`.
    pub(crate) fn begin(storage: &Storage, algorithm: Algorithm) -> Upload {
        Upload { staged: storage.0.stage(), progress: Progress::new(algorithm) }
    }

    /// The same for one that many requests may bring.
    pub(crate) fn begin_open(storage: &Storage, algorithm: Algorithm) -> Upload {
        Upload { staged: storage.0.stage_open(), progress: Progress::new(algorithm) }
    }

    /// Goes on with an upload.
    pub(crate) fn resume(resumed: Resumed) -> Upload {
        Upload { staged: resumed.staged, progress: resumed.progress }
    }

    /// The number of bytes so far.
    pub(crate) fn size(&self) -> u64 {
        self.progress.size
    }

    /// Takes more bytes. After an error the upload is as before.
    pub(crate) async fn write(&mut self, batch: Vec<Bytes>) -> Result<()> {
        let (before, mut progress) = (self.progress.size, self.progress.clone());
        let length: usize = batch.iter().map(Bytes::len).sum();
        let (progress, moved) = if length <= INLINE {
            progress.take_all(&batch);
            (progress, self.staged.write(before, batch).await?)
        } else {
            let copy = batch.clone();
            let hashing = spawn_blocking(move || {
                progress.take_all(&copy);
                progress
            });
            let moved = self.staged.write(before, batch).await?;
            (hashing.await.map_err(|_| Error::Interrupted { operation: "hash" })?, moved)
        };
        self.progress = moved.unwrap_or(progress);
        self.staged.note(&self.progress);
        Ok(())
    }

    /// Lets other requests go on with it, whoever answers them.
    pub(crate) async fn park(&mut self) -> Result<()> {
        if let Some(moved) = self.staged.park().await? {
            self.progress = moved;
        }
        Ok(())
    }

    /// From now on nobody goes on with it.
    pub(crate) fn end(&mut self) {
        self.staged.end();
    }

    /// Removes an upload that has ended.
    pub(crate) async fn remove(self) {
        self.staged.remove().await;
    }

    /// Ends the upload as the blob `expected` of a repository.
    pub(crate) async fn finish(
        mut self,
        repository: &Repository,
        expected: &Digest,
    ) -> Result<u64, Unfinished> {
        self.verify(expected).await?;
        self.commit(repository, expected).await
    }

    /// Whether the bytes are those of `expected`.
    pub(crate) async fn verify(&mut self, expected: &Digest) -> Result<(), Unfinished> {
        let mut actual = self.digest(expected.algorithm()).await?;
        if actual != *expected
            && let Some(moved) = self.staged.refresh().await.map_err(Unfinished::Storage)?
        {
            self.progress = moved;
            actual = self.digest(expected.algorithm()).await?;
        }
        if actual == *expected { Ok(()) } else { Err(Unfinished::Digest(actual)) }
    }

    async fn digest(&mut self, algorithm: Algorithm) -> Result<Digest, Unfinished> {
        if algorithm == self.progress.hasher.algorithm() {
            return Ok(self.progress.digest());
        }
        // What is read is all that has come, wherever.
        if let Some(moved) = self.staged.refresh().await.map_err(Unfinished::Storage)? {
            self.progress = moved;
        }
        self.staged.digest(algorithm, self.progress.size).await.map_err(Unfinished::Storage)
    }

    /// Makes what was verified a blob of a repository.
    pub(crate) async fn commit(
        self,
        repository: &Repository,
        verified: &Digest,
    ) -> Result<u64, Unfinished> {
        let size = self.progress.size;
        let committed = self.staged.commit(repository.clone(), verified.clone(), size).await;
        committed.map(|()| size).map_err(Unfinished::Storage)
    }
}
