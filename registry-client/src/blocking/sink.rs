//! Images into a registry.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use futures_util::{StreamExt, TryStreamExt, stream};
use oci::{BlobRead, Descriptor, Digest, Document, Image, ImageSink, MediaType, Reference};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::pump::pumped_body;
use super::to_oci;
use crate::auth::Access;
use crate::{Client, Error, Uploaded};

/// How far one blob of a push is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobProgress {
    /// The registry has it already.
    Present,
    /// The registry took it from another of its repositories.
    Mounted,
    /// So many of its bytes are on their way. It may go back, when a connection broke.
    At(u64),
    /// All of it was sent.
    Sent,
}

/// Tells in which repositories a blob is known to be.
type Mounts = dyn Fn(&Digest) -> Vec<Reference> + Send + Sync;
/// Is told how far each blob is.
type Progress = dyn Fn(&Descriptor, BlobProgress) + Send + Sync;

/// How a [`Sink`] works.
#[derive(Clone)]
pub struct SinkOptions {
    /// How many blobs are sent at once.
    pub parallel: usize,
    /// In which repositories a blob is known to be; those of the same registry are of use.
    pub mounts: Arc<Mounts>,
    /// Is told how far each blob is, from several threads.
    pub progress: Arc<Progress>,
}

impl Default for SinkOptions {
    fn default() -> SinkOptions {
        SinkOptions { parallel: 5, mounts: Arc::new(|_| Vec::new()), progress: Arc::new(|_, _| {}) }
    }
}

/// Puts images into registries: what is missing of their blobs, in parallel, and then the
/// manifest.
pub struct Sink {
    client: Client,
    handle: Handle,
    options: SinkOptions,
}

impl Sink {
    /// A sink into all registries.
    pub fn new(client: Client, handle: Handle, options: SinkOptions) -> Sink {
        Sink { client, handle, options }
    }

    /// Which of some blobs a repository lacks.
    fn missing(&self, name: &Reference, wanted: Vec<Descriptor>) -> crate::Result<Vec<Descriptor>> {
        let look = |blob: Descriptor| async move {
            let found = self.client.head_blob(name, &blob.digest, Access::Push).await?;
            if found.is_some() {
                (self.options.progress)(&blob, BlobProgress::Present);
            }
            Ok::<_, Error>(found.is_none().then_some(blob))
        };
        let all = stream::iter(wanted).map(look).buffered(32).try_collect::<Vec<_>>();
        Ok(self.handle.block_on(all)?.into_iter().flatten().collect())
    }

    fn upload_all(&self, push: &Push<'_>, missing: Vec<Descriptor>) -> oci::Result<()> {
        let workers = self.options.parallel.clamp(1, missing.len().max(1));
        let queue = Mutex::new(missing.into_iter());
        let failure = Mutex::new(None);
        let (stop, stopped) = watch::channel(false);
        thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    loop {
                        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                        let Some(blob) = next.filter(|_| !*stopped.borrow()) else { return };
                        if let Err(error) = self.upload(push, &blob, stopped.clone()) {
                            let mut first = failure.lock().unwrap_or_else(PoisonError::into_inner);
                            first.get_or_insert(error);
                            stop.send_replace(true);
                        }
                    }
                });
            }
        });
        failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    /// Sends one blob. The calling thread reads its bytes, the runtime sends them.
    fn upload(
        &self,
        push: &Push<'_>,
        blob: &Descriptor,
        mut stopped: watch::Receiver<bool>,
    ) -> oci::Result<()> {
        let (body, mut openings) = pumped_body();
        let mounts = self.mounts(push.name, &blob.digest);
        let (client, name, sent) = (self.client.clone(), push.name.clone(), blob.clone());
        let task = self.handle.spawn(async move {
            tokio::select! {
                uploaded = client.upload_blob(&name, &sent, &body, &mounts) => Some(uploaded),
                _ = stopped.wait_for(|stopped| *stopped) => None,
            }
        });
        let progress = &self.options.progress;
        // Ends when the task has ended, and the body with it.
        while let Some(opening) = openings.blocking_recv() {
            let at = |position| progress(blob, BlobProgress::At(position));
            match push.in_memory(&blob.digest) {
                Some(bytes) => opening.fulfil(|| Ok(bytes), at),
                None => opening.fulfil(|| push.blobs.open(blob).map_err(io::Error::from), at),
            }
        }
        let remote = |source| oci::Error::Remote {
            operation: "push blob",
            object: blob.digest.to_string(),
            source,
        };
        match self.handle.block_on(task).map_err(|e| remote(Box::new(e)))? {
            Some(Ok(Uploaded::Mounted)) => progress(blob, BlobProgress::Mounted),
            Some(Ok(Uploaded::Sent)) => progress(blob, BlobProgress::Sent),
            Some(Err(error)) => return Err(to_oci("push to", push.name.registry(), error)),
            // Another blob failed; its error is the one that is told.
            None => {}
        }
        Ok(())
    }

    fn mounts(&self, name: &Reference, digest: &Digest) -> Vec<String> {
        (self.options.mounts)(digest)
            .into_iter()
            .filter(|from| from.registry() == name.registry())
            .map(|from| from.repository().to_owned())
            .collect()
    }
}

