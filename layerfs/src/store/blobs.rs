//! Blobs: files below `blobs/`, and documents in the database.

use std::fs::{self, File};
use std::io::{self, BufWriter, Cursor, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use oci::{Algorithm, BlobRead, BlobStore, Descriptor, Digest, Hasher, Ingest, Verified};
use rusqlite::Connection;

use super::{Store, places};
use crate::gc;
use crate::lease::Lease;
use crate::state::pins::PinKind;
use crate::state::{Abort, images, layers};
use crate::{Error, Result};

/// Smaller writes are collected up to this many bytes, so that system calls are few; larger ones
/// go to the file without being copied first.
const BUFFER: usize = 64 << 10;

/// A blob's file on its way in. Dropped, it is removed.
pub(crate) struct StagedBlob<'a> {
    lease: &'a Lease,
    path: PathBuf,
    file: BufWriter<File>,
    size: u64,
}

impl<'a> StagedBlob<'a> {
    pub(crate) fn create(lease: &'a Lease) -> Result<StagedBlob<'a>> {
        let path = lease.scratch_path("blob");
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(&path)
            .map_err(|e| Error::io("create", &path, e))?;
        Ok(StagedBlob { lease, path, file: BufWriter::with_capacity(BUFFER, file), size: 0 })
    }

    /// Opens the file to be read while it is written.
    pub(crate) fn reader(&self) -> Result<File> {
        File::open(&self.path).map_err(|e| Error::io("open", &self.path, e))
    }

    /// How many bytes have reached the file.
    pub(crate) fn in_file(&self) -> u64 {
        self.size - self.file.buffer().len() as u64
    }

    /// Brings all bytes to the file, before [`place`](StagedBlob::place).
    pub(crate) fn finish(&mut self) -> Result<u64> {
        self.file.flush().map_err(|e| Error::io("write", &self.path, e))?;
        Ok(self.size)
    }

    /// Makes the finished file the blob `digest`, which the caller has verified, inside the
    /// caller's transaction. One that is there already stays.
    pub(crate) fn place(&self, connection: &Connection, digest: &Digest) -> Result<(), Abort> {
        let store = self.lease.store();
        if layers::blob_size(connection, digest)?.is_none() {
            places::move_in(&self.path, &store.places().blob(digest), self.lease)?;
            layers::insert_blob(connection, digest, self.size, store.boot())?;
        }
        self.lease.pin(connection, PinKind::Blob, digest)?;
        Ok(())
    }
}

impl Write for StagedBlob<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for StagedBlob<'_> {
    fn drop(&mut self) {
        // Not there any more if it was placed; else the end of the lease removes it at the latest.
        let _ = fs::remove_file(&self.path);
    }
}

impl Store {
    /// The file of a blob that is there, for whoever can link or send it without reading. A
    /// document (manifest, index, config) has no file.
    ///
    /// # Errors
    /// If the database fails.
    pub fn blob_path(&self, digest: &Digest) -> Result<Option<PathBuf>> {
        let there = self.state().read("look a blob up", |c| Ok(layers::blob_size(c, digest)?))?;
        Ok(there.map(|_| self.places().blob(digest)))
    }

    /// Keeps a blob that is there from being collected, and answers with its size.
    pub(crate) fn pin_blob(&self, lease: &Lease, digest: &Digest) -> Result<Option<u64>> {
        self.state().write("pin a blob", |c| {
            let size = layers::blob_size(c, digest)?;
            if size.is_some() {
                lease.pin(c, PinKind::Blob, digest)?;
            }
            Ok(size)
        })
    }

    /// Forgets a blob whose file turned out to be missing or wrong.
    pub(crate) fn drop_blob(&self, lease: &Lease, digest: &Digest) -> Result<()> {
        self.state().write("forget a blob", |c| Ok(layers::remove_blob(c, digest)?))?;
        let forgotten = gc::Leftovers { blobs: vec![digest.clone()], ..gc::Leftovers::default() };
        forgotten.clear_unrecorded(self, lease)
    }

    /// Remembers that a repository of a registry has a blob, so that it can be mounted from there.
    ///
    /// # Errors
    /// If the database fails.
    pub fn note_blob_source(
        &self,
        digest: &Digest,
        registry: &str,
        repository: &str,
    ) -> Result<()> {
        self.note_blob_sources([digest], registry, repository)
    }

