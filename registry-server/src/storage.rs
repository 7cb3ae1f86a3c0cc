//! Where a registry keeps what it is given.
//!
//! A [`Backend`] holds per repository the blobs that were pushed or mounted there, and its
//! [`State`]. What it promises: a blob is visible whole or not at all, and in no repository that
//! was not given it (CVE-2024-39897); a [`Change`] is made in one step, and when it is answered
//! it is durable; nothing waits for a body.

mod bucket;
mod dir;
mod memory;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, RwLock};

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::BoxStream;
use oci::{Algorithm, Digest};

pub use self::bucket::Bucket;
pub use self::dir::Lender;
use crate::Result;
use crate::name::Repository;
use crate::progress::Progress;
use crate::state::{Change, Refusal, State};

/// A place for blobs and manifests. Clones share it.
#[derive(Clone)]
pub struct Storage(pub(crate) Arc<dyn Backend>);

/// When a directory's writes are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// When they would survive a power failure.
    #[default]
    Power,
    /// When they would survive the end of this process, by whatever signal.
    Process,
}

impl Storage {
    /// Memory: everything is gone when the last clone is.
    pub fn memory() -> Storage {
        Storage(Arc::new(memory::Memory::default()))
    }

    /// A directory, made if it is not there. Each repository is an OCI image layout at its name
    /// below `path`, to be read by other tools at any time and written by them while no registry
    /// serves it.
    ///
    /// # Errors
    /// If the directory cannot be made or read, or another process serves it.
    pub fn dir(path: impl AsRef<Path>) -> Result<Storage> {
        Storage::dir_with(path, Durability::default())
    }

    /// [`Storage::dir`] with a choice of durability.
    ///
    /// # Errors
    /// As [`Storage::dir`].
    pub fn dir_with(path: impl AsRef<Path>, durability: Durability) -> Result<Storage> {
        Ok(Storage(Arc::new(dir::Dir::open(path.as_ref(), durability, None)?)))
    }

    /// [`Storage::dir`] beside another store on this machine. A blob that a client asks to be
    /// mounted from anywhere, and who may read everything, is taken from there without a copy:
    /// its digest is verified, and its file is linked, or cloned where others could change it.
    ///
    /// # Errors
    /// As [`Storage::dir`].
    pub fn dir_beside(path: impl AsRef<Path>, lender: Lender) -> Result<Storage> {
        let dir = dir::Dir::open(path.as_ref(), Durability::default(), Some(lender))?;
        Ok(Storage(Arc::new(dir)))
    }

    /// A bucket of S3 or of what speaks like it, conditional writes included. Any number of
    /// servers can share it, open uploads included.
    ///
    /// # Errors
    /// If the settings cannot be understood. The bucket is not asked yet.
    pub fn bucket(bucket: &Bucket) -> Result<Storage> {
        Ok(Storage(Arc::new(bucket::Remote::open(bucket)?)))
    }

    /// Whether several processes may serve this at once. A bucket is asked whether it keeps the
    /// conditions of writes: some services take them and do not look at them, and with those an
    /// image that one process takes can be lost by what another one takes.
    ///
    /// # Errors
    /// If the bucket does not answer, or does not let us write.
    pub async fn can_be_shared(&self) -> Result<bool> {
        self.0.can_be_shared().await
    }
}

/// The state of a repository, to be looked at briefly.
pub(crate) type SharedState = Arc<RwLock<State>>;

