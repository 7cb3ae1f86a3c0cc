//! Blobs that are sent while they are being made.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt};
use oci::{Digest, Reference};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::growing_upload::{GrowingBody, Grown};
use crate::{BodySource, Client};

/// How many bytes of a file are read at once.
const CHUNK: u64 = 256 << 10;

/// Sends blobs while they are being made, so that most of their bytes are there when their
/// digests become known.
///
/// This is for time alone. Each blob gets one try, and what goes wrong is nobody's concern but
/// the log's: a [`Sink`](super::Sink) finds out what is missing and sends it, from the blobs that
/// are made by then.
pub struct EarlyUploads {
    client: Client,
    handle: Handle,
    name: Reference,
    permits: Arc<Semaphore>,
    uploads: Mutex<Vec<JoinHandle<Option<Digest>>>>,
}

impl EarlyUploads {
    /// Uploads into the repository of `name`, at most `parallel` at once.
    pub fn new(client: Client, handle: Handle, name: Reference, parallel: usize) -> EarlyUploads {
        let permits = Arc::new(Semaphore::new(parallel.max(1)));
        EarlyUploads { client, handle, name, permits, uploads: Mutex::default() }
    }

    /// Begins to send a blob out of the file that it is being written to. `made_of` says what it
    /// is made of: an upload of that which broke off goes on.
    pub fn begin(&self, file: File, made_of: &str) -> GrowingBlob {
        let (grown, seen) = watch::channel(Grown::default());
        let source = GrowingFile { file: Arc::new(file), grown: seen.clone() };
        let (client, name) = (self.client.clone(), self.name.clone());
        let named = Named { client: client.clone(), to: name.clone(), made_of: made_of.to_owned() };
        let made_of = made_of.to_owned();
        let permits = Arc::clone(&self.permits);
        let upload = self.handle.spawn(async move {
            let _permit = permits.acquire_owned().await.ok()?;
            let body = GrowingBody { bytes: &source, grown: seen, made_of: &made_of };
            match client.upload_growing(&name, body).await {
                Ok(digest) => Some(digest),
                Err(error) => {
                    tracing::debug!(%error, "not sent while it was made");
                    None
                }
            }
        });
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner).push(upload);
        GrowingBlob { grown, named }
    }

    /// Waits for all uploads, and answers with what the registry took.
    pub fn finish(self) -> HashSet<Digest> {
        let uploads = self.uploads.into_inner().unwrap_or_else(PoisonError::into_inner);
        let wait = |upload: JoinHandle<_>| self.handle.block_on(upload).ok().flatten();
        uploads.into_iter().filter_map(wait).collect()
    }
}

/// The side of who makes a blob. Dropped before the blob is whole, it ends the upload.
pub struct GrowingBlob {
    grown: watch::Sender<Grown>,
    named: Named,
}

/// By what its upload is remembered.
struct Named {
    client: Client,
    to: Reference,
    made_of: String,
}

impl GrowingBlob {
    /// The first `size` bytes are in the file and will not change.
    pub fn grew(&self, size: u64) {
        self.grown.send_modify(|grown| grown.size = size);
    }

    /// The blob is whole.
    pub fn completed(self, size: u64, digest: Digest) {
        let Named { client, to, made_of } = &self.named;
        if let Some(unfinished) = &client.transport.unfinished {
            unfinished.name_upload(to, made_of, &digest);
        }
        self.grown.send_replace(Grown { size, digest: Some(digest) });
    }
}

/// The side of who sends it.
struct GrowingFile {
    file: Arc<File>,
    grown: watch::Receiver<Grown>,
}

impl BodySource for GrowingFile {
    fn open(
        &self,
        offset: u64,
    ) -> BoxFuture<'_, io::Result<BoxStream<'static, io::Result<Bytes>>>> {
        let start = (Arc::clone(&self.file), self.grown.clone(), offset);
        let next = |(file, mut grown, at): (Arc<File>, watch::Receiver<Grown>, u64)| async move {
            let size = match grown.wait_for(|now| now.size > at || now.digest.is_some()).await {
                Ok(now) => now.size,
                Err(_) => return Err(io::Error::other("the blob was given up")),
            };
            let count = size.saturating_sub(at).min(CHUNK);
            if count == 0 {
                return Ok(None);
            }
            let from = Arc::clone(&file);
            let read = tokio::task::spawn_blocking(move || read_at(&from, at, count));
            let chunk = read.await.map_err(io::Error::other)??;
            Ok(Some((chunk, (file, grown, at + count))))
        };
        Box::pin(async move { Ok(stream::try_unfold(start, next).boxed()) })
    }
}

fn read_at(file: &File, at: u64, count: u64) -> io::Result<Bytes> {
    let mut chunk = vec![0; usize::try_from(count).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut chunk, at)?;
    Ok(chunk.into())
}
