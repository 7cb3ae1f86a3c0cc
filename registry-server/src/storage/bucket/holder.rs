//! That a repository holds a blob, as an object of its own.
//!
//! A collection takes a blob away in three steps, each of which it can be killed after: it writes
//! into the object that the blob is being removed, on condition that nobody has written since;
//! looks at the repository again; and deletes the object, or writes back what stood there. Whoever
//! comes to need the blob after that look finds the removal, and waits for its end; whoever came
//! before is seen. What a collection that was killed has left as being removed can still be pulled,
//! and is taken back by the next one who needs it.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, PutMode, PutOptions, UpdateVersion};
use oci::Digest;

use super::sweep::{is_old, version_of};
use super::{AT_ONCE, Shared};
use crate::name::Repository;
use crate::storage::{Condemned, Holding};
use crate::{Error, Result};

/// What stands behind the size while a blob is being removed.
const REMOVING: &str = " removing";
/// Whoever removed it is dead after this time.
const REMOVAL: Duration = Duration::from_secs(30);
/// And does not go on himself after this one.
const LIMIT: Duration = Duration::from_secs(15);
/// How long who asks for a blob waits for its removal, or for that to be taken back.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long between two looks.
const PAUSE: Duration = Duration::from_millis(100);

struct Holder {
    size: u64,
    removing: bool,
    meta: ObjectMeta,
}

impl Holder {
    fn is_going(&self) -> bool {
        self.removing && !is_old(&self.meta, REMOVAL)
    }
}

impl Shared {
    async fn holder(&self, key: &Path) -> Result<Option<Holder>> {
        let Some((meta, bytes)) = self.described(key).await? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        let (size, removing) = match text.strip_suffix(REMOVING) {
            Some(size) => (size, true),
            None => (&*text, false),
        };
        Ok(size.parse().ok().map(|size| Holder { size, removing, meta }))
    }

    /// The size of a blob that can be pulled from a repository.
    pub(super) async fn held(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<u64>> {
        let found = self.holder(&self.keys.holder(repository, digest)).await?;
        Ok(found.map(|holder| holder.size))
    }

    /// The size of a blob that somebody is about to rely on.
    pub(super) async fn relied_on(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<u64>> {
        let key = self.keys.holder(repository, digest);
        let began = Instant::now();
        while let Some(holder) = self.holder(&key).await? {
            let version = version_of(&holder.meta);
            if !holder.removing
                || !holder.is_going() && self.replace(&key, version, plain(holder.size)).await?
            {
                return Ok(Some(holder.size));
            }
            if began.elapsed() >= PATIENCE {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(None)
    }

    /// The same, and to a collection the blob is as new as one that comes now.
    pub(super) async fn renew(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<u64>> {
        let key = self.keys.holder(repository, digest);
        let Some(holder) = self.holder(&key).await? else { return Ok(None) };
        let version = version_of(&holder.meta);
        if holder.is_going() || !self.replace(&key, version, plain(holder.size)).await? {
            self.hold(repository, digest, holder.size).await?;
        }
        Ok(Some(holder.size))
    }

    /// Writes down that a repository holds a blob. Waits for one who is removing it.
    pub(super) async fn hold(
        &self,
        repository: &Repository,
        digest: &Digest,
        size: u64,
    ) -> Result<()> {
        let key = self.keys.holder(repository, digest);
        loop {
            if self.create(&key, plain(size)).await? {
                return Ok(());
            }
            match self.described(&key).await? {
                Some((meta, said))
                    if said.ends_with(REMOVING.as_bytes()) && !is_old(&meta, REMOVAL) =>
                {
                    tokio::time::sleep(PAUSE).await;
                }
                Some((meta, _)) if self.replace(&key, version_of(&meta), plain(size)).await? => {
                    return Ok(());
                }
                _ => {}
            }
        }
    }

    /// Writes down that a blob is being removed; `None` if it is not there, or if somebody else
    /// has written of it just now.
    pub(super) async fn condemn(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<Condemned>> {
        let key = self.keys.holder(repository, digest);
        let Some(holder) = self.holder(&key).await?.filter(|holder| !holder.is_going()) else {
            return Ok(None);
        };
        let since = Instant::now();
        let said = format!("{}{REMOVING}", holder.size);
        let options = PutOptions::from(PutMode::Update(version_of(&holder.meta)));
        match self.store.put_opts(&key, Bytes::from(said).into(), options).await {
            Ok(put) => {
                let UpdateVersion { e_tag, version } = put.into();
                Ok(Some(Condemned { size: holder.size, e_tag, version, since }))
            }
            Err(
                object_store::Error::Precondition { .. } | object_store::Error::NotFound { .. },
            ) => Ok(None),
            Err(e) => Err(Error::bucket("write", &key, e)),
        }
    }

    /// Takes back that a blob is being removed.
    pub(super) async fn pardon(
        &self,
        repository: &Repository,
        digest: &Digest,
        condemned: Condemned,
    ) -> Result<()> {
        let key = self.keys.holder(repository, digest);
        let Condemned { size, e_tag, version, .. } = condemned;
        // Who has written meanwhile holds it.
        self.replace(&key, UpdateVersion { e_tag, version }, plain(size)).await.map(drop)
    }

    /// Removes a blob that is not needed; false if that took so long that it is left.
    pub(super) async fn execute(
        &self,
        repository: &Repository,
        digest: &Digest,
        condemned: Condemned,
    ) -> Result<bool> {
        if condemned.since.elapsed() >= LIMIT {
            return Ok(false);
        }
        self.delete(&self.keys.holder(repository, digest)).await?;
        Ok(true)
    }

    pub(super) async fn holdings(&self) -> Result<Vec<Holding>> {
        let key = self.keys.holders();
        let found = stream::iter(self.listed(&key).await?).map(|meta| async move {
            let Some((digest, repository)) = super::keys::holder_of(&meta.location) else {
                return Ok(None);
            };
            let Some(holder) = self.holder(&meta.location).await? else { return Ok(None) };
            let since = SystemTime::from(meta.last_modified);
            let Holder { size, removing, .. } = holder;
            Ok(Some(Holding { repository, digest, size, since, removing }))
        });
        let found = found.buffered(AT_ONCE);
        found.try_filter_map(|found| async move { Ok(found) }).try_collect().await
    }
}

fn plain(size: u64) -> Bytes {
    Bytes::from(size.to_string())
}
