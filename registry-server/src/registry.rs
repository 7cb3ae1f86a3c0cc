//! A registry: storage, sessions and rules.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use oci::Digest;
use tokio::sync::Semaphore;

use crate::Result;
use crate::access::Access;
use crate::collect::Collector;
use crate::event::Listener;
use crate::fault::Faults;
use crate::metrics::Metrics;
use crate::mirror::Mirrors;
use crate::name::Repository;
use crate::quota::{Ledger, Quota};
use crate::receive::Rules;
use crate::routes::manifest_body::Budget;
use crate::routes::page::MOST_AT_ONCE;
use crate::session::Sessions;
use crate::storage::{Storage, change, look};
use crate::upstream::Mirror;

/// A registry. Clones share it.
#[derive(Clone)]
pub struct Registry(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) storage: Storage,
    pub(crate) sessions: Sessions,
    pub(crate) manifests: Budget,
    pub(crate) config: Config,
    pub(crate) metrics: Metrics,
    pub(crate) collector: Collector,
    pub(crate) mirrors: Mirrors,
    pub(crate) ledger: Ledger,
    /// Whose layers are looked through for people.
    pub(crate) listings: Arc<Semaphore>,
    access: RwLock<Option<Arc<Access>>>,
}

/// How a registry behaves.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// What may be used up.
    pub limits: Limits,
    /// How much repositories may hold.
    pub quotas: Vec<Quota>,
    /// What to do with a manifest that names what was not pushed.
    pub missing_references: MissingReferences,
    /// Whether nothing can be changed.
    pub read_only: bool,
    /// What clients are made to suffer.
    pub faults: Faults,
    /// The repositories that are pulled through from other registries.
    pub mirrors: Vec<Mirror>,
    /// Who hears of pushes, pulls and removals.
    pub events: Listener,
}

/// What to do with a manifest whose config, layers or manifests are not in the repository
/// (distribution-spec, "Push": a registry may refuse it). A missing `subject` is always accepted,
/// and so are layers that are not to be distributed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingReferences {
    /// Refuse it: what can be pulled by name is complete.
    #[default]
    Refuse,
    /// Accept an index some of whose manifests are elsewhere.
    AllowInIndex,
    /// Accept everything.
    Allow,
}

/// Limits on what clients can use up.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The largest manifest, in bytes. The specification asks for 4 MB at least.
    pub manifest: usize,
    /// The memory for large manifests on their way, all together, in bytes.
    pub manifests: usize,
    /// The largest blob, in bytes.
    pub blob: u64,
    /// How many tags a repository can have.
    pub tags: usize,
    /// How many uploads can be open at once.
    pub uploads: usize,
    /// After what time without a request an open upload is given up.
    pub upload_expiry: Duration,
    /// How long the sender of a body may pause.
    pub stall: Duration,
    /// How long a client may take to say what it wants: the head of a request, or to begin the
    /// next one.
    pub head: Duration,
    /// How many connections [`serve`](crate::serve) keeps at once.
    pub connections: usize,
    /// How long [`serve`](crate::serve) waits for running requests at its end.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            manifest: 4 << 20,
            manifests: 64 << 20,
            blob: u64::MAX,
            tags: usize::MAX,
            uploads: 10_000,
            upload_expiry: Duration::from_secs(3600),
            stall: Duration::from_secs(60),
            head: Duration::from_secs(30),
            connections: 4096,
            shutdown: Duration::from_secs(10),
        }
    }
}

impl Registry {
    /// A registry with the usual rules.
    pub fn new(storage: Storage) -> Registry {
        Registry::with_config(storage, Config::default())
    }

    /// A registry with rules of its own.
    pub fn with_config(storage: Storage, config: Config) -> Registry {
        let manifests = Budget::new(config.limits.manifests);
        let ledger = Ledger::new(config.quotas.clone());
        Registry(Arc::new(Inner {
            storage,
            sessions: Sessions::default(),
            manifests,
            config,
            metrics: Metrics::default(),
            collector: Collector::default(),
            mirrors: Mirrors::default(),
            ledger,
            listings: Arc::new(Semaphore::new(MOST_AT_ONCE)),
            access: RwLock::default(),
        }))
    }

    /// From now on lets only those in who are known. `None` lets everybody do everything.
    pub fn set_access(&self, access: Option<Access>) {
        *change(&self.0.access) = access.map(Arc::new);
    }

    pub(crate) fn access(&self) -> Option<Arc<Access>> {
        look(&self.0.access).clone()
    }

    /// The rules for a body of a repository, whose digest may be known.
    pub(crate) async fn rules(
        &self,
        repository: &Repository,
        digest: Option<&Digest>,
    ) -> Result<Rules> {
        let limits = &self.0.config.limits;
        let room = self.room(repository, digest).await?;
        Ok(Rules { stall: limits.stall, blob: limits.blob, room })
    }
}