    /// As [`note_blob_source`](Store::note_blob_source) for several blobs at once.
    ///
    /// # Errors
    /// If the database fails.
    pub fn note_blob_sources<'a>(
        &self,
        digests: impl IntoIterator<Item = &'a Digest>,
        registry: &str,
        repository: &str,
    ) -> Result<()> {
        self.state().write("note where a blob is", |c| {
            for digest in digests {
                layers::note_source(c, digest, registry, repository)?;
            }
            Ok(())
        })
    }

    /// Registries and repositories that are known to have had a blob, the latest first.
    ///
    /// # Errors
    /// If the database fails.
    pub fn blob_sources(&self, digest: &Digest) -> Result<Vec<(String, String)>> {
        self.state().read("look for a blob's sources", |c| Ok(layers::sources(c, digest)?))
    }

    /// Puts a document's bytes, known by `digest`, under the lease.
    pub(crate) fn put_documents(
        &self,
        lease: &Lease,
        documents: &[(&Digest, &[u8])],
    ) -> Result<()> {
        self.state().write("put a document", |c| {
            for (digest, bytes) in documents {
                images::put_document(c, digest, bytes)?;
                lease.pin(c, PinKind::Document, digest)?;
            }
            Ok(())
        })
    }

    /// A document's bytes.
    ///
    /// # Errors
    /// If the database fails.
    pub fn document(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        self.state().read("read a document", |c| Ok(images::document(c, digest)?))
    }
}

impl BlobRead for Store {
    fn size(&self, digest: &Digest) -> oci::Result<Option<u64>> {
        let size = self.state().read("look a blob up", |c| match layers::blob_size(c, digest)? {
            Some(size) => Ok(Some(size)),
            None => Ok(images::document_size(c, digest)?),
        });
        size.map_err(|e| into_oci("look up", digest, e))
    }

    fn open(&self, blob: &Descriptor) -> oci::Result<Verified<Box<dyn Read + Send + '_>>> {
        let path = self.places().blob(&blob.digest);
        match File::open(&path) {
            Ok(file) => return Ok(Verified::new(Box::new(file), blob)),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(oci::Error::io("open", path.display().to_string(), e)),
        }
        match self.document(&blob.digest).map_err(|e| into_oci("read", &blob.digest, e))? {
            Some(bytes) => Ok(Verified::new(Box::new(Cursor::new(bytes)), blob)),
            None => Err(oci::Error::BlobNotFound { digest: blob.digest.clone() }),
        }
    }
}

/// Blobs taken under a lease are kept until it ends, and longer once something refers to them.
impl BlobRead for Lease {
    fn size(&self, digest: &Digest) -> oci::Result<Option<u64>> {
        BlobRead::size(self.store(), digest)
    }

    fn open(&self, blob: &Descriptor) -> oci::Result<Verified<Box<dyn Read + Send + '_>>> {
        BlobRead::open(self.store(), blob)
    }
}

impl BlobStore for Lease {
    fn ingest(&self) -> oci::Result<Box<dyn Ingest + '_>> {
        let blob = StagedBlob::create(self).map_err(|e| wrap("create a blob in", self, e))?;
        Ok(Box::new(HashedBlob { blob, hasher: Algorithm::Sha256.hasher() }))
    }

    fn remove(&self, digest: &Digest) -> oci::Result<()> {
        self.store().drop_blob(self, digest).map_err(|e| into_oci("remove", digest, e))
    }
}

/// A staged blob whose digest is computed as its bytes pass.
struct HashedBlob<'a> {
    blob: StagedBlob<'a>,
    hasher: Hasher,
}

impl Write for HashedBlob<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.blob.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.blob.flush()
    }
}

impl Ingest for HashedBlob<'_> {
    fn commit(self: Box<Self>, expected: Option<&Digest>) -> oci::Result<(Digest, u64)> {
        let HashedBlob { mut blob, hasher } = *self;
        let lease = blob.lease;
        let size = blob.finish().map_err(|e| wrap("write a blob in", lease, e))?;
        let mut actual = hasher.finish();
        if let Some(expected) = expected {
            // Only for other algorithms than the usual one are the bytes read again.
            if expected.algorithm() != actual.algorithm() {
                actual = rehash(&blob, expected.algorithm())?;
            }
            if *expected != actual {
                return Err(oci::Error::DigestMismatch { expected: expected.clone(), actual });
            }
        }
        lease
            .store()
            .state()
            .write("record a blob", |c| blob.place(c, &actual))
            .map_err(|e| into_oci("record", &actual, e))?;
        Ok((actual, size))
    }
}

fn rehash(blob: &StagedBlob<'_>, algorithm: Algorithm) -> oci::Result<Digest> {
    let mut hasher = algorithm.hasher();
    File::open(&blob.path)
        .and_then(|mut file| io::copy(&mut file, &mut hasher))
        .map_err(|e| oci::Error::io("read", blob.path.display().to_string(), e))?;
    Ok(hasher.finish())
}

fn wrap(operation: &'static str, lease: &Lease, error: Error) -> oci::Error {
    let object = lease.store().root().display().to_string();
    oci::Error::Remote { operation, object, source: Box::new(error) }
}

/// An error of the store in the words of `oci`'s traits.
pub(crate) fn into_oci(operation: &'static str, digest: &Digest, error: Error) -> oci::Error {
    match error {
        Error::Oci(error) => error,
        error => oci::Error::Remote {
            operation,
            object: format!("blob {digest}"),
            source: Box::new(error),
        },
    }
}
