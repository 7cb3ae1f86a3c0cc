//! A blob on its way in: staged and hashed at the same time.

use bytes::Bytes;
use oci::{Algorithm, Digest, Hasher};
use tokio::task::spawn_blocking;

use crate::name::Repository;
use crate::quota::OverQuota;
use crate::storage::{Staged, Storage};
use crate::{Error, Result};

/// Below this size, in bytes, hashing is not worth a change of threads.
const INLINE: usize = 32 << 10;

/// The bytes that have come so far and their digest.
pub(crate) struct Upload {
    staged: Box<dyn Staged>,
    hasher: Hasher,
    algorithm: Algorithm,
    size: u64,
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
    /// Begins an upload whose digest will probably be of `algorithm`.
    pub(crate) fn begin(storage: &Storage, algorithm: Algorithm) -> Upload {
        Upload { staged: storage.0.stage(), hasher: algorithm.hasher(), algorithm, size: 0 }
    }

    /// The number of bytes so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Takes more bytes. After an error the upload is as before.
    pub(crate) async fn write(&mut self, batch: Vec<Bytes>) -> Result<()> {
        let length: usize = batch.iter().map(Bytes::len).sum();
        let mut hasher = self.hasher.clone();
        if length <= INLINE {
            batch.iter().for_each(|bytes| hasher.update(bytes));
            self.staged.write(self.size, batch).await?;
            self.hasher = hasher;
        } else {
            let copy = batch.clone();
            let hashing = spawn_blocking(move || {
                copy.iter().for_each(|bytes| hasher.update(bytes));
                hasher
            });
            self.staged.write(self.size, batch).await?;
            self.hasher = hashing.await.map_err(|_| Error::Interrupted { operation: "hash" })?;
        }
        self.size += length as u64;
        Ok(())
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
        let algorithm = expected.algorithm();
        let actual = if algorithm == self.algorithm {
            self.hasher.clone().finish()
        } else {
            self.staged.digest(algorithm, self.size).await.map_err(Unfinished::Storage)?
        };
        if actual == *expected { Ok(()) } else { Err(Unfinished::Digest(actual)) }
    }

    /// Makes what was verified a blob of a repository.
    pub(crate) async fn commit(
        self,
        repository: &Repository,
        verified: &Digest,
    ) -> Result<u64, Unfinished> {
        let committed = self.staged.commit(repository.clone(), verified.clone(), self.size).await;
        committed.map(|()| self.size).map_err(Unfinished::Storage)
    }
}
