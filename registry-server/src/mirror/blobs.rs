//! Blobs that come from an upstream.

use axum::body::Body;
use oci::Digest;

use super::flight::{Flights, Following, Pilot};
use super::{Missed, Source};
use crate::Registry;
use crate::name::Repository;
use crate::problem::Problem;
use crate::routes::blobs::unknown;
use crate::upload::{Unfinished, Upload};

/// How much is handed to storage at once, in bytes.
const BATCH: usize = 512 << 10;
/// How many pieces wait to be, however small they are.
const PIECES: usize = 256;
/// What a client is told to wait when too much is on its way, in seconds.
const RETRY: u32 = 5;

/// A blob that is on its way here.
pub(crate) struct Coming {
    following: Following,
    size: u64,
}

impl Coming {
    /// Its size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Waits until it is in storage.
    pub(crate) async fn landed(mut self, digest: &Digest) -> Result<(), Problem> {
        self.following.landed().await.map_err(|missed| missed.problem(|| unknown(digest)))
    }

    /// Its bytes, as they come.
    pub(crate) fn body(
        self,
        registry: &Registry,
        repository: &Repository,
        digest: &Digest,
    ) -> Body {
        let (registry, repository) = (registry.clone(), repository.clone());
        Body::from_stream(self.following.stream(registry, repository, digest.clone(), self.size))
    }
}

impl Registry {
    /// Lets a blob come that a repository lacks; `None` if the repository is not mirrored.
    pub(crate) async fn pull_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<Coming>, Problem> {
        if self.source(repository).is_none() {
            return Ok(None);
        }
        let joined = Flights::join(self, repository, digest);
        let (mut following, pilot) =
            joined.ok_or_else(|| Problem::later(RETRY, "too many blobs are being pulled"))?;
        if let Some(pilot) = pilot {
            // It goes on when the client goes away: the next one will want it, too.
            tokio::spawn(fly(self.clone(), repository.clone(), digest.clone(), pilot));
        }
        let size = following.size().await;
        let size = size.map_err(|missed| missed.problem(|| unknown(digest)))?;
        Ok(Some(Coming { following, size }))
    }

    /// The size, in bytes, of a blob that a repository lacks and its upstream has.
    pub(crate) async fn upstream_blob_size(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<u64>, Problem> {
        let Some(Source { mirror, name }) = self.source(repository) else { return Ok(None) };
        let asked = mirror.upstream.blob_size(name, digest).await;
        asked.map_err(|unanswered| Missed::from(unanswered).problem(|| unknown(digest)))
    }
}

async fn fly(registry: Registry, repository: Repository, digest: Digest, mut pilot: Pilot) {
    let outcome = fetch(&registry, &repository, &digest, &mut pilot).await;
    pilot.land(outcome);
}

async fn fetch(
    registry: &Registry,
    repository: &Repository,
    digest: &Digest,
    pilot: &mut Pilot,
) -> Result<u64, Missed> {
    let room = registry.0.mirrors.room.acquire().await;
    let _room = room.map_err(|_| Missed::failed("the registry ends"))?;
    // An earlier flight may have landed since it was looked for.
    if let Some(size) = registry.0.storage.0.blob_size(repository, digest).await? {
        return Ok(size);
    }
    let Source { mirror, name } = registry.source(repository).ok_or(Missed::Absent)?;
    let size = mirror.upstream.blob_size(name, digest).await?.ok_or(Missed::Absent)?;
    if size > registry.0.config.limits.blob {
        return Err(Missed::failed(format!("blob {digest} is larger than allowed")));
    }
    let mut blob = mirror.upstream.blob(name, digest, size).await?;
    pilot.begin(size);
    let mut upload = Upload::begin(&registry.0.storage, digest.algorithm());
    let (mut batch, mut waiting) = (Vec::new(), 0);
    while let Some(bytes) = blob.chunk().await? {
        if bytes.is_empty() {
            continue;
        }
        if upload.size() + (waiting + bytes.len()) as u64 > size {
            return Err(Missed::failed(format!("blob {digest} is longer than announced")));
        }
        pilot.pass(bytes.clone());
        waiting += bytes.len();
        batch.push(bytes);
        if waiting >= BATCH || batch.len() >= PIECES {
            upload.write(std::mem::take(&mut batch)).await?;
            waiting = 0;
        }
    }
    upload.write(batch).await?;
    match upload.finish(repository, digest).await {
        Ok(came) if came == size => Ok(size),
        Ok(_) => Err(Missed::failed(format!("blob {digest} has another size than announced"))),
        Err(Unfinished::Digest(actual)) => {
            Err(Missed::failed(format!("blob {digest} came as {actual}")))
        }
        // What is pulled through is under no quota.
        Err(Unfinished::OverQuota(full)) => Err(Missed::failed(full.to_string())),
        Err(Unfinished::Storage(error)) => Err(error.into()),
    }
}
