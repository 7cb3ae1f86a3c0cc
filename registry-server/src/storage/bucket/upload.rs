//! Open uploads in a bucket: any server goes on with one that another began, also after that was
//! killed.
//!
//! A [`Draft`](draft::Draft) says how far an upload is; it is replaced when a request ends. A
//! request that sends so much that parts have to be written says in it beforehand that it does,
//! and again every second or so: others wait meanwhile, and if nothing is said for a while, the
//! writer is taken for dead.

mod draft;
mod finish;
mod recent;
mod staged;
mod work;

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion};
use oci::Algorithm;

use self::draft::Draft;
pub(super) use self::recent::Recent;
pub(super) use self::staged::Staging;
use self::work::Work;
use super::{Remote, Shared, is_missing};
use crate::name::Repository;
use crate::storage::{Resumed, Uploads};
use crate::{Error, Result};

/// For how long who waits must have heard nothing of a writer to take it for dead.
const SILENCE: Duration = Duration::from_secs(5);
/// After this time since it was last heard of it is dead to who has not waited, too: clocks differ
/// by less.
const LONG_SILENCE: Duration = Duration::from_secs(60);
/// How long is waited for a writer that lives.
const PATIENCE: Duration = Duration::from_secs(6);
/// How long between two looks at it.
const PAUSE: Duration = Duration::from_millis(250);

/// A draft as it was found.
#[derive(Clone)]
pub(super) struct Loaded {
    draft: Draft,
    version: UpdateVersion,
    /// The bytes behind its line.
    tail: Bytes,
    written: SystemTime,
}

impl Loaded {
    /// About how much memory it takes, in bytes.
    fn weight(&self) -> usize {
        1024 + self.tail.len() + self.draft.parts.len() * 64
    }
}

impl Shared {
    async fn draft(&self, id: &str) -> Result<Option<Loaded>> {
        let key = self.keys.draft(id);
        let failed = |e| Error::bucket("read", &key, e);
        let found = match self.store.get(&key).await {
            Ok(found) => found,
            Err(e) if is_missing(&e) => return Ok(None),
            Err(e) => return Err(failed(e)),
        };
        let ObjectMeta { e_tag, version, last_modified, .. } = found.meta.clone();
        let bytes = match found.bytes().await {
            Ok(bytes) => bytes,
            Err(e) if is_missing(&e) => return Ok(None),
            Err(e) => return Err(failed(e)),
        };
        let version = UpdateVersion { e_tag, version };
        let written = last_modified.into();
        let read = Draft::read(bytes);
        Ok(read.map(|(draft, tail)| Loaded { draft, version, tail, written }))
    }

    /// The draft of an upload of that repository.
    async fn draft_of(&self, repository: &str, id: &str) -> Result<Option<Loaded>> {
        if !is_id(id) {
            return Ok(None);
        }
        let found = self.draft(id).await?;
        Ok(found.filter(|found| found.draft.repository == repository))
    }

