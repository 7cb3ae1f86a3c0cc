//! Blobs: content known by its digest.

mod dir;
mod memory;
mod verify;

use std::io::{Read, Write};

pub use dir::DirBlobs;
pub use memory::MemoryBlobs;
pub use verify::Verified;

use crate::{Descriptor, Digest, Result};

/// A place that blobs are read from.
///
/// Who implements it opens raw bytes; who reads gets [`Verified`] ones, so that no reader can
/// forget to check them.
pub trait BlobRead: Send + Sync {
    /// The size of a blob in bytes; `None` if it is not there.
    fn size(&self, digest: &Digest) -> Result<Option<u64>>;

    /// Opens a blob. Reading ends in an error unless exactly the descriptor's bytes pass.
    ///
    /// # Errors
    /// [`Error::BlobNotFound`](crate::Error::BlobNotFound) if it is not there.
    fn open(&self, blob: &Descriptor) -> Result<Verified<Box<dyn Read + Send + '_>>>;
}

/// A place that blobs are also written to.
pub trait BlobStore: BlobRead {
    /// Begins to take a blob whose digest need not be known yet.
    fn ingest(&self) -> Result<Box<dyn Ingest + '_>>;

    /// Removes a blob; one that is not there is no error.
    fn remove(&self, digest: &Digest) -> Result<()>;
}

/// A blob on its way in. It is visible to nobody before [`commit`](Ingest::commit), and leaves
/// nothing behind when it is dropped instead.
pub trait Ingest: Write + Send {
    /// Ends the blob and makes it visible under its SHA-256 digest, or under `expected`.
    /// Committing what is already there is no error.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`](crate::Error::DigestMismatch) if the bytes are not `expected`.
    fn commit(self: Box<Self>, expected: Option<&Digest>) -> Result<(Digest, u64)>;
}