/// What storage implementations do.
pub(crate) trait Backend: Send + Sync + 'static {
    /// The state of a repository; `None` if nothing was ever committed to it.
    fn state<'a>(
        &'a self,
        repository: &'a Repository,
    ) -> BoxFuture<'a, Result<Option<SharedState>>>;

    /// Makes a change, durably, or refuses it. Once it has begun it is completed even if the
    /// future is dropped.
    fn commit<'a>(
        &'a self,
        repository: &'a Repository,
        change: Change,
    ) -> BoxFuture<'a, Result<Result<(), Refusal>>>;

    /// Up to `limit` repositories in the order of their names, those after `after`.
    fn repositories<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Repository>>>;

    /// The size of a blob in bytes, `None` if the repository does not hold it.
    fn blob_size<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<u64>>>;

    /// Opens a blob, `None` if the repository does not hold it.
    fn open_blob<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<Blob>>>;

    /// Those of `digests` that the repository does not hold.
    fn missing_blobs<'a>(
        &'a self,
        repository: &'a Repository,
        digests: Vec<Digest>,
    ) -> BoxFuture<'a, Result<Vec<Digest>>>;

    /// Makes a blob of `from` (of any repository if `None`) visible in `to`, without a copy where
    /// that is possible. False if it is not there.
    fn mount_blob<'a>(
        &'a self,
        from: Option<&'a Repository>,
        to: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<bool>>;

    /// Takes a blob from a repository; false if it was not there.
    fn remove_blob<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<bool>>;

    /// Makes what a repository holds as durable, and as new to a collection, as if it had come
    /// now, and answers with its size; `None` if it does not hold it.
    fn renew_blob<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<u64>>>;

    /// Whether other processes change it, too.
    fn is_shared(&self) -> bool {
        false
    }

    /// Begins to take a blob from a repository: whoever comes to need it from now on waits for the
    /// end of that. `None` if it is not there or is on its way. For storage that is shared.
    fn condemn_blob<'a>(
        &'a self,
        _repository: &'a Repository,
        _digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<Condemned>>> {
        std::future::ready(Ok(None)).boxed()
    }

    /// Ends that by leaving the blob where it was.
    fn pardon_blob<'a>(
        &'a self,
        _repository: &'a Repository,
        _digest: &'a Digest,
        _condemned: Condemned,
    ) -> BoxFuture<'a, Result<()>> {
        std::future::ready(Ok(())).boxed()
    }

    /// Ends it by taking the blob; false if it is too late to do that now.
    fn execute_blob<'a>(
        &'a self,
        _repository: &'a Repository,
        _digest: &'a Digest,
        _condemned: Condemned,
    ) -> BoxFuture<'a, Result<bool>> {
        std::future::ready(Ok(false)).boxed()
    }

    /// Gives a repository a blob back that was taken from it a moment ago; false if its bytes are
    /// gone. For storage that is shared.
    fn restore_blob<'a>(
        &'a self,
        _repository: &'a Repository,
        _digest: &'a Digest,
    ) -> BoxFuture<'a, Result<bool>> {
        std::future::ready(Ok(false)).boxed()
    }

    /// All blobs that repositories hold.
    fn holdings(&self) -> BoxFuture<'_, Result<Vec<Holding>>>;

    /// Frees the bytes that no repository has held for `grace`, where the removal of the last
    /// holding does not do that.
    fn sweep(&self, _grace: Duration) -> BoxFuture<'_, Result<()>> {
        std::future::ready(Ok(())).boxed()
    }

    /// Whether several processes can change one repository without losing what the other did.
    fn can_be_shared(&self) -> BoxFuture<'_, Result<bool>> {
        std::future::ready(Ok(true)).boxed()
    }

    /// The name of the store that blobs can be mounted from though no repository holds them.
    fn lender(&self) -> Option<&str> {
        None
    }

    /// A place for bytes that one request brings, and whose digest is not yet known.
    fn stage(&self) -> Box<dyn Staged>;

    /// The same for an upload that many requests may bring, with hours between them.
    fn stage_open(&self) -> Box<dyn Staged> {
        self.stage()
    }

    /// Where open uploads are that any process can go on with; `None` if they are those of this
    /// process alone.
    fn uploads(&self) -> Option<&dyn Uploads> {
        None
    }
}

/// Open uploads that several processes share.
pub(crate) trait Uploads: Send + Sync {
    /// Begins an upload whose digest will probably be of `algorithm`, and answers with its id.
    fn begin<'a>(
        &'a self,
        repository: &'a Repository,
        algorithm: Algorithm,
    ) -> BoxFuture<'a, Result<String>>;

    /// How many bytes of an upload any process can go on from; `None` if there is no such upload.
    fn received<'a>(
        &'a self,
        repository: &'a Repository,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<u64>>>;

    /// Goes on with an upload, if nobody else writes to it; at the offset `at`, if one is given.
    fn resume<'a>(
        &'a self,
        repository: &'a Repository,
        id: &'a str,
        at: Option<u64>,
    ) -> BoxFuture<'a, Result<Resumed>>;

    /// Ends an upload; false if there is no such upload.
    fn cancel<'a>(&'a self, repository: &'a Repository, id: &'a str)
    -> BoxFuture<'a, Result<bool>>;

    /// Ends the uploads that nothing was heard of for `age`, whoever began them.
    fn expire(&self, age: Duration) -> BoxFuture<'_, Result<()>>;
}

