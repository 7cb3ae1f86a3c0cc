//! Blobs in memory, for tests and small documents.

use std::collections::HashMap;
use std::io::{self, Cursor, Read, Write};
use std::sync::{Arc, RwLock};

use super::{BlobRead, BlobStore, Ingest, Verified};
use crate::{Algorithm, Descriptor, Digest, Error, Result};

/// Blobs in memory. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemoryBlobs {
    blobs: Arc<RwLock<HashMap<Digest, Arc<[u8]>>>>,
}

impl MemoryBlobs {
    fn get(&self, digest: &Digest) -> Option<Arc<[u8]>> {
        let blobs = self.blobs.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        blobs.get(digest).cloned()
    }
}

impl BlobRead for MemoryBlobs {
    fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        Ok(self.get(digest).map(|bytes| bytes.len() as u64))
    }

    fn open(&self, blob: &Descriptor) -> Result<Verified<Box<dyn Read + Send + '_>>> {
        let bytes = self
            .get(&blob.digest)
            .ok_or_else(|| Error::BlobNotFound { digest: blob.digest.clone() })?;
        Ok(Verified::new(Box::new(Cursor::new(bytes)), blob))
    }
}

impl BlobStore for MemoryBlobs {
    fn ingest(&self) -> Result<Box<dyn Ingest + '_>> {
        Ok(Box::new(MemoryIngest { store: self, bytes: Vec::new() }))
    }

    fn remove(&self, digest: &Digest) -> Result<()> {
        let mut blobs = self.blobs.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        blobs.remove(digest);
        Ok(())
    }
}

struct MemoryIngest<'a> {
    store: &'a MemoryBlobs,
    bytes: Vec<u8>,
}

impl Write for MemoryIngest<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Ingest for MemoryIngest<'_> {
    fn commit(self: Box<Self>, expected: Option<&Digest>) -> Result<(Digest, u64)> {
        let algorithm = expected.map_or(Algorithm::Sha256, Digest::algorithm);
        let actual = algorithm.digest(&self.bytes);
        if let Some(expected) = expected
            && *expected != actual
        {
            return Err(Error::DigestMismatch { expected: expected.clone(), actual });
        }
        let size = self.bytes.len() as u64;
        let mut blobs = self.store.blobs.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        blobs.insert(actual.clone(), self.bytes.into());
        Ok((actual, size))
    }
}
