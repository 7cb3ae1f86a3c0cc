//! What a collection asks of a bucket. Bytes that nobody holds go in two steps a grace period
//! apart: the first writes down that they are doomed, and from then on nobody is given them
//! without sending them again; the second removes them. So no other server, which may be about to
//! give them to somebody, is taken by surprise.
//!
//! Who sends them again, and who removes them, say so in the same object, by a write that is made
//! only if nobody wrote before: bytes that have come anew are not removed by one who began earlier.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion};
use oci::Digest;

use super::{Shared, is_missing, keys};
use crate::name::Repository;
use crate::{Error, Result};

/// What stands in the object of doomed bytes when a server removes them.
const REMOVING: &[u8] = b"removing";
/// And when they are coming anew.
const COMING: &[u8] = b"coming";
/// How long a removal takes at most, requests that have to be repeated included.
const REMOVAL: Duration = Duration::from_secs(60);
/// After what time what an upload left is no longer being copied to its place.
const LEFT: Duration = Duration::from_secs(3600);
/// How long is waited between two looks at it.
const PAUSE: Duration = Duration::from_millis(200);

impl Shared {
    pub(super) async fn sweep(&self, grace: Duration) -> Result<()> {
        // The blobs first: one that comes meanwhile is not among them.
        let blobs = self.listed(&self.keys.blobs()).await?;
        let holders = self.listed(&self.keys.holders()).await?;
        let held: HashSet<Digest> = holders
            .iter()
            .filter_map(|meta| keys::holder_of(&meta.location))
            .map(|(digest, _)| digest)
            .collect();
        self.sweep_uploads(grace.max(LEFT)).await?;
        // What is held is not doomed, whoever found it so a moment before somebody came for it.
        for meta in self.listed(&self.keys.all_doomed()).await? {
            if let Some(digest) = keys::digest_of(meta.location.as_ref())
                && held.contains(&digest)
            {
                self.spare(&digest).await?;
            }
        }
        for blob in blobs.iter().filter(|blob| is_old(blob, grace)) {
            let Some(digest) = keys::digest_of(blob.location.as_ref()) else { continue };
            if held.contains(&digest) {
                continue;
            }
            let doomed = self.keys.doomed(&digest);
            match self.described(&doomed).await? {
                None => drop(self.create(&doomed, Bytes::new()).await?),
                Some((sentence, _)) if is_old(&sentence, grace) => {
                    self.remove_doomed(&digest, &sentence).await?;
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Removes what uploads that have ended have left. An open one goes when it expires.
    async fn sweep_uploads(&self, age: Duration) -> Result<()> {
        let all = self.listed(&self.keys.uploads()).await?;
        let open: HashSet<&str> =
            all.iter().filter_map(|meta| keys::draft_id(&meta.location)).collect();
        let is_open =
            |meta: &ObjectMeta| keys::upload_id(&meta.location).is_some_and(|id| open.contains(id));
        for meta in all.iter().filter(|meta| is_old(meta, age) && !is_open(meta)) {
            self.delete(&meta.location).await?;
        }
        Ok(())
    }

    /// Writes an object unless there is one; false if there is.
    pub(super) async fn create(&self, key: &Path, bytes: Bytes) -> Result<bool> {
        let options = PutOptions::from(PutMode::Create);
        match self.store.put_opts(key, bytes.into(), options).await {
            Ok(_) => Ok(true),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. },
            ) => Ok(false),
            Err(e) => Err(Error::bucket("write", key, e)),
        }
    }

    /// Removes bytes that have been doomed for long enough, unless somebody came before.
    async fn remove_doomed(&self, digest: &Digest, sentence: &ObjectMeta) -> Result<()> {
        let key = self.keys.doomed(digest);
        if !self.replace(&key, version_of(sentence), Bytes::from_static(REMOVING)).await? {
            return Ok(());
        }
        if !self.is_held(digest).await? {
            self.delete(&self.keys.blob(digest)).await?;
        }
        self.spare(digest).await
    }

    /// Says that doomed bytes are about to come anew. Waits for one who is removing them.
    pub(super) async fn reprieve(&self, digest: &Digest) -> Result<()> {
        let key = self.keys.doomed(digest);
        while let Some((sentence, said)) = self.described(&key).await? {
            if said == REMOVING && !is_old(&sentence, REMOVAL) {
                tokio::time::sleep(PAUSE).await;
            } else if self.replace(&key, version_of(&sentence), Bytes::from_static(COMING)).await? {
                break;
            }
        }
        Ok(())
    }

    /// Takes back that nobody holds a blob.
    pub(super) async fn spare(&self, digest: &Digest) -> Result<()> {
        self.delete(&self.keys.doomed(digest)).await
    }

    /// Gives a blob back that was taken from a repository, if its bytes are there.
    pub(super) async fn restore(&self, repository: &Repository, digest: &Digest) -> Result<bool> {
        let Some(size) = self.size(digest).await? else { return Ok(false) };
        self.hold(repository, digest, size).await?;
        // A removal that had begun before that may have ended since.
        Ok(self.size(digest).await?.is_some())
    }

    /// Whether anything is written of bytes that are doomed.
    pub(super) async fn is_doomed(&self, digest: &Digest) -> Result<bool> {
        Ok(self.described(&self.keys.doomed(digest)).await?.is_some())
    }

    /// A small object and what is known of it.
    pub(super) async fn described(&self, key: &Path) -> Result<Option<(ObjectMeta, Bytes)>> {
        let found = match self.store.get(key).await {
            Ok(found) => {
                let meta = found.meta.clone();
                found.bytes().await.map(|said| (meta, said))
            }
            Err(e) => Err(e),
        };
        match found {
            Ok(found) => Ok(Some(found)),
            Err(e) if is_missing(&e) => Ok(None),
            Err(e) => Err(Error::bucket("read", key, e)),
        }
    }

    /// Writes an object unless somebody else has written it since; false if that is so.
    pub(super) async fn replace(
        &self,
        key: &Path,
        version: UpdateVersion,
        by: Bytes,
    ) -> Result<bool> {
        let options = PutOptions::from(PutMode::Update(version));
        match self.store.put_opts(key, by.into(), options).await {
            Ok(_) => Ok(true),
            Err(
                object_store::Error::Precondition { .. } | object_store::Error::NotFound { .. },
            ) => Ok(false),
            Err(e) => Err(Error::bucket("write", key, e)),
        }
    }

    pub(super) async fn listed(&self, key: &Path) -> Result<Vec<ObjectMeta>> {
        let listed = self.store.list(Some(key)).try_collect().await;
        listed.map_err(|e| Error::bucket("list", key, e))
    }
}

pub(super) fn version_of(meta: &ObjectMeta) -> UpdateVersion {
    UpdateVersion { e_tag: meta.e_tag.clone(), version: meta.version.clone() }
}

pub(super) fn is_old(meta: &ObjectMeta, than: Duration) -> bool {
    SystemTime::from(meta.last_modified).elapsed().unwrap_or_default() >= than
}