impl ImageSink for Sink {
    fn put(&self, name: &Reference, image: &Image, blobs: &dyn BlobRead) -> oci::Result<Digest> {
        let digest = image.manifest.digest();
        let name = target(name, digest)?;
        let failed = |error| to_oci("push to", name.registry(), error);
        let present = self.handle.block_on(self.client.present_manifest(&name)).map_err(failed)?;
        if present.is_some_and(|present| present.digest == *digest) {
            for blob in wanted(image) {
                (self.options.progress)(&blob, BlobProgress::Present);
            }
            return Ok(digest.clone());
        }
        let missing = self.missing(&name, wanted(image)).map_err(failed)?;
        self.upload_all(&Push { name: &name, image, blobs }, missing)?;
        let media_type = image.manifest.media_type.clone().unwrap_or(MediaType::OCI_MANIFEST);
        let bytes = image.manifest.bytes().to_vec();
        let pushed = self.client.put_manifest(&name, bytes, &media_type);
        let pushed = self.handle.block_on(pushed).map_err(failed)?;
        if let Some(subject) = &image.manifest.subject
            && !pushed.subject_listed
        {
            let referrer = Document::Manifest(image.manifest.clone()).as_referrer();
            let listed = self.client.list_referrer(&name, &subject.digest, referrer);
            self.handle.block_on(listed).map_err(failed)?;
        }
        Ok(pushed.digest)
    }
}

/// What to put an image under: the tag where there is one, for the digest follows by itself.
fn target(name: &Reference, digest: &Digest) -> oci::Result<Reference> {
    if let Some(expected) = name.digest()
        && expected != digest
    {
        let (expected, actual) = (expected.clone(), digest.clone());
        return Err(oci::Error::DigestMismatch { expected, actual });
    }
    match name.tag_or_default() {
        Some(tag) => Reference::new(name.registry(), name.repository(), Some(tag), None),
        None => Ok(name.clone()),
    }
}

/// One push.
struct Push<'a> {
    name: &'a Reference,
    image: &'a Image,
    blobs: &'a dyn BlobRead,
}

impl Push<'_> {
    /// The config needs no store to come from.
    fn in_memory(&self, digest: &Digest) -> Option<&[u8]> {
        let config = &self.image.config;
        (config.digest() == digest).then(|| config.bytes())
    }
}

/// The blobs of an image that a registry must have, each once. What must not be distributed is
/// left where it is.
fn wanted(image: &Image) -> Vec<Descriptor> {
    let mut seen = HashSet::new();
    let layers = image.manifest.layers.iter().filter(|layer| !layer.media_type.is_foreign_layer());
    layers
        .chain([&image.manifest.config])
        .filter(|blob| seen.insert(blob.digest.clone()))
        .cloned()
        .collect()
}
