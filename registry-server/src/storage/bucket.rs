//! Storage in a bucket of S3 or of what speaks like it. Any number of servers can share one: what
//! a repository holds is one object, changed by compare-and-swap, and all that is known is asked
//! of the bucket at every request.

mod holder;
mod keys;
mod record;
mod sweep;
mod upload;

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{
    BackoffConfig, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    RetryConfig, UpdateVersion,
};
use oci::Digest;

use self::keys::Keys;
use self::upload::{Recent, Staging};
use super::{
    Backend, Blob, Condemned, Content, Holding, SharedState, Staged, Uploads, locked, look,
};
use crate::name::Repository;
use crate::state::{Change, Refusal, State};
use crate::{Error, Result};

/// How often a change is tried while others change the same repository.
const TRIES: u32 = 100;
/// How many objects are asked for at once on behalf of one request.
const AT_ONCE: usize = 16;
/// How long the store is asked again before a request fails.
const RETRY_FOR: Duration = Duration::from_secs(20);

/// A bucket and how to reach it.
#[derive(Debug, Clone, Default)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// What all keys begin with.
    pub prefix: String,
    /// Settings by their names in the environment (`AWS_ENDPOINT`, `AWS_REGION`,
    /// `AWS_ACCESS_KEY_ID`, …); those that are unknown are left out.
    pub settings: Vec<(String, String)>,
    /// Whether blobs are fetched from the bucket by the client itself, with an address that is
    /// signed for this long.
    pub redirect: Option<Duration>,
}

pub(super) struct Remote(Arc<Shared>);

struct Shared {
    store: Arc<AmazonS3>,
    keys: Keys,
    redirect: Option<Duration>,
    /// What was last read of each repository, to be used again if it has not changed.
    known: Mutex<HashMap<Repository, Known>>,
    /// Held by the one change of a repository that this process tries at a time.
    turns: Mutex<HashMap<Repository, Arc<tokio::sync::Mutex<()>>>>,
    /// What is known of open uploads.
    recent: Recent,
}

#[derive(Clone)]
struct Known {
    version: UpdateVersion,
    state: SharedState,
}

impl Remote {
    pub(super) fn open(bucket: &Bucket) -> Result<Remote> {
        let retry = RetryConfig {
            backoff: BackoffConfig { max_backoff: Duration::from_secs(1), ..Default::default() },
            max_retries: 5,
            retry_timeout: RETRY_FOR,
        };
        let mut builder = AmazonS3Builder::new().with_bucket_name(&bucket.name).with_retry(retry);
        for (name, value) in &bucket.settings {
            if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
                builder = builder.with_config(key, value);
            }
        }
        let whole = Path::from(bucket.name.as_str());
        let store = builder.build().map_err(|e| Error::bucket("open bucket", &whole, e))?;
        Ok(Remote(Arc::new(Shared {
            store: Arc::new(store),
            keys: Keys::new(&bucket.prefix),
            redirect: bucket.redirect,
            known: Mutex::default(),
            turns: Mutex::default(),
            recent: Recent::default(),
        })))
    }
}

fn is_missing(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. })
}

impl Shared {
    /// The bytes of a small object, `None` if it is not there.
    async fn small(&self, key: &Path) -> Result<Option<Bytes>> {
        match self.store.get(key).await {
            Ok(found) => match found.bytes().await {
                Ok(bytes) => Ok(Some(bytes)),
                Err(e) if is_missing(&e) => Ok(None),
                Err(e) => Err(Error::bucket("read", key, e)),
            },
            Err(e) if is_missing(&e) => Ok(None),
            Err(e) => Err(Error::bucket("read", key, e)),
        }
    }

    async fn put(&self, key: &Path, bytes: impl Into<Bytes>) -> Result<()> {
        let put = self.store.put(key, bytes.into().into()).await;
        put.map(drop).map_err(|e| Error::bucket("write", key, e))
    }

    async fn delete(&self, key: &Path) -> Result<()> {
        match self.store.delete(key).await {
            Err(e) if !is_missing(&e) => Err(Error::bucket("delete", key, e)),
            _ => Ok(()),
        }
    }

    /// What a repository holds now.
    async fn known(&self, repository: &Repository) -> Result<Option<Known>> {
        let key = self.keys.state(repository);
        let before = locked(&self.known).get(repository).cloned();
        let if_none_match = before.as_ref().and_then(|known| known.version.e_tag.clone());
        let options = GetOptions { if_none_match, ..GetOptions::default() };
        let found = match self.store.get_opts(&key, options).await {
            Ok(found) => found,
            Err(object_store::Error::NotModified { .. }) => return Ok(before),
            Err(e) if is_missing(&e) => {
                locked(&self.known).remove(repository);
                return Ok(None);
            }
            Err(e) => return Err(Error::bucket("read", &key, e)),
        };
        let meta = &found.meta;
        let version = UpdateVersion { e_tag: meta.e_tag.clone(), version: meta.version.clone() };
        if let Some(before) = before
            && before.version.e_tag == version.e_tag
            && version.e_tag.is_some()
        {
            return Ok(Some(before));
        }
        let bytes = found.bytes().await.map_err(|e| Error::bucket("read", &key, e))?;
        let state = record::read(&bytes).map_err(|source| Error::InvalidIndex {
            path: key.to_string().into(),
            source: source.into(),
        })?;
        let known = Known { version, state: Arc::new(RwLock::new(state)) };
        locked(&self.known).insert(repository.clone(), known.clone());
        Ok(Some(known))
    }

