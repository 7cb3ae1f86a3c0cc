//! Collection of what nobody needs, while the registry serves.
//!
//! A blob is needed that a manifest names, or that came, was mounted or was asked for less than a
//! grace period ago: a push that is under way relies on it. Between the look at a repository's
//! manifests and the removal of some of its blobs no manifest is taken there, and no client is told
//! that a blob is there; everything before that, and all bodies, pass meanwhile.
//!
//! Other processes that share the storage know nothing of this. Tags and manifests go in one step,
//! and only from the state that was looked at; and of a blob it is said that it is being removed
//! before the look that decides.

mod pass;

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use oci::Digest;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use self::pass::{Names, Pass};
use crate::name::Repository;
use crate::pattern::Pattern;
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
/// When so many leases are remembered, those that no longer matter are forgotten.
const MANY: usize = 100_000;

/// What pushes and collections tell each other.
pub(crate) struct Collector {
    gates: [RwLock<()>; GATES],
    leases: Mutex<Leases>,
    grace: Mutex<Duration>,
}

/// What clients rely on, and since when.
struct Leases {
    since: HashMap<(Repository, Digest), Instant>,
    /// How many there are when they are looked through again.
    many: usize,
}

impl Default for Collector {
    fn default() -> Collector {
        let gates = std::array::from_fn(|_| RwLock::new(()));
        Collector {
            gates,
            leases: Mutex::new(Leases { since: HashMap::new(), many: MANY }),
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

    /// Keeps collections out while something is looked up that a client will rely on.
    pub(crate) async fn relying(&self, repository: &Repository) -> RwLockReadGuard<'_, ()> {
        self.gate(repository).read().await
    }

    async fn collecting(&self, repository: &Repository) -> RwLockWriteGuard<'_, ()> {
        self.gate(repository).write().await
    }

    /// Notes that a client was told that a blob or manifest is there, by one who keeps collections
    /// out.
    pub(crate) fn lease(&self, repository: &Repository, digest: &Digest) {
        let mut leases = locked(&self.leases);
        if leases.since.len() >= leases.many {
            let grace = *locked(&self.grace);
            leases.since.retain(|_, at| at.elapsed() < grace);
            leases.many = MANY.max(leases.since.len() * 2);
        }
        leases.since.insert((repository.clone(), digest.clone()), Instant::now());
    }

    fn is_leased(&self, repository: &Repository, digest: &Digest, grace: Duration) -> bool {
        let key = (repository.clone(), digest.clone());
        locked(&self.leases).since.get(&key).is_some_and(|at| at.elapsed() < grace)
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
            let mut names = Names::new();
            // Read before the gate is closed, so that it is closed but briefly.
            self.read_names(&repository, &mut names).await?;
            let mut pass = Pass { registry: self, repository: &repository, rules, names };
            pass.run(&holdings, &mut collected).await?;
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
