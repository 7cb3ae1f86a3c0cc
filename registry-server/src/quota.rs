//! How much repositories may hold: counted when it is first asked for, kept up to date by what this
//! server does, and counted again now and then for what others did.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use oci::Digest;

use crate::name::Repository;
use crate::pattern::Pattern;
use crate::storage::{Storage, locked};
use crate::upload::{Unfinished, Upload};
use crate::{Registry, Result};

/// The most that some repositories may hold together.
#[derive(Debug, Clone)]
pub struct Quota {
    /// Which repositories.
    pub repositories: Pattern,
    /// In bytes. A blob counts in every repository that holds it.
    pub bytes: u64,
}

/// After what time everything is counted again.
const COUNT_AGAIN: Duration = Duration::from_secs(60);

/// What repositories hold, as far as there are quotas for them.
pub(crate) struct Ledger {
    quotas: Vec<Quota>,
    /// Held while everything is counted: who comes meanwhile waits for the same numbers.
    counting: tokio::sync::Mutex<()>,
    sums: Mutex<Sums>,
}

#[derive(Default)]
struct Sums {
    /// When they were counted; `None` if they cannot be relied on.
    counted: Option<Instant>,
    /// For each quota what is held, and what is on its way into storage.
    held: Vec<u64>,
    reserved: Vec<u64>,
}

/// The right to add some bytes. Dropped, it is given back.
pub(crate) struct Reserved<'a> {
    ledger: &'a Ledger,
    quotas: Vec<usize>,
    bytes: u64,
}

/// That a quota would be passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the repositories that share its quota of {quota} bytes hold {held}")]
pub(crate) struct OverQuota {
    pub(crate) quota: u64,
    pub(crate) held: u64,
}

impl Ledger {
    pub(crate) fn new(quotas: Vec<Quota>) -> Ledger {
        let none = vec![0; quotas.len()];
        let sums = Sums { counted: None, held: none.clone(), reserved: none };
        Ledger { quotas, counting: tokio::sync::Mutex::default(), sums: Mutex::new(sums) }
    }

    /// The quotas that a repository is under.
    fn of(&self, repository: &Repository) -> Vec<usize> {
        let fits = |quota: &Quota| quota.repositories.matches(repository.as_str());
        (0..self.quotas.len()).filter(|&index| fits(&self.quotas[index])).collect()
    }

    /// Something was taken away: what is left is counted when it is next asked for.
    pub(crate) fn forget(&self) {
        locked(&self.sums).counted = None;
    }

    async fn count(&self, storage: &Storage) -> Result<()> {
        let _counting = self.counting.lock().await;
        if self.is_recent() {
            return Ok(());
        }
        let before = Instant::now();
        let mut held = vec![0u64; self.quotas.len()];
        for holding in storage.0.holdings().await? {
            for index in self.of(&holding.repository) {
                held[index] = held[index].saturating_add(holding.size);
            }
        }
        let mut sums = locked(&self.sums);
        (sums.counted, sums.held) = (Some(before), held);
        Ok(())
    }

    fn is_recent(&self) -> bool {
        locked(&self.sums).counted.is_some_and(|counted| counted.elapsed() < COUNT_AGAIN)
    }

    /// How much more a repository may hold.
    async fn room(&self, storage: &Storage, repository: &Repository) -> Result<Room> {
        let quotas = self.of(repository);
        if quotas.is_empty() {
            return Ok(Room::ENDLESS);
        }
        if !self.is_recent() {
            self.count(storage).await?;
        }
        Ok(self.least(&locked(&self.sums), &quotas))
    }

    fn least(&self, sums: &Sums, quotas: &[usize]) -> Room {
        let room = |&index: &usize| {
            let held = sums.held[index].saturating_add(sums.reserved[index]);
            let quota = self.quotas[index].bytes;
            Room { bytes: quota.saturating_sub(held), quota, held }
        };
        quotas.iter().map(room).min_by_key(|room| room.bytes).unwrap_or(Room::ENDLESS)
    }