    /// Whether the second of two writes that must be the first is refused.
    async fn keeps_conditions(&self) -> Result<bool> {
        let key = self.keys.trial(&crate::session::new_id());
        let failed = |e| Error::bucket("write", &key, e);
        let create = || {
            let options = PutOptions::from(PutMode::Create);
            self.store.put_opts(&key, Bytes::from_static(b"trial").into(), options)
        };
        create().await.map_err(failed)?;
        let second = create().await;
        self.delete(&key).await?;
        match second {
            Ok(_) => Ok(false),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. },
            ) => Ok(true),
            Err(e) => Err(failed(e)),
        }
    }

    fn turn(&self, repository: &Repository) -> Arc<tokio::sync::Mutex<()>> {
        locked(&self.turns).entry(repository.clone()).or_default().clone()
    }

    async fn commit(
        &self,
        repository: &Repository,
        change: &Change,
    ) -> Result<Result<(), Refusal>> {
        let turn = self.turn(repository);
        let _turn = turn.lock().await;
        let key = self.keys.state(repository);
        for attempt in 0..TRIES {
            let known = self.known(repository).await?;
            if known.is_none() && !matches!(change, Change::Put { .. }) {
                return Ok(Err(Refusal::Unknown));
            }
            let (mut state, mode) = match known {
                Some(known) => (look(&known.state).clone(), PutMode::Update(known.version)),
                None => (State::default(), PutMode::Create),
            };
            if let Err(refusal) = state.check(change) {
                return Ok(Err(refusal));
            }
            state.apply(change);
            let first = matches!(mode, PutMode::Create);
            let options = PutOptions::from(mode);
            match self.store.put_opts(&key, record::write(&state).into(), options).await {
                Ok(put) => {
                    let known = Known { version: put.into(), state: Arc::new(RwLock::new(state)) };
                    locked(&self.known).insert(repository.clone(), known);
                    if first {
                        self.put(&self.keys.listed(repository), Bytes::new()).await?;
                    }
                    return Ok(Ok(()));
                }
                Err(
                    object_store::Error::Precondition { .. }
                    | object_store::Error::AlreadyExists { .. }
                    | object_store::Error::NotFound { .. },
                ) => {
                    locked(&self.known).remove(repository);
                    // Who lost waits a little, each another time.
                    let wait = u64::from(attempt.min(10)) * u64::from(std::process::id() % 7 + 3);
                    tokio::time::sleep(Duration::from_millis(wait)).await;
                }
                Err(e) => return Err(Error::bucket("write", &key, e)),
            }
        }
        Err(Error::Interrupted { operation: "change of a repository that many are changing" })
    }

    /// The size of a blob's bytes, held or not.
    async fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        let key = self.keys.blob(digest);
        match self.store.head(&key).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(e) if is_missing(&e) => Ok(None),
            Err(e) => Err(Error::bucket("look for", &key, e)),
        }
    }

    /// The size of a blob's bytes, if they are there to stay. What is found after nothing was
    /// written of its removal is there for a grace period at least; asked the other way round, the
    /// bytes may have gone in between.
    async fn settled(&self, digest: &Digest) -> Result<Option<u64>> {
        if self.is_doomed(digest).await? {
            return Ok(None);
        }
        self.size(digest).await
    }

    /// Whether any repository holds a blob.
    async fn is_held(&self, digest: &Digest) -> Result<bool> {
        let key = self.keys.holders_of(digest);
        let first = self.store.list(Some(&key)).try_next().await;
        Ok(first.map_err(|e| Error::bucket("list", &key, e))?.is_some())
    }

    async fn mount(
        &self,
        from: Option<&Repository>,
        to: &Repository,
        digest: &Digest,
    ) -> Result<bool> {
        let size = match from {
            Some(from) => self.held(from, digest).await?,
            None if self.is_held(digest).await? => self.settled(digest).await?,
            None => None,
        };
        let Some(size) = size else { return Ok(false) };
        self.hold(to, digest, size).await?;
        Ok(true)
    }

    async fn remove(&self, repository: &Repository, digest: &Digest) -> Result<bool> {
        if self.held(repository, digest).await?.is_none() {
            return Ok(false);
        }
        self.delete(&self.keys.holder(repository, digest)).await?;
        Ok(true)
    }

    async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<Repository>> {
        let key = self.keys.catalog();
        let listed: Vec<_> = self
            .store
            .list(Some(&key))
            .try_collect()
            .await
            .map_err(|e| Error::bucket("list", &key, e))?;
        let mut names: Vec<Repository> = listed
            .iter()
            .filter_map(|meta| keys::repository_of(&meta.location))
            .filter(|name| after.is_none_or(|after| name.as_str() > after))
            .collect();
        names.sort();
        names.truncate(limit);
        Ok(names)
    }
}

