//! Uploads as files. No file stays open between requests: a thousand idle uploads cost nothing.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use oci::{Algorithm, Digest};

use super::blobs::Blobs;
use super::{blocking, file};
use crate::name::Repository;
use crate::progress::Progress;
use crate::storage::Staged;
use crate::{Error, Result};

pub(super) struct StagedFile {
    blobs: Arc<Blobs>,
    /// `None` once it has become a blob.
    path: Option<Arc<PathBuf>>,
}

impl StagedFile {
    pub(super) fn new(blobs: Arc<Blobs>) -> StagedFile {
        let path = Some(Arc::new(blobs.staging.path()));
        StagedFile { blobs, path }
    }

    fn path(&self) -> Result<Arc<PathBuf>> {
        self.path.clone().ok_or(Error::Interrupted { operation: "upload" })
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if let Some(path) = &self.path
            && let Err(error) = file::remove(path)
        {
            tracing::warn!(%error, "an upload leaves a file behind");
        }
    }
}

impl Staged for StagedFile {
    fn write(&mut self, offset: u64, batch: Vec<Bytes>) -> BoxFuture<'_, Result<Option<Progress>>> {
        async move {
            let path = self.path()?;
            blocking("write of an upload", move || {
                write(&path, offset, &batch).map_err(|e| Error::at("write", &path, e))
            })
            .await?;
            Ok(None)
        }
        .boxed()
    }

    fn digest(&mut self, algorithm: Algorithm, size: u64) -> BoxFuture<'_, Result<Digest>> {
        async move {
            let path = self.path()?;
            blocking("digest of an upload", move || {
                open(&path)
                    .and_then(|file| file::digest(&file, algorithm, size))
                    .map_err(|e| Error::at("read", &path, e))
            })
            .await
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
            let path = self.path()?;
            blocking("commit of an upload", move || {
                // A write that failed half-way may have left more, and nothing was written of an
                // empty blob.
                let trimmed = open(&path).and_then(|file| file.set_len(size));
                trimmed.map_err(|e| Error::at("truncate", &path, e))?;
                self.blobs.place(&path, &repository, &digest, size)?;
                self.path = None;
                Ok(())
            })
            .await
        }
        .boxed()
    }
}

fn open(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

fn write(path: &PathBuf, mut offset: u64, batch: &[Bytes]) -> io::Result<()> {
    let file = open(path)?;
    for bytes in batch {
        file.write_all_at(bytes, offset)?;
        offset += bytes.len() as u64;
    }
    Ok(())
}
