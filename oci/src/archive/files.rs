//! The files of an archive, wherever they are.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use super::invalid;
use super::tar_index::TarIndex;
use crate::{Descriptor, Digest, Error, Result, Verified};

/// Files by their path from the root of the archive. Paths are ours or from lists within the
/// archive; only a tar is ever asked for the latter.
#[derive(Debug)]
pub(super) enum Files {
    Dir(PathBuf),
    Tar(TarIndex),
}

/// A file and its size.
pub(super) type Opened<'a> = (u64, Box<dyn Read + Send + 'a>);

impl Files {
    /// Opens a file; `None` if it is not there.
    pub(super) fn open(&self, path: &str) -> Result<Option<Opened<'_>>> {
        match self {
            Files::Tar(index) => Ok(index.open(path)?.map(|section| {
                let size = section.len();
                let reader: Box<dyn Read + Send + '_> = Box::new(section);
                (size, reader)
            })),
            Files::Dir(root) => {
                let full = root.join(path);
                let failed = |e| Error::io("open", full.display().to_string(), e);
                let file = match File::open(&full) {
                    Ok(file) => file,
                    Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
                    Err(e) => return Err(failed(e)),
                };
                let size = file.metadata().map_err(failed)?.len();
                Ok(Some((size, Box::new(file))))
            }
        }
    }

    /// Reads a small file whole; `None` if it is not there.
    pub(super) fn document(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let Some((size, reader)) = self.open(path)? else { return Ok(None) };
        if size > limit {
            return Err(invalid(format!("`{path}` has {size} bytes, more than {limit}")));
        }
        let mut bytes = Vec::new();
        reader
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(|e| Error::io("read", format!("`{path}` of the image archive"), e))?;
        Ok(Some(bytes))
    }

    /// The size of a blob of an OCI layout; `None` if it is not there.
    pub(super) fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        Ok(self.open(&blob_path(digest))?.map(|(size, _)| size))
    }

    /// Opens a blob of an OCI layout.
    pub(super) fn open_blob(
        &self,
        blob: &Descriptor,
    ) -> Result<Verified<Box<dyn Read + Send + '_>>> {
        match self.open(&blob_path(&blob.digest))? {
            Some((_, reader)) => Ok(Verified::new(reader, blob)),
            None => Err(Error::BlobNotFound { digest: blob.digest.clone() }),
        }
    }
}

/// Where a blob lies in an OCI layout (image-layout, "Blobs").
pub(super) fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().as_str(), digest.hex())
}