    /// The same when nobody writes to the upload.
    async fn idle_draft(&self, repository: &str, id: &str) -> Result<Option<Loaded>> {
        let began = Instant::now();
        let mut heard: Option<(String, Instant)> = None;
        loop {
            let Some(found) = self.draft_of(repository, id).await? else { return Ok(None) };
            let stamp = &found.draft.stamp;
            let since = match &heard {
                Some((last, since)) if last == stamp => *since,
                _ => heard.insert((stamp.clone(), Instant::now())).1,
            };
            let long_ago = found.written.elapsed().is_ok_and(|age| age >= LONG_SILENCE);
            if !found.draft.busy || long_ago || since.elapsed() >= SILENCE {
                return Ok(Some(found));
            }
            if began.elapsed() >= PATIENCE {
                return Err(Error::Contended);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Writes a draft, if nobody has since that version; `None` if somebody has.
    async fn save_draft(
        &self,
        id: &str,
        draft: &Draft,
        tail: &[u8],
        since: Option<&UpdateVersion>,
    ) -> Result<Option<UpdateVersion>> {
        let key = self.keys.draft(id);
        let mode = since.map_or(PutMode::Create, |version| PutMode::Update(version.clone()));
        match self.store.put_opts(&key, draft.write(tail).into(), PutOptions::from(mode)).await {
            Ok(put) => Ok(Some(put.into())),
            Err(
                object_store::Error::Precondition { .. }
                | object_store::Error::AlreadyExists { .. }
                | object_store::Error::NotFound { .. },
            ) => {
                // A write whose answer was lost is made, sent again, and then refused.
                let found = self.draft(id).await?;
                let found = found.filter(|found| found.draft.stamp == draft.stamp);
                Ok(found.map(|found| found.version))
            }
            Err(e) => Err(Error::bucket("write", &key, e)),
        }
    }
}

/// Whether a text can be the id of an upload: no other becomes part of a key.
fn is_id(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

impl Uploads for Remote {
    fn begin<'a>(
        &'a self,
        repository: &'a Repository,
        algorithm: Algorithm,
    ) -> BoxFuture<'a, Result<String>> {
        async move {
            let id = crate::session::new_id();
            let draft = Draft::new(repository.as_str(), algorithm).stamped(false);
            let version = self.0.save_draft(&id, &draft, b"", None).await?;
            let version = version.ok_or(Error::Contended)?;
            let (tail, written) = (Bytes::new(), SystemTime::now());
            self.0.recent.keep(&id, Loaded { draft, version, tail, written });
            Ok(id)
        }
        .boxed()
    }

    fn received<'a>(
        &'a self,
        repository: &'a Repository,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<u64>>> {
        async move {
            let found = self.0.draft_of(repository.as_str(), id).await?;
            Ok(found.map(|found| found.draft.size))
        }
        .boxed()
    }

    fn resume<'a>(
        &'a self,
        repository: &'a Repository,
        id: &'a str,
        at: Option<u64>,
    ) -> BoxFuture<'a, Result<Resumed>> {
        async move {
            let turn = self.0.recent.turn(id, PATIENCE).await.ok_or(Error::Contended)?;
            let fits = |found: &Loaded| {
                found.draft.repository == repository.as_str()
                    && at.is_none_or(|at| at == found.draft.size)
            };
            let found = match self.0.recent.take(id).filter(fits) {
                Some(found) => (found, true),
                None => {
                    let found = self.0.idle_draft(repository.as_str(), id).await?;
                    (found.ok_or(Error::Ended)?, false)
                }
            };
            if at.is_some_and(|at| at != found.0.draft.size) {
                return Err(Error::Contended);
            }
            let progress = found.0.draft.progress().ok_or(Error::Ended)?;
            let work = Work::resume(self.0.clone(), id, found, at.is_none(), turn);
            Ok(Resumed { staged: Box::new(Staging::new(work)), progress })
        }
        .boxed()
    }

    fn cancel<'a>(
        &'a self,
        repository: &'a Repository,
        id: &'a str,
    ) -> BoxFuture<'a, Result<bool>> {
        async move {
            let Some(found) = self.0.draft_of(repository.as_str(), id).await? else {
                return Ok(false);
            };
            Work::found(self.0.clone(), id, found).remove().await?;
            Ok(true)
        }
        .boxed()
    }

    fn expire(&self, age: Duration) -> BoxFuture<'_, Result<()>> {
        async move {
            for meta in self.0.listed(&self.0.keys.uploads()).await? {
                let Some(id) = super::keys::draft_id(&meta.location).filter(|id| is_id(id)) else {
                    continue;
                };
                if super::sweep::is_old(&meta, age) {
                    self.give_up(id, &meta).await?;
                }
            }
            Ok(())
        }
        .boxed()
    }
}

impl Remote {
    /// Ends an upload unless somebody has gone on with it since it was looked at.
    async fn give_up(&self, id: &str, seen: &ObjectMeta) -> Result<()> {
        let Some(found) = self.0.draft(id).await? else { return Ok(()) };
        if seen.e_tag.is_some() && found.version.e_tag != seen.e_tag {
            return Ok(());
        }
        let draft = found.draft.clone().stamped(true);
        let saved = self.0.save_draft(id, &draft, &found.tail, Some(&found.version)).await?;
        let Some(version) = saved else { return Ok(()) };
        tracing::debug!(id, "nothing was heard of the upload for long");
        Work::found(self.0.clone(), id, Loaded { draft, version, ..found }).remove().await
    }
}
