//! Uploads as files. What one request brings is written to a file that has no name until it is a
//! blob: a process that is killed leaves nothing of it. An open upload has a name, below `_staging`,
//! since no file stays open between its requests: a thousand idle uploads cost nothing.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use oci::{Algorithm, Digest};

use super::blobs::Blobs;
use super::file::Fresh;
use super::{blocking, file};
use crate::name::Repository;
use crate::progress::Progress;
use crate::storage::Staged;
use crate::{Error, Result};

pub(super) struct StagedFile {
    blobs: Arc<Blobs>,
    place: Place,
}

#[derive(Clone)]
enum Place {
    /// Of no file yet, and then of one without a name.
    Nameless(Option<Arc<File>>),
    Named(Arc<PathBuf>),
    /// It has become a blob.
    Done,
}

impl StagedFile {
    /// For one request. Where files without a name cannot be had, it has one.
    pub(super) fn nameless(blobs: Arc<Blobs>) -> StagedFile {
        if blobs.staging.has_nameless() {
            StagedFile { blobs, place: Place::Nameless(None) }
        } else {
            StagedFile::named(blobs)
        }
    }

    /// For many requests.
    pub(super) fn named(blobs: Arc<Blobs>) -> StagedFile {
        let place = Place::Named(Arc::new(blobs.staging.path()));
        StagedFile { blobs, place }
    }

    /// Works on the open file, where that delays nobody.
    async fn with_file<T: Send + 'static>(
        &mut self,
        operation: &'static str,
        verb: &'static str,
        work: impl FnOnce(&File) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (place, blobs) = (self.place.clone(), self.blobs.clone());
        let (place, done) = blocking(operation, move || {
            let (place, file) = place.open(&blobs)?;
            let done = work(&file).map_err(|e| Error::at(verb, &place.path(&blobs), e))?;
            Ok((place, done))
        })
        .await?;
        self.place = place;
        Ok(done)
    }
}

impl Place {
    /// The same with an open file; a named one is closed when its work is done.
    fn open(self, blobs: &Blobs) -> Result<(Place, Arc<File>)> {
        match self {
            Place::Nameless(Some(file)) => Ok((Place::Nameless(Some(file.clone())), file)),
            Place::Nameless(None) => {
                let file = Arc::new(blobs.staging.nameless()?);
                Ok((Place::Nameless(Some(file.clone())), file))
            }
            Place::Named(path) => {
                let opened = open(&path).map_err(|e| Error::at("open", &path, e))?;
                Ok((Place::Named(path), Arc::new(opened)))
            }
            Place::Done => Err(Error::Ended),
        }
    }

    /// What an error is about.
    fn path(&self, blobs: &Blobs) -> PathBuf {
        match self {
            Place::Named(path) => path.to_path_buf(),
            Place::Nameless(_) | Place::Done => blobs.layout.staging(),
        }
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if let Place::Named(path) = &self.place
            && let Err(error) = file::remove(path)
        {
            tracing::warn!(%error, "an upload leaves a file behind");
        }
    }
}

impl Staged for StagedFile {
    fn write(&mut self, offset: u64, batch: Vec<Bytes>) -> BoxFuture<'_, Result<Option<Progress>>> {
        async move {
            let write = move |file: &File| write(file, offset, &batch);
            self.with_file("write of an upload", "write", write).await?;
            Ok(None)
        }
        .boxed()
    }

    fn digest(&mut self, algorithm: Algorithm, size: u64) -> BoxFuture<'_, Result<Digest>> {
        let digest = move |file: &File| file::digest(file, algorithm, size);
        self.with_file("digest of an upload", "read", digest).boxed()
    }

    fn commit(
        mut self: Box<Self>,
        repository: Repository,
        digest: Digest,
        size: u64,
    ) -> BoxFuture<'static, Result<()>> {
        async move {
            blocking("commit of an upload", move || {
                let (place, file) = self.place.clone().open(&self.blobs)?;
                let path = place.path(&self.blobs);
                // A write that failed half-way may have left more.
                let trimmed = file.metadata().and_then(|found| match found.len() == size {
                    true => Ok(()),
                    false => file.set_len(size),
                });
                trimmed.map_err(|e| Error::at("truncate", &path, e))?;
                let fresh = match &place {
                    Place::Named(path) => Fresh::Named(path),
                    Place::Nameless(_) | Place::Done => Fresh::Nameless(&file),
                };
                self.blobs.place(fresh, &repository, &digest, size)?;
                self.place = Place::Done;
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

fn write(file: &File, mut offset: u64, batch: &[Bytes]) -> io::Result<()> {
    for bytes in batch {
        file.write_all_at(bytes, offset)?;
        offset += bytes.len() as u64;
    }
    Ok(())
}