impl Backend for Remote {
    fn state<'a>(
        &'a self,
        repository: &'a Repository,
    ) -> BoxFuture<'a, Result<Option<SharedState>>> {
        async move { Ok(self.0.known(repository).await?.map(|known| known.state)) }.boxed()
    }

    fn commit<'a>(
        &'a self,
        repository: &'a Repository,
        change: Change,
    ) -> BoxFuture<'a, Result<Result<(), Refusal>>> {
        let (shared, repository) = (self.0.clone(), repository.clone());
        let made = tokio::spawn(async move { shared.commit(&repository, &change).await });
        async move {
            let interrupted = Error::Interrupted { operation: "change of a repository" };
            made.await.unwrap_or(Err(interrupted))
        }
        .boxed()
    }

    fn can_be_shared(&self) -> BoxFuture<'_, Result<bool>> {
        self.0.keeps_conditions().boxed()
    }

    fn repositories<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Repository>>> {
        self.0.list(after, limit).boxed()
    }

    fn blob_size<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<u64>>> {
        self.0.relied_on(repository, digest).boxed()
    }

    fn open_blob<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<Blob>>> {
        async move {
            let Some(size) = self.0.held(repository, digest).await? else { return Ok(None) };
            let content = Object { shared: self.0.clone(), key: self.0.keys.blob(digest) };
            Ok(Some(Blob { size, content: Box::new(content) }))
        }
        .boxed()
    }

    fn missing_blobs<'a>(
        &'a self,
        repository: &'a Repository,
        digests: Vec<Digest>,
    ) -> BoxFuture<'a, Result<Vec<Digest>>> {
        let asked = stream::iter(digests).map(move |digest| async move {
            let held = self.0.relied_on(repository, &digest).await?;
            Ok(held.is_none().then_some(digest))
        });
        let missing = asked.buffered(AT_ONCE).try_filter_map(|found| async move { Ok(found) });
        missing.try_collect().boxed()
    }

    fn mount_blob<'a>(
        &'a self,
        from: Option<&'a Repository>,
        to: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<bool>> {
        self.0.mount(from, to, digest).boxed()
    }

    fn remove_blob<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<bool>> {
        self.0.remove(repository, digest).boxed()
    }

    fn renew_blob<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<u64>>> {
        self.0.renew(repository, digest).boxed()
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn restore_blob<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<bool>> {
        self.0.restore(repository, digest).boxed()
    }

    fn condemn_blob<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<Condemned>>> {
        self.0.condemn(repository, digest).boxed()
    }

    fn pardon_blob<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
        condemned: Condemned,
    ) -> BoxFuture<'a, Result<()>> {
        self.0.pardon(repository, digest, condemned).boxed()
    }

    fn execute_blob<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
        condemned: Condemned,
    ) -> BoxFuture<'a, Result<bool>> {
        self.0.execute(repository, digest, condemned).boxed()
    }

    fn holdings(&self) -> BoxFuture<'_, Result<Vec<Holding>>> {
        self.0.holdings().boxed()
    }

    fn sweep(&self, grace: Duration) -> BoxFuture<'_, Result<()>> {
        self.0.sweep(grace).boxed()
    }

    fn stage(&self) -> Box<dyn Staged> {
        Box::new(Staging::alone(self.0.clone()))
    }

    fn uploads(&self) -> Option<&dyn Uploads> {
        Some(self)
    }
}

/// The bytes of a blob in the bucket.
struct Object {
    shared: Arc<Shared>,
    key: Path,
}

impl Content for Object {
    fn stream(self: Box<Self>, range: Range<u64>) -> BoxStream<'static, io::Result<Bytes>> {
        if range.is_empty() {
            return stream::empty().boxed();
        }
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let opened = async move {
            let found = self.shared.store.get_opts(&self.key, options).await;
            Ok::<_, io::Error>(
                found.map_err(io::Error::other)?.into_stream().map_err(io::Error::other),
            )
        };
        stream::once(opened).try_flatten().boxed()
    }

    fn address(&self) -> BoxFuture<'_, Option<String>> {
        async move {
            let (valid, method) = (self.shared.redirect?, http::Method::GET);
            match self.shared.store.signed_url(method, &self.key, valid).await {
                Ok(url) => Some(url.into()),
                Err(error) => {
                    tracing::warn!(%error, "no address could be signed: the blob is passed on");
                    None
                }
            }
        }
        .boxed()
    }
}
