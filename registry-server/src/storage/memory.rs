//! Storage in memory, for tests and jobs.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::{Bound, Range};
use std::sync::{Arc, Mutex, RwLock, Weak};
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt, ready};
use futures_util::stream::{self, BoxStream, StreamExt};
use oci::{Algorithm, Digest};

use super::{Backend, Blob, Content, Holding, SharedState, Staged, change, locked, look};
use crate::Result;
use crate::name::Repository;
use crate::progress::Progress;
use crate::state::{Change, Refusal, State};

/// Bytes are kept in pieces of this size, so that growing a blob never copies it.
const PIECE: usize = 1 << 20;

#[derive(Default)]
pub(super) struct Memory(Arc<Shared>);

#[derive(Default)]
struct Shared {
    repositories: RwLock<BTreeMap<Repository, Arc<Held>>>,
    /// One copy of each blob, however many repositories hold it.
    content: Mutex<HashMap<Digest, Weak<Pieces>>>,
}

/// What is held for one repository.
#[derive(Default)]
struct Held {
    state: RwLock<Option<SharedState>>,
    blobs: RwLock<HashMap<Digest, Since>>,
}

struct Pieces {
    pieces: Vec<Bytes>,
    size: u64,
}

/// A blob of a repository, and since when it is there.
type Since = (Arc<Pieces>, SystemTime);

impl Shared {
    fn held(&self, repository: &Repository) -> Option<Arc<Held>> {
        look(&self.repositories).get(repository).cloned()
    }

    fn held_or_new(&self, repository: &Repository) -> Arc<Held> {
        if let Some(held) = self.held(repository) {
            return held;
        }
        change(&self.repositories).entry(repository.clone()).or_default().clone()
    }

    fn blob(&self, repository: &Repository, digest: &Digest) -> Option<Arc<Pieces>> {
        look(&self.held(repository)?.blobs).get(digest).map(|(pieces, _)| pieces.clone())
    }

    fn insert(&self, repository: &Repository, digest: &Digest, pieces: Pieces) {
        let mut content = locked(&self.content);
        let shared = content.get(digest).and_then(Weak::upgrade).unwrap_or_else(|| {
            let pieces = Arc::new(pieces);
            content.insert(digest.clone(), Arc::downgrade(&pieces));
            pieces
        });
        drop(content);
        change(&self.held_or_new(repository).blobs)
            .insert(digest.clone(), (shared, SystemTime::now()));
    }

    fn mount(&self, from: Option<&Repository>, to: &Repository, digest: &Digest) -> bool {
        let found = match from {
            Some(from) => self.blob(from, digest),
            None => locked(&self.content).get(digest).and_then(Weak::upgrade),
        };
        let Some(pieces) = found else { return false };
        change(&self.held_or_new(to).blobs).insert(digest.clone(), (pieces, SystemTime::now()));
        true
    }

    fn renew(&self, repository: &Repository, digest: &Digest) -> Option<u64> {
        let held = self.held(repository)?;
        let mut blobs = change(&held.blobs);
        let (pieces, since) = blobs.get_mut(digest)?;
        *since = SystemTime::now();
        Some(pieces.size)
    }

    fn remove(&self, repository: &Repository, digest: &Digest) -> bool {
        let Some(held) = self.held(repository) else { return false };
        let removed = change(&held.blobs).remove(digest).is_some();
        let mut content = locked(&self.content);
        if content.get(digest).is_some_and(|pieces| pieces.strong_count() == 0) {
            content.remove(digest);
        }
        removed
    }

    fn commit(&self, repository: &Repository, wanted: &Change) -> Result<(), Refusal> {
        if !matches!(wanted, Change::Put { .. }) && self.held(repository).is_none() {
            return Err(Refusal::Unknown);
        }
        let held = self.held_or_new(repository);
        let mut state = change(&held.state);
        match state.as_ref() {
            Some(state) => {
                let mut state = change(state);
                state.check(wanted)?;
                state.apply(wanted);
            }
            None => {
                let mut first = State::default();
                first.check(wanted)?;
                first.apply(wanted);
                *state = Some(Arc::new(RwLock::new(first)));
            }
        }
        Ok(())
    }

    fn holdings(&self) -> Vec<Holding> {
        let repositories = look(&self.repositories);
        let mut all = Vec::new();
        for (repository, held) in repositories.iter() {
            all.extend(look(&held.blobs).iter().map(|(digest, (pieces, since))| Holding {
                repository: repository.clone(),
                digest: digest.clone(),
                size: pieces.size,
                since: *since,
                removing: false,
            }));
        }
        all
    }

