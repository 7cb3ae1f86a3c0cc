//! Collection of what nobody needs, while the registry serves.
//!
//! A blob is needed that a manifest names, or that came, was mounted or was asked for less than a
//! grace period ago: a push that is under way relies on it. Between the look at a repository's
//! manifests and the removal of its blobs no manifest is taken there; everything before that, and
//! all bodies, pass meanwhile.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use oci::Digest;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::condition::Condition;
use crate::name::{Repository, Tag};
use crate::pattern::Pattern;
use crate::state::{Change, State};
use crate::storage::{Holding, locked, look};
use crate::{Registry, Result};

/// What a collection takes away.
#[derive(Debug, Clone)]
pub struct Collection {
    /// How long a blob is left alone after it came, was mounted or was asked for.
    pub grace: Duration,
    /// Whether manifests go that no tag, index or subject leads to.
    pub untagged: bool,
    /// Which tags go. The first rule that fits a tag decides.
    pub retention: Vec<Retention>,
    /// Whether it is only told what would go.
    pub dry_run: bool,
}

/// Keeps some of the tags that it fits, and lets the others go.
#[derive(Debug, Clone)]
pub struct Retention {
    /// The repositories it is about.
    pub repositories: Pattern,
    /// The tags it is about.
    pub tags: Pattern,
    /// How many of them stay, those whose manifests came last.
    pub keep_last: usize,
    /// How young those are that stay beside them.
    pub keep_within: Duration,
}

/// What a collection took away, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// The tags, as `repository:tag`.
    pub tags: Vec<String>,
    /// The manifests, as `repository@digest`.
    pub manifests: Vec<String>,
    /// The blobs, as `repository@digest`.
    pub blobs: Vec<String>,
    /// The size of these blobs in bytes; what other repositories hold takes its place as before.
    pub bytes: u64,
}

/// How many gates there are. Repositories that share one wait for each other's collection.
const GATES: usize = 64;
/// When so many look-ups are remembered, those that no longer matter are forgotten.
const MOST_LOOKED_UP: usize = 100_000;

/// What pushes and collections tell each other.
pub(crate) struct Collector {
    gates: [RwLock<()>; GATES],
    looked_up: Mutex<HashMap<(Repository, Digest), Instant>>,
    grace: Mutex<Duration>,
}

impl Default for Collector {
    fn default() -> Collector {
        let gates = std::array::from_fn(|_| RwLock::new(()));
        Collector {
            gates,
            looked_up: Mutex::default(),
            grace: Mutex::new(Duration::from_secs(3600)),
        }
    }
}

impl Collector {
    fn gate(&self, repository: &Repository) -> &RwLock<()> {
        let mut hasher = DefaultHasher::new();
        repository.hash(&mut hasher);
        &self.gates[hasher.finish() as usize % GATES]
    }

    /// Keeps collections out from the check of a manifest's blobs to its commit.
    pub(crate) async fn pushing(&self, repository: &Repository) -> RwLockReadGuard<'_, ()> {
        self.gate(repository).read().await
    }

    async fn collecting(&self, repository: &Repository) -> RwLockWriteGuard<'_, ()> {
        self.gate(repository).write().await
    }

    /// Notes that a client was told that a blob is there.
    pub(crate) fn looked_up(&self, repository: &Repository, digest: &Digest) {
        let mut all = locked(&self.looked_up);
        if all.len() >= MOST_LOOKED_UP {
            let grace = *locked(&self.grace);
            all.retain(|_, at| at.elapsed() < grace);
        }
        all.insert((repository.clone(), digest.clone()), Instant::now());
    }

    fn is_leased(&self, repository: &Repository, digest: &Digest, grace: Duration) -> bool {
        let key = (repository.clone(), digest.clone());
        locked(&self.looked_up).get(&key).is_some_and(|at| at.elapsed() < grace)
    }
}

