//! Manifests that come from an upstream. What a digest names stays for ever; what a tag names is
//! asked for again after some time, and stays as it was while the upstream does not answer.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use oci::Digest;
use tokio::sync::MutexGuard;

use super::{Missed, Source};
use crate::Registry;
use crate::condition::Condition;
use crate::document::Document;
use crate::name::{Repository, Tag};
use crate::problem::Problem;
use crate::routes::manifests::{Target, unknown};
use crate::state::{Change, Entry};
use crate::storage::{locked, look};
use crate::upstream::Unanswered;

/// How many manifests are asked for at once. It bounds the memory that they take.
const LANES: usize = 16;
/// How long an upstream may take for a manifest.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long an upstream that does not answer is not asked again for a tag that is here.
const PAUSE: Duration = Duration::from_secs(10);
/// When so many tags are remembered, those that must be asked for again are forgotten.
const MOST_TAGS: usize = 100_000;

/// Until when tags need not be asked for again, and who asks.
pub(super) struct Tags {
    fresh: Mutex<HashMap<(Repository, Tag), Instant>>,
    lanes: [tokio::sync::Mutex<()>; LANES],
    hasher: RandomState,
}

impl Default for Tags {
    fn default() -> Tags {
        let lanes = std::array::from_fn(|_| tokio::sync::Mutex::new(()));
        Tags { fresh: Mutex::default(), lanes, hasher: RandomState::new() }
    }
}

impl Tags {
    fn is_fresh(&self, repository: &Repository, tag: &Tag) -> bool {
        let key = (repository.clone(), tag.clone());
        locked(&self.fresh).get(&key).is_some_and(|until| Instant::now() < *until)
    }

    fn set_fresh(&self, repository: &Repository, tag: &Tag, span: Duration) {
        let mut fresh = locked(&self.fresh);
        let now = Instant::now();
        if fresh.len() >= MOST_TAGS {
            fresh.retain(|_, until| now < *until);
            if fresh.len() >= MOST_TAGS {
                fresh.clear();
            }
        }
        if let Some(until) = now.checked_add(span) {
            fresh.insert((repository.clone(), tag.clone()), until);
        }
    }

    /// Waits until nobody else asks for anything of the repository.
    async fn lane(&self, repository: &Repository) -> MutexGuard<'_, ()> {
        let lane = self.hasher.hash_one(repository) % LANES as u64;
        self.lanes[lane as usize].lock().await
    }
}

impl Registry {
    /// Sees to it that what a mirrored repository should have under a name is here.
    pub(crate) async fn pull_manifest(
        &self,
        repository: &Repository,
        target: &Target,
    ) -> Result<(), Problem> {
        let Some(source) = self.source(repository) else { return Ok(()) };
        if self.has(repository, target).await? {
            return Ok(());
        }
        let _lane = self.0.mirrors.tags.lane(repository).await;
        if self.has(repository, target).await? {
            return Ok(());
        }
        let pulling = async {
            match target {
                Target::Digest(digest) => self.take(source, repository, digest, None).await,
                Target::Tag(tag) => self.pull_tag(source, repository, tag).await,
            }
        };
        let pulled = tokio::time::timeout(PATIENCE, pulling).await;
        match pulled.unwrap_or_else(|_| Err(Missed::failed("it takes too long"))) {
            Ok(()) => Ok(()),
            Err(missed) => self.fall_back(repository, target, missed).await,
        }
    }

    /// Whether what is here need not be asked for.
    async fn has(&self, repository: &Repository, target: &Target) -> Result<bool, Problem> {
        match target {
            Target::Digest(digest) => Ok(self.has_manifest(repository, digest).await?),
            Target::Tag(tag) if self.0.mirrors.tags.is_fresh(repository, tag) => {
                Ok(self.tagged(repository, tag).await?.is_some())
            }
            Target::Tag(_) => Ok(false),
        }
    }

    async fn pull_tag(
        &self,
        source: Source<'_>,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<(), Missed> {
        let resolved = source.mirror.upstream.resolve(source.name, tag.as_str()).await?;
        let digest = resolved.ok_or(Missed::Absent)?;
        if self.tagged(repository, tag).await?.as_ref() != Some(&digest) {
            self.take(source, repository, &digest, Some(tag)).await?;
        }
        self.0.mirrors.tags.set_fresh(repository, tag, source.mirror.fresh);
        Ok(())
    }

    /// Takes a manifest over, and points a tag at it.
    async fn take(
        &self,
        source: Source<'_>,
        repository: &Repository,
        digest: &Digest,
        tag: Option<&Tag>,
    ) -> Result<(), Missed> {
        let pulled = source.mirror.upstream.manifest(source.name, digest).await?;
        let pulled = pulled.ok_or(Missed::Absent)?;
        if pulled.bytes.len() > self.0.config.limits.manifest {
            return Err(Missed::failed(format!("manifest {digest} is larger than allowed")));
        }
        if digest.algorithm().digest(&pulled.bytes) != *digest {
            return Err(Missed::failed(format!("manifest {digest} came with another digest")));
        }
        let document = Document::parse(&pulled.bytes, Some(&pulled.media_type))
            .map_err(|refused| Missed::failed(format!("manifest {digest}: {refused}")))?;
        let _gate = self.0.collector.relying(repository).await;
        let entry = Entry {
            media_type: document.media_type,
            size: pulled.bytes.len() as u64,
            subject: document.subject,
            pushed: Some(SystemTime::now()),
        };
        self.store(repository, digest, pulled.bytes).await?;
        let change = Change::Put {
            digest: digest.clone(),
            entry,
            tags: tag.cloned().into_iter().collect(),
            condition: Condition::default(),
            most_tags: self.0.config.limits.tags,
            needs: Vec::new(),
        };
        let made = self.0.storage.0.commit(repository, change).await?;
        made.map_err(|_| Missed::failed(format!("manifest {digest} was refused")))
    }

    /// While an upstream fails, a tag stands for what it stood for.
    async fn fall_back(
        &self,
        repository: &Repository,
        target: &Target,
        missed: Missed,
    ) -> Result<(), Problem> {
        if let (Target::Tag(tag), Missed::Unanswered(Unanswered::Failed(why))) = (target, &missed)
            && self.tagged(repository, tag).await?.is_some()
        {
            tracing::warn!(%repository, %tag, why, "served as it was");
            self.0.mirrors.tags.set_fresh(repository, tag, PAUSE);
            return Ok(());
        }
        Err(missed.problem(unknown))
    }

    async fn has_manifest(&self, repository: &Repository, digest: &Digest) -> crate::Result<bool> {
        let state = self.0.storage.0.state(repository).await?;
        Ok(state.is_some_and(|state| look(&state).manifest(digest).is_some()))
    }

    async fn tagged(&self, repository: &Repository, tag: &Tag) -> crate::Result<Option<Digest>> {
        let state = self.0.storage.0.state(repository).await?;
        Ok(state.and_then(|state| look(&state).tag(tag).cloned()))
    }
}
