//! The collection of one repository.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, SystemTime};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use oci::Digest;

use super::{Collected, Collection, Retention};
use crate::name::{Repository, Tag};
use crate::state::{Change, Entry, State};
use crate::storage::{Condemned, Holding, look};
use crate::{Error, Registry, Result};

/// The blobs and the manifests that a manifest names.
pub(super) type Names = HashMap<Digest, (Vec<Digest>, Vec<Digest>)>;

/// How many blobs are removed while nothing is taken.
const BATCH: usize = 64;
/// How many of them at once, where others are told beforehand.
const AT_ONCE: usize = 16;
/// How often it is tried while others change the repository.
const TRIES: usize = 5;

pub(super) struct Pass<'a> {
    pub(super) registry: &'a Registry,
    pub(super) repository: &'a Repository,
    pub(super) rules: &'a Collection,
    /// What the manifests name that were seen.
    pub(super) names: Names,
}

impl Pass<'_> {
    pub(super) async fn run(
        &mut self,
        holdings: &[Holding],
        collected: &mut Collected,
    ) -> Result<()> {
        let ages: HashMap<&Digest, Duration> =
            holdings.iter().map(|holding| (&holding.digest, age(holding.since))).collect();
        let Some(left) = self.remove_unreachable(&ages, collected).await? else { return Ok(()) };
        let old = |holding: &&Holding| age(holding.since) >= self.rules.grace;
        let old: Vec<&Holding> = holdings.iter().filter(old).collect();
        for batch in old.chunks(BATCH) {
            let dry = self.rules.dry_run.then_some(&left);
            if !self.remove_unneeded(batch, dry, collected).await? {
                break;
            }
        }
        Ok(())
    }

    /// Removes tags that are let go and manifests that nothing leads to, and answers with the state
    /// after that; `None` if it was changed all the while.
    async fn remove_unreachable(
        &mut self,
        ages: &HashMap<&Digest, Duration>,
        collected: &mut Collected,
    ) -> Result<Option<State>> {
        for _ in 0..TRIES {
            let _gate = self.registry.0.collector.collecting(self.repository).await;
            let seen = self.look_again().await?;
            let mut state = seen.clone();
            let tags = self.expired(&state, ages);
            let collect = |seen: &State, tags: &[Tag], manifests: &[Digest]| Change::Collect {
                seen: Box::new(seen.clone()),
                tags: tags.to_vec(),
                manifests: manifests.to_vec(),
            };
            state.apply(&collect(&seen, &tags, &[]));
            let manifests = match self.rules.untagged {
                true => self.unreachable(&state, ages),
                false => Vec::new(),
            };
            state.apply(&collect(&seen, &[], &manifests));
            let nothing = tags.is_empty() && manifests.is_empty();
            if !nothing && !self.rules.dry_run {
                let change = collect(&seen, &tags, &manifests);
                if self.registry.0.storage.0.commit(self.repository, change).await?.is_err() {
                    continue;
                }
            }
            let named = |tag: &Tag| format!("{}:{tag}", self.repository);
            collected.tags.extend(tags.iter().map(named));
            let named = |digest: &Digest| format!("{}@{digest}", self.repository);
            collected.manifests.extend(manifests.iter().map(named));
            return Ok(Some(state));
        }
        Ok(None)
    }

    /// Removes those of some blobs that nobody needs. `dry` is the state to judge by where nothing
    /// is removed. False if it is not known what is needed.
    async fn remove_unneeded(
        &mut self,
        batch: &[&Holding],
        dry: Option<&State>,
        collected: &mut Collected,
    ) -> Result<bool> {
        let storage = &self.registry.0.storage.0;
        let _gate = self.registry.0.collector.collecting(self.repository).await;
        let state = match dry {
            Some(state) => state.clone(),
            None => self.look_again().await?,
        };
        let Some(needed) = self.needed(&state) else { return Ok(false) };
        let collector = &self.registry.0.collector;
        let is_free = |holding: &&Holding| {
            let digest = &holding.digest;
            !needed.contains(digest)
                && !collector.is_leased(self.repository, digest, self.rules.grace)
        };
        let (free, kept): (Vec<&Holding>, Vec<&Holding>) = batch.iter().copied().partition(is_free);
        let removed = match (dry, storage.is_shared()) {
            (Some(_), _) => free,
            (None, true) => {
                // A collection that was killed has left them so.
                for holding in kept.iter().filter(|holding| holding.removing) {
                    storage.blob_size(self.repository, &holding.digest).await?;
                }
                self.remove_shared(free).await?
            }
            (None, false) => {
                let mut removed = free;
                for index in (0..removed.len()).rev() {
                    if !storage.remove_blob(self.repository, &removed[index].digest).await? {
                        removed.remove(index);
                    }
                }
                removed
            }
        };
        for holding in removed {
            collected.blobs.push(format!("{}@{}", self.repository, holding.digest));
            collected.bytes += holding.size;
        }
        Ok(true)
    }

    /// Removes blobs that other processes may have come to need meanwhile: between the word that
    /// they are being removed, and their removal, it is looked again. Who takes a manifest after
    /// that look finds the word. Killed at any point, it has taken nothing that is needed.
    async fn remove_shared<'h>(&mut self, free: Vec<&'h Holding>) -> Result<Vec<&'h Holding>> {
        let (storage, repository) = (&self.registry.0.storage.0, self.repository);
        let digests: Vec<Digest> = free.iter().map(|holding| holding.digest.clone()).collect();
        let begun = stream::iter(digests).map(|digest| async move {
            let condemned = storage.condemn_blob(repository, &digest).await?;
            Ok::<_, Error>(condemned.map(|condemned| (digest, condemned)))
        });
        let begun = begun.buffered(AT_ONCE).try_filter_map(|begun| async move { Ok(begun) });
        let begun: Vec<(Digest, Condemned)> = begun.try_collect().await?;
        if begun.is_empty() {
            return Ok(Vec::new());
        }
        let state = self.look_again().await?;
        let needed = self.needed(&state);
        let is_free =
            |digest: &Digest| needed.as_ref().is_some_and(|needed| !needed.contains(digest));
        let begun: Vec<_> = begun
            .into_iter()
            .map(|(digest, condemned)| (is_free(&digest), digest, condemned))
            .collect();
        let ended = stream::iter(begun).map(|(free, digest, condemned)| async move {
            if free && storage.execute_blob(repository, &digest, condemned.clone()).await? {
                return Ok::<_, Error>(Some(digest));
            }
            storage.pardon_blob(repository, &digest, condemned).await?;
            Ok(None)
        });
        let ended = ended.buffered(AT_ONCE).try_filter_map(|ended| async move { Ok(ended) });
        let ended: BTreeSet<Digest> = ended.try_collect().await?;
        Ok(free.into_iter().filter(|holding| ended.contains(&holding.digest)).collect())
    }

    /// The state as it is now, whose manifests have been read.
    async fn look_again(&mut self) -> Result<State> {
        self.registry.read_names(self.repository, &mut self.names).await?;
        let state = self.registry.0.storage.0.state(self.repository).await?;
        Ok(state.map(|state| look(&state).clone()).unwrap_or_default())
    }

    /// All blobs that manifests need; `None` if one of those cannot be read.
    fn needed(&self, state: &State) -> Option<BTreeSet<Digest>> {
        let mut needed: BTreeSet<Digest> = state.manifests().keys().cloned().collect();
        for digest in state.manifests().keys() {
            needed.extend(self.names.get(digest)?.0.iter().cloned());
        }
        Some(needed)
    }

    /// The tags that the rules of retention let go.
    fn expired(&self, state: &State, ages: &HashMap<&Digest, Duration>) -> Vec<Tag> {
        let rules = self.rules.retention.iter();
        let rules: Vec<&Retention> =
            rules.filter(|rule| rule.repositories.matches(self.repository.as_str())).collect();
        let mut groups: Vec<Vec<(Duration, &Tag)>> = vec![Vec::new(); rules.len()];
        for (tag, digest) in state.tags() {
            if let Some(rule) = rules.iter().position(|rule| rule.tags.matches(tag.as_str())) {
                groups[rule].push((ages.get(digest).copied().unwrap_or_default(), tag));
            }
        }
        let mut expired = Vec::new();
        for (rule, mut group) in rules.into_iter().zip(groups) {
            group.sort();
            let rest = group.into_iter().skip(rule.keep_last);
            let old = rest.filter(|(age, _)| *age >= rule.keep_within);
            expired.extend(old.map(|(_, tag)| tag.clone()));
        }
        expired
    }

    /// The manifests that no tag leads to, over indexes and subjects, and that are not fresh.
    fn unreachable(&self, state: &State, ages: &HashMap<&Digest, Duration>) -> Vec<Digest> {
        let grace = self.rules.grace;
        let fresh = |(digest, entry): &(&Digest, &Entry)| {
            ages.get(digest).is_none_or(|age| *age < grace)
                || entry.pushed.is_some_and(|pushed| age(pushed) < grace)
                || self.registry.0.collector.is_leased(self.repository, digest, grace)
        };
        let mut todo: Vec<Digest> = state.tags().values().cloned().collect();
        let young = state.manifests().iter().filter(fresh);
        todo.extend(young.map(|(digest, _)| digest.clone()));
        let mut reached = BTreeSet::new();
        while let Some(digest) = todo.pop() {
            if !reached.insert(digest.clone()) {
                continue;
            }
            if let Some((_, manifests)) = self.names.get(&digest) {
                todo.extend(manifests.iter().cloned());
            }
            todo.extend(state.referrers(&digest).into_iter().map(|(digest, _)| digest));
        }
        state.manifests().keys().filter(|digest| !reached.contains(digest)).cloned().collect()
    }
}

fn age(since: SystemTime) -> Duration {
    since.elapsed().unwrap_or_default()
}