impl Registry {
    /// Takes away what nobody needs.
    ///
    /// # Errors
    /// If storage fails. What was taken away until then was not needed.
    pub async fn collect(&self, rules: &Collection) -> Result<Collected> {
        *locked(&self.0.collector.grace) = rules.grace;
        let mut collected = Collected::default();
        let mut held: BTreeMap<Repository, Vec<Holding>> = BTreeMap::new();
        for holding in self.0.storage.0.holdings().await? {
            held.entry(holding.repository.clone()).or_default().push(holding);
        }
        for (repository, holdings) in held {
            let mut names = HashMap::new();
            // Read before the gate is closed, so that it is closed but briefly.
            self.read_names(&repository, &mut names).await?;
            let _gate = self.0.collector.collecting(&repository).await;
            self.read_names(&repository, &mut names).await?;
            let mut one = One { registry: self, repository: &repository, rules, names: &names };
            one.collect(&holdings, &mut collected).await?;
        }
        if !rules.dry_run {
            self.0.storage.0.sweep(rules.grace).await?;
            self.0.ledger.forget();
        }
        Ok(collected)
    }

    /// Reads what manifests name that were not read before.
    async fn read_names(&self, repository: &Repository, names: &mut Names) -> Result<()> {
        let Some(state) = self.0.storage.0.state(repository).await? else { return Ok(()) };
        let manifests = look(&state).manifests().clone();
        for (digest, entry) in manifests {
            if names.contains_key(&digest) {
                continue;
            }
            if let Some(document) = self.document(repository, &digest, &entry).await? {
                names.insert(digest, (document.blobs, document.manifests));
            }
        }
        Ok(())
    }
}

/// The blobs and the manifests that a manifest names.
type Names = HashMap<Digest, (Vec<Digest>, Vec<Digest>)>;

/// The collection of one repository.
struct One<'a> {
    registry: &'a Registry,
    repository: &'a Repository,
    rules: &'a Collection,
    names: &'a Names,
}

impl One<'_> {
    async fn collect(&mut self, holdings: &[Holding], collected: &mut Collected) -> Result<()> {
        let storage = &self.registry.0.storage.0;
        let state = storage.state(self.repository).await?;
        let mut state = state.map(|state| look(&state).clone()).unwrap_or_default();
        let ages: HashMap<&Digest, Duration> =
            holdings.iter().map(|holding| (&holding.digest, age(holding.since))).collect();
        for tag in self.expired(&state, &ages) {
            collected.tags.push(format!("{}:{tag}", self.repository));
            let change = Change::RemoveTag { tag, condition: Condition::default() };
            self.make(&mut state, change).await?;
        }
        if self.rules.untagged {
            for digest in self.unreachable(&state, &ages) {
                collected.manifests.push(format!("{}@{digest}", self.repository));
                let change = Change::RemoveManifest { digest, condition: Condition::default() };
                self.make(&mut state, change).await?;
            }
        }
        let mut needed: BTreeSet<&Digest> = state.manifests().keys().collect();
        for digest in state.manifests().keys() {
            match self.names.get(digest) {
                Some((blobs, _)) => needed.extend(blobs),
                // A manifest that could not be read: what it needs is not known.
                None => return Ok(()),
            }
        }
        for holding in holdings {
            let digest = &holding.digest;
            let fresh = age(holding.since) < self.rules.grace
                || self.registry.0.collector.is_leased(self.repository, digest, self.rules.grace);
            if needed.contains(digest) || fresh {
                continue;
            }
            if self.rules.dry_run || storage.remove_blob(self.repository, digest).await? {
                collected.blobs.push(format!("{}@{digest}", self.repository));
                collected.bytes += holding.size;
            }
        }
        Ok(())
    }

    async fn make(&self, state: &mut State, change: Change) -> Result<()> {
        state.apply(&change);
        if !self.rules.dry_run {
            // Somebody else may have removed it meanwhile: then it is gone as it should be.
            let _refused = self.registry.0.storage.0.commit(self.repository, change).await?;
        }
        Ok(())
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
        let fresh = |digest: &&Digest| {
            ages.get(digest).is_none_or(|age| *age < self.rules.grace)
                || self.registry.0.collector.is_leased(self.repository, digest, self.rules.grace)
        };
        let mut todo: Vec<Digest> = state.tags().values().cloned().collect();
        todo.extend(state.manifests().keys().filter(fresh).cloned());
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