    fn list(&self, after: Option<&str>, limit: usize) -> Vec<Repository> {
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        look(&self.repositories)
            .range::<str, _>((after, Bound::Unbounded))
            .filter(|(_, held)| look(&held.state).is_some())
            .map(|(name, _)| name.clone())
            .take(limit)
            .collect()
    }
}

impl Backend for Memory {
    fn state<'a>(
        &'a self,
        repository: &'a Repository,
    ) -> BoxFuture<'a, Result<Option<SharedState>>> {
        let held = self.0.held(repository);
        ready(Ok(held.and_then(|held| look(&held.state).clone()))).boxed()
    }

    fn commit<'a>(
        &'a self,
        repository: &'a Repository,
        change: Change,
    ) -> BoxFuture<'a, Result<Result<(), Refusal>>> {
        ready(Ok(self.0.commit(repository, &change))).boxed()
    }

    fn repositories<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Repository>>> {
        ready(Ok(self.0.list(after, limit))).boxed()
    }

    fn blob_size<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<u64>>> {
        ready(Ok(self.0.blob(repository, digest).map(|pieces| pieces.size))).boxed()
    }

    fn open_blob<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<Blob>>> {
        let blob = self.0.blob(repository, digest);
        ready(Ok(blob.map(|pieces| Blob { size: pieces.size, content: Box::new(pieces) }))).boxed()
    }

    fn missing_blobs<'a>(
        &'a self,
        repository: &'a Repository,
        mut digests: Vec<Digest>,
    ) -> BoxFuture<'a, Result<Vec<Digest>>> {
        digests.retain(|digest| self.0.blob(repository, digest).is_none());
        ready(Ok(digests)).boxed()
    }

    fn mount_blob<'a>(
        &'a self,
        from: Option<&'a Repository>,
        to: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<bool>> {
        ready(Ok(self.0.mount(from, to, digest))).boxed()
    }

    fn remove_blob<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<bool>> {
        ready(Ok(self.0.remove(repository, digest))).boxed()
    }

    fn renew_blob<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<u64>>> {
        ready(Ok(self.0.renew(repository, digest))).boxed()
    }

    fn holdings(&self) -> BoxFuture<'_, Result<Vec<Holding>>> {
        ready(Ok(self.0.holdings())).boxed()
    }

    fn stage(&self) -> Box<dyn Staged> {
        Box::new(Staging { shared: self.0.clone(), pieces: Vec::new(), last: Vec::new() })
    }
}

struct Staging {
    shared: Arc<Shared>,
    pieces: Vec<Bytes>,
    /// The piece that is being filled.
    last: Vec<u8>,
}

impl Staging {
    fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - self.last.len()));
            self.last.extend_from_slice(now);
            bytes = later;
            if self.last.len() == PIECE {
                self.pieces.push(std::mem::take(&mut self.last).into());
            }
        }
    }
}

impl Staged for Staging {
    fn write(
        &mut self,
        _offset: u64,
        batch: Vec<Bytes>,
    ) -> BoxFuture<'_, Result<Option<Progress>>> {
        for bytes in batch {
            self.push(&bytes);
        }
        ready(Ok(None)).boxed()
    }

    fn digest(&mut self, algorithm: Algorithm, _size: u64) -> BoxFuture<'_, Result<Digest>> {
        let mut hasher = algorithm.hasher();
        async move {
            for piece in &self.pieces {
                hasher.update(piece);
                // A large blob must not keep the thread from others.
                tokio::task::yield_now().await;
            }
            hasher.update(&self.last);
            Ok(hasher.finish())
        }
        .boxed()
    }

    fn commit(
        mut self: Box<Self>,
        repository: Repository,
        digest: Digest,
        size: u64,
    ) -> BoxFuture<'static, Result<()>> {
        self.last.shrink_to_fit();
        self.pieces.push(self.last.into());
        self.shared.insert(&repository, &digest, Pieces { pieces: self.pieces, size });
        ready(Ok(())).boxed()
    }
}

impl Content for Arc<Pieces> {
    fn stream(self: Box<Self>, range: Range<u64>) -> BoxStream<'static, io::Result<Bytes>> {
        let mut position = 0;
        let mut parts = Vec::new();
        for piece in &self.pieces {
            let end = position + piece.len() as u64;
            let (from, to) = (range.start.max(position), range.end.min(end));
            if from < to {
                let within = |at: u64| usize::try_from(at - position).unwrap_or(usize::MAX);
                parts.push(Ok(piece.slice(within(from)..within(to))));
            }
            position = end;
        }
        stream::iter(parts).boxed()
    }
}
