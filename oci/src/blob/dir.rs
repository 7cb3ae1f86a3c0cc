//! Blobs as files `<algorithm>/<hex>` of a directory, as an OCI layout has them.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::{BlobRead, BlobStore, Ingest, Verified};
use crate::{Algorithm, Descriptor, Digest, Error, Hasher, Result};

/// The blobs below a directory. A blob appears by a rename, whole or not at all.
#[derive(Debug, Clone)]
pub struct DirBlobs {
    root: PathBuf,
    staging: PathBuf,
}

impl DirBlobs {
    /// Blobs in `root`; what is on its way stands in `staging`, on the same file system.
    pub fn new(root: impl Into<PathBuf>, staging: impl Into<PathBuf>) -> DirBlobs {
        DirBlobs { root: root.into(), staging: staging.into() }
    }

    /// The file of a blob, whether it is there or not.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.root.join(digest.algorithm().as_str()).join(digest.hex())
    }

    /// The digests of all blobs that are there.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn list(&self) -> Result<Vec<Digest>> {
        let mut digests = Vec::new();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let dir = self.root.join(algorithm.as_str());
            let entries = match fs::read_dir(&dir) {
                Ok(entries) => entries,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(at("list", &dir, e)),
            };
            for entry in entries {
                let name = entry.map_err(|e| at("list", &dir, e))?.file_name();
                // What is not named like a blob is none of ours.
                digests.extend(name.to_str().and_then(|n| Digest::from_parts(algorithm, n).ok()));
            }
        }
        Ok(digests)
    }
}

impl BlobRead for DirBlobs {
    fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        let path = self.path(digest);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(at("read", &path, e)),
        }
    }

    fn open(&self, blob: &Descriptor) -> Result<Verified<Box<dyn Read + Send + '_>>> {
        let path = self.path(&blob.digest);
        match File::open(&path) {
            Ok(file) => Ok(Verified::new(Box::new(file), blob)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                Err(Error::BlobNotFound { digest: blob.digest.clone() })
            }
            Err(e) => Err(at("open", &path, e)),
        }
    }
}

impl BlobStore for DirBlobs {
    fn ingest(&self) -> Result<Box<dyn Ingest + '_>> {
        fs::create_dir_all(&self.staging).map_err(|e| at("create", &self.staging, e))?;
        let file = tempfile::Builder::new()
            .prefix("blob-")
            .tempfile_in(&self.staging)
            .map_err(|e| at("create a file in", &self.staging, e))?;
        Ok(Box::new(DirIngest {
            blobs: self,
            file: BufWriter::with_capacity(1 << 18, file),
            hasher: Some(Algorithm::Sha256.hasher()),
            size: 0,
        }))
    }

    fn remove(&self, digest: &Digest) -> Result<()> {
        let path = self.path(digest);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(at("remove", &path, e)),
            _ => Ok(()),
        }
    }
}

struct DirIngest<'a> {
    blobs: &'a DirBlobs,
    file: BufWriter<NamedTempFile>,
    hasher: Option<Hasher>,
    size: u64,
}

impl Write for DirIngest<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&bytes[..count]);
        }
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Ingest for DirIngest<'_> {
    fn commit(mut self: Box<Self>, expected: Option<&Digest>) -> Result<(Digest, u64)> {
        let staging = &self.blobs.staging;
        self.file.flush().map_err(|e| at("write to", staging, e))?;
        let mut actual = self.hasher.take().unwrap_or_else(|| Algorithm::Sha256.hasher()).finish();
        let file = self.file.into_inner().map_err(|e| at("write to", staging, e.into_error()))?;
        if let Some(expected) = expected {
            // Only for other algorithms than the usual one are the bytes read again.
            if expected.algorithm() != actual.algorithm() {
                actual = rehash(file.path(), expected.algorithm())?;
            }
            if *expected != actual {
                return Err(Error::DigestMismatch { expected: expected.clone(), actual });
            }
        }
        let path = self.blobs.path(&actual);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|e| at("create", parent, e))?;
        }
        let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        file.as_file().set_permissions(readable).map_err(|e| at("chmod", file.path(), e))?;
        file.persist(&path).map_err(|e| at("rename to", &path, e.error))?;
        Ok((actual, self.size))
    }
}

fn rehash(path: &Path, algorithm: Algorithm) -> Result<Digest> {
    let mut hasher = algorithm.hasher();
    let mut file = File::open(path).map_err(|e| at("open", path, e))?;
    io::copy(&mut file, &mut hasher).map_err(|e| at("read", path, e))?;
    Ok(hasher.finish())
}

fn at(operation: &'static str, path: &Path, source: io::Error) -> Error {
    Error::io(operation, path.display().to_string(), source)
}
