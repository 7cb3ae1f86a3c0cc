//! Lists of a mirrored repository: what the upstream has, with what is here; while the upstream
//! does not answer, what is here.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use oci::Digest;

use super::Missed;
use crate::Registry;
use crate::name::{Repository, Tag};
use crate::problem::{Code, Problem};
use crate::routes::manifests::Target;
use crate::storage::{locked, look};
use crate::upstream::Unanswered;

/// How long an upstream may take for a list.
const PATIENCE: Duration = Duration::from_secs(20);
/// Of how many repositories lists are remembered.
const MOST_LISTS: usize = 1000;
/// How many referrers of a manifest are taken over.
const MOST_REFERRERS: usize = 100;

/// Lists that need not be asked for again yet.
#[derive(Default)]
pub(super) struct Lists {
    tags: Mutex<HashMap<Repository, KnownTags>>,
    referrers: Mutex<HashMap<(Repository, Digest), Instant>>,
}

/// Until when they need not be asked for, and the tags.
type KnownTags = (Instant, Arc<BTreeSet<Tag>>);

/// Makes room in what is remembered.
fn make_room<K: std::hash::Hash + Eq, V>(known: &mut HashMap<K, V>, until: impl Fn(&V) -> Instant) {
    if known.len() >= MOST_LISTS {
        let now = Instant::now();
        known.retain(|_, value| now < until(value));
        if known.len() >= MOST_LISTS {
            known.clear();
        }
    }
}

impl Registry {
    /// The tags of a repository; `None` if there is no such repository.
    pub(crate) async fn all_tags(
        &self,
        repository: &Repository,
    ) -> Result<Option<BTreeSet<Tag>>, Problem> {
        let state = self.0.storage.0.state(repository).await?;
        let here = state.map(|state| look(&state).tags().keys().cloned().collect());
        let there = match self.upstream_tags(repository).await {
            Ok(there) => there,
            Err(missed) if here.is_some() => {
                tracing::warn!(%repository, ?missed, "tags are listed as they are here");
                None
            }
            Err(missed) => return Err(missed.problem(|| unknown(repository))),
        };
        Ok(match (here, there) {
            (None, there) => there.map(|there| (*there).clone()),
            (here, None) => here,
            (Some(here), Some(there)) => Some(&here | &*there),
        })
    }

    async fn upstream_tags(
        &self,
        repository: &Repository,
    ) -> Result<Option<Arc<BTreeSet<Tag>>>, Missed> {
        let Some(source) = self.source(repository) else { return Ok(None) };
        let known = &self.0.mirrors.lists.tags;
        if let Some((until, tags)) = locked(known).get(repository)
            && Instant::now() < *until
        {
            return Ok(Some(tags.clone()));
        }
        let asked = source.mirror.upstream.tags(source.name);
        let listed = in_time(asked).await?;
        let Some(listed) = listed else { return Ok(None) };
        // What is no tag of ours could not be asked for.
        let tags: BTreeSet<Tag> = listed.iter().filter_map(|text| Tag::parse(text)).collect();
        let tags = Arc::new(tags);
        if let Some(until) = Instant::now().checked_add(source.mirror.fresh) {
            let mut known = locked(known);
            make_room(&mut known, |(until, _)| *until);
            known.insert(repository.clone(), (until, tags.clone()));
        }
        Ok(Some(tags))
    }

    /// Sees to it that what refers to a manifest of a mirrored repository is here.
    pub(crate) async fn pull_referrers(&self, repository: &Repository, subject: &Digest) {
        let Some(source) = self.source(repository) else { return };
        let key = (repository.clone(), subject.clone());
        let known = &self.0.mirrors.lists.referrers;
        if locked(known).get(&key).is_some_and(|until| Instant::now() < *until) {
            return;
        }
        let taken = async {
            let listed = in_time(source.mirror.upstream.referrers(source.name, subject)).await?;
            for digest in listed.into_iter().take(MOST_REFERRERS) {
                let target = Target::Digest(digest.clone());
                // One that cannot be had is missing from the list.
                if self.pull_manifest(repository, &target).await.is_err() {
                    tracing::warn!(%repository, %digest, "a referrer is not pulled through");
                }
            }
            Ok::<_, Missed>(())
        };
        if let Err(missed) = taken.await {
            tracing::warn!(%repository, ?missed, "referrers are listed as they are here");
            return;
        }
        if let Some(until) = Instant::now().checked_add(source.mirror.fresh) {
            let mut known = locked(known);
            make_room(&mut known, |until| *until);
            known.insert(key, until);
        }
    }
}

async fn in_time<T>(asked: crate::upstream::Asked<'_, T>) -> Result<T, Missed> {
    let late = || Unanswered::Failed("it takes too long".to_owned());
    Ok(tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(late()))?)
}

fn unknown(repository: &Repository) -> Problem {
    Problem::unknown(Code::NameUnknown, format!("repository {repository} is unknown"))
}