    /// Sets bytes aside, if there is room for them.
    async fn reserve(
        &self,
        storage: &Storage,
        repository: &Repository,
        bytes: u64,
    ) -> Result<Result<Reserved<'_>, OverQuota>> {
        let quotas = self.of(repository);
        self.room(storage, repository).await?;
        let mut sums = locked(&self.sums);
        let room = self.least(&sums, &quotas);
        if room.bytes < bytes {
            return Ok(Err(room.refusal()));
        }
        for &index in &quotas {
            sums.reserved[index] = sums.reserved[index].saturating_add(bytes);
        }
        Ok(Ok(Reserved { ledger: self, quotas, bytes }))
    }
}

/// How much more there may be, and why.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) bytes: u64,
    quota: u64,
    held: u64,
}

impl Room {
    const ENDLESS: Room = Room { bytes: u64::MAX, quota: u64::MAX, held: 0 };

    /// Why there is no more.
    pub(crate) fn refusal(&self) -> OverQuota {
        OverQuota { quota: self.quota, held: self.held }
    }
}

impl Reserved<'_> {
    /// The bytes are in storage.
    pub(crate) fn settle(mut self) {
        let mut sums = locked(&self.ledger.sums);
        for &index in &self.quotas {
            sums.held[index] = sums.held[index].saturating_add(self.bytes);
            sums.reserved[index] = sums.reserved[index].saturating_sub(self.bytes);
        }
        self.bytes = 0;
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        if self.bytes > 0 {
            let mut sums = locked(&self.ledger.sums);
            for &index in &self.quotas {
                sums.reserved[index] = sums.reserved[index].saturating_sub(self.bytes);
            }
        }
    }
}

impl Registry {
    /// How much more a repository may hold; of what it holds, as much as there is.
    pub(crate) async fn room(
        &self,
        repository: &Repository,
        digest: Option<&Digest>,
    ) -> Result<Room> {
        let ledger = &self.0.ledger;
        if !ledger.of(repository).is_empty()
            && let Some(digest) = digest
            && self.0.storage.0.blob_size(repository, digest).await?.is_some()
        {
            return Ok(Room::ENDLESS);
        }
        ledger.room(&self.0.storage, repository).await
    }

    /// Makes an upload a blob, if there is room for it.
    pub(crate) async fn finish(
        &self,
        mut upload: Upload,
        repository: &Repository,
        expected: &Digest,
    ) -> Result<u64, Unfinished> {
        if let Err(refused) = upload.verify(expected).await {
            // Who is told so may look for the upload at once.
            upload.remove().await;
            return Err(refused);
        }
        let reserved = self.reserve(repository, expected, upload.size()).await;
        let reserved = reserved.map_err(Unfinished::Storage)?.map_err(Unfinished::OverQuota)?;
        // The same blob may have been here all along, and a collection may be about to remove it.
        let _gate = self.0.collector.relying(repository).await;
        let size = upload.commit(repository, expected).await?;
        self.0.collector.lease(repository, expected);
        reserved.settle();
        Ok(size)
    }

    /// Sets bytes aside for what a repository does not hold yet.
    pub(crate) async fn admit(
        &self,
        repository: &Repository,
        bytes: u64,
    ) -> Result<Result<Reserved<'_>, OverQuota>> {
        self.0.ledger.reserve(&self.0.storage, repository, bytes).await
    }

    /// Sets bytes aside for a blob, unless the repository holds it already.
    pub(crate) async fn reserve(
        &self,
        repository: &Repository,
        digest: &Digest,
        bytes: u64,
    ) -> Result<Result<Reserved<'_>, OverQuota>> {
        let ledger = &self.0.ledger;
        let nothing = Reserved { ledger, quotas: Vec::new(), bytes: 0 };
        if ledger.of(repository).is_empty() {
            return Ok(Ok(nothing));
        }
        match self.0.storage.0.blob_size(repository, digest).await? {
            Some(_) => Ok(Ok(nothing)),
            None => self.admit(repository, bytes).await,
        }
    }
}
