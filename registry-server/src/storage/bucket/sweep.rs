//! What a collection asks of a bucket. Bytes that nobody holds go in two steps a grace period
//! apart: the first writes down that they are doomed, and from then on nobody is given them
//! without sending them again; the second removes them. So no other server, which may be about to
//! give them to somebody, is taken by surprise.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use oci::Digest;

use super::{Shared, is_missing, keys};
use crate::storage::Holding;
use crate::{Error, Result};

impl Shared {
    pub(super) async fn holdings(&self) -> Result<Vec<Holding>> {
        let key = self.keys.holders();
        let mut all = Vec::new();
        for meta in self.listed(&key).await? {
            let Some((digest, repository)) = keys::holder_of(&meta.location) else { continue };
            let size = self.held(&repository, &digest).await?.unwrap_or(0);
            all.push(Holding { repository, digest, size, since: meta.last_modified.into() });
        }
        Ok(all)
    }

    pub(super) async fn sweep(&self, grace: Duration) -> Result<()> {
        // The blobs first: one that comes meanwhile is not among them.
        let blobs = self.listed(&self.keys.blobs()).await?;
        let holders = self.listed(&self.keys.holders()).await?;
        let held: HashSet<Digest> = holders
            .iter()
            .filter_map(|meta| keys::holder_of(&meta.location))
            .map(|(digest, _)| digest)
            .collect();
        let is_old = |meta: &ObjectMeta| {
            SystemTime::from(meta.last_modified).elapsed().unwrap_or_default() >= grace
        };
        for blob in blobs.iter().filter(|blob| is_old(blob)) {
            let Some(digest) = keys::digest_of(blob.location.as_ref()) else { continue };
            if held.contains(&digest) {
                continue;
            }
            let doomed = self.keys.doomed(&digest);
            match self.store.head(&doomed).await {
                Ok(meta) if is_old(&meta) && !self.is_held(&digest).await? => {
                    self.delete(&blob.location).await?;
                    self.delete(&doomed).await?;
                }
                Ok(_) => {}
                Err(e) if is_missing(&e) => self.put(&doomed, Bytes::new()).await?,
                Err(e) => return Err(Error::bucket("look for", &doomed, e)),
            }
        }
        Ok(())
    }

    async fn listed(&self, key: &Path) -> Result<Vec<ObjectMeta>> {
        let listed = self.store.list(Some(key)).try_collect().await;
        listed.map_err(|e| Error::bucket("list", key, e))
    }
}
