//! How far an upload is.

use bytes::Bytes;
use oci::{Algorithm, Digest, Hasher};

/// How many bytes have come, and what they are so far.
#[derive(Clone)]
pub(crate) struct Progress {
    pub(crate) size: u64,
    pub(crate) hasher: Hasher,
}

impl Progress {
    /// Nothing has come.
    pub(crate) fn new(algorithm: Algorithm) -> Progress {
        Progress { size: 0, hasher: algorithm.hasher() }
    }

    /// Some bytes have come.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
    }

    /// Several pieces have come.
    pub(crate) fn take_all(&mut self, batch: &[Bytes]) {
        batch.iter().for_each(|bytes| self.take(bytes));
    }

    /// The digest of what has come.
    pub(crate) fn digest(&self) -> Digest {
        self.hasher.clone().finish()
    }
}