/// An upload that goes on.
pub(crate) struct Resumed {
    pub(crate) staged: Box<dyn Staged>,
    pub(crate) progress: Progress,
}

/// That a repository holds a blob.
#[derive(Debug, Clone)]
pub(crate) struct Holding {
    pub(crate) repository: Repository,
    pub(crate) digest: Digest,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Since when, at the earliest.
    pub(crate) since: SystemTime,
    /// Whether somebody has begun to take it away.
    pub(crate) removing: bool,
}

/// That a blob is being taken from a repository, as it was written down.
#[derive(Debug, Clone)]
pub(crate) struct Condemned {
    size: u64,
    e_tag: Option<String>,
    version: Option<String>,
    since: Instant,
}

/// Bytes of a blob on their way in. Dropped, they are gone, unless they belong to an upload that
/// goes on.
pub(crate) trait Staged: Send {
    /// Puts `batch` at `offset`, which is where the bytes written so far end. If it turns out that
    /// another process has added to them meanwhile, the batch stands after that; then it is said
    /// how far the whole is.
    fn write(&mut self, offset: u64, batch: Vec<Bytes>) -> BoxFuture<'_, Result<Option<Progress>>>;

    /// Learns how far the upload is.
    fn note(&mut self, _progress: &Progress) {}

    /// Makes what has been noted known to all processes that can go on with it; as
    /// [`Staged::write`] it may find that more has come.
    fn park(&mut self) -> BoxFuture<'_, Result<Option<Progress>>> {
        std::future::ready(Ok(None)).boxed()
    }

    /// Finds out whether another process has added to it.
    fn refresh(&mut self) -> BoxFuture<'_, Result<Option<Progress>>> {
        std::future::ready(Ok(None)).boxed()
    }

    /// From now on nobody goes on with it: dropped, it is gone.
    fn end(&mut self) {}

    /// Removes what has ended and is to be no blob: who waits for it finds nothing of it then,
    /// where else it would be gone some time later.
    fn remove(self: Box<Self>) -> BoxFuture<'static, ()> {
        drop(self);
        std::future::ready(()).boxed()
    }

    /// Reads the first `size` bytes again, for a digest by an algorithm that came as a surprise.
    fn digest(&mut self, algorithm: Algorithm, size: u64) -> BoxFuture<'_, Result<Digest>>;

    /// Makes the first `size` bytes, whose digest the caller has verified, a blob of the
    /// repository.
    fn commit(
        self: Box<Self>,
        repository: Repository,
        digest: Digest,
        size: u64,
    ) -> BoxFuture<'static, Result<()>>;
}

/// An open blob: it can be read to its end whatever happens to its name.
pub(crate) struct Blob {
    /// Its size in bytes.
    pub(crate) size: u64,
    pub(crate) content: Box<dyn Content>,
}

/// The bytes of an open blob.
pub(crate) trait Content: Send {
    /// Streams a part of it. An error ends the stream.
    fn stream(self: Box<Self>, range: Range<u64>) -> BoxStream<'static, io::Result<Bytes>>;

    /// The file that they are all of, if they are worth to be sent from it.
    fn file(&self) -> Option<Arc<File>> {
        None
    }

    /// Where a client can fetch them itself.
    fn address(&self) -> BoxFuture<'_, Option<String>> {
        std::future::ready(None).boxed()
    }
}

/// Takes a lock whose holder cannot have left anything half-done.
pub(crate) fn locked<T>(lock: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Looks at a state.
pub(crate) fn look<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Changes a state.
pub(crate) fn change<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(std::sync::PoisonError::into_inner)
}
