//! Leases: who is at work in a store, and what is swept when he is no more.
//!
//! A lease is a file below `leases/` that its process keeps locked with `flock(2)`. The kernel
//! drops the lock when the process ends, however it ends. Everything unfinished stands in the
//! lease's own directory below `staging/`, and what the process uses is pinned in the database
//! under the lease's id; so whoever can take the lock knows that the owner is gone, and removes
//! both.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use oci::{DiffId, Digest};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::state::containers;
use crate::state::pins::{self, PinKind};
use crate::store::{Store, container_of_row, random_hex};
use crate::{Error, Result, Root};

/// How long those are waited for who have been killed and still have to go.
const END_LIMIT: Duration = Duration::from_secs(10);

/// The right to work in a store, held by a live process. While it lives, nobody collects what it
/// made or [pinned](Lease::pin_layer). Dropped, it removes what is left of its staging.
pub struct Lease {
    store: Store,
    id: String,
    staging: PathBuf,
    /// Locked as long as it is open.
    lock: File,
    made: AtomicU64,
    has_pins: AtomicBool,
    /// The layers pinned so far and the sizes of their tars: to pin them again costs nothing.
    layers: Mutex<HashMap<DiffId, u64>>,
    /// Of layers pinned here, which never change: the directories that they do not describe.
    implicit: Mutex<HashMap<DiffId, Arc<[PathBuf]>>>,
}

impl Lease {
    pub(crate) fn acquire(store: &Store) -> Result<Lease> {
        loop {
            let id = random_hex(8)?;
            let path = store.places().lease(&id);
            let lock = File::create_new(&path).map_err(|e| Error::io("create", &path, e))?;
            flock(&lock, FlockOperation::LockExclusive).map_err(|e| Error::io("lock", &path, e))?;
            // A sweeper may have come between the two calls, and taken the file for a dead one's.
            if !is_linked(&lock, &path)? {
                continue;
            }
            let staging = store.places().staging(&id);
            fs::create_dir(&staging).map_err(|e| Error::io("create", &staging, e))?;
            return Ok(Lease {
                store: store.clone(),
                id,
                staging,
                lock,
                made: AtomicU64::new(0),
                has_pins: AtomicBool::new(false),
                layers: Mutex::new(HashMap::new()),
                implicit: Mutex::new(HashMap::new()),
            });
        }
    }

    /// The lease's name, unique in the store.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The store that this lease is for.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// A new name in the lease's staging directory, for something that the caller makes there.
    pub fn scratch_path(&self, purpose: &str) -> PathBuf {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        self.staging.join(format!("{purpose}-{number}"))
    }

    /// A new empty directory in the lease's staging directory. It vanishes with the lease.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn scratch_dir(&self, purpose: &str) -> Result<PathBuf> {
        let path = self.scratch_path(purpose);
        fs::create_dir(&path).map_err(|e| Error::io("create", &path, e))?;
        Ok(path)
    }

    /// Keeps a layer from being collected while the lease lives. Says whether it is there.
    ///
    /// # Errors
    /// If the database fails.
    pub fn pin_layer(&self, diff_id: &DiffId) -> Result<bool> {
        Ok(self.store.pin_layer(self, diff_id)?.is_some())
    }

    /// Keeps a blob from being collected while the lease lives. Says whether it is there.
    ///
    /// # Errors
    /// If the database fails.
    pub fn pin_blob(&self, digest: &Digest) -> Result<bool> {
        Ok(self.store.pin_blob(self, digest)?.is_some())
    }

    /// Adds a pin inside a transaction of the caller's.
    pub(crate) fn pin(
        &self,
        connection: &rusqlite::Connection,
        kind: PinKind,
        digest: &Digest,
    ) -> rusqlite::Result<()> {
        self.has_pins.store(true, Ordering::Relaxed);
        pins::add(connection, &self.id, kind, &digest.to_string())
    }

    /// The sizes of the tars of layers, in the order given, if this lease keeps them all already.
    pub(crate) fn kept_layers(&self, layers: &[DiffId]) -> Option<Vec<u64>> {
        let kept = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        layers.iter().map(|diff_id| kept.get(diff_id).copied()).collect()
    }

    /// Remembers layers that were pinned, once the transaction that did it has ended well.
    pub(crate) fn remember_layers<'a>(&self, layers: impl IntoIterator<Item = (&'a DiffId, u64)>) {
        let mut kept = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(layers.into_iter().map(|(diff_id, size)| (diff_id.clone(), size)));
    }

    /// The directories that a layer does not describe, from `read` the first time. The layer must
    /// be pinned.
    pub(crate) fn implicit_of(
        &self,
        layer: &DiffId,
        read: impl FnOnce() -> Result<Vec<PathBuf>>,
    ) -> Result<Arc<[PathBuf]>> {
        let mut known = self.implicit.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(implicit) = known.get(layer) {
            return Ok(implicit.clone());
        }
        let implicit: Arc<[PathBuf]> = read()?.into();
        known.insert(layer.clone(), implicit.clone());
        Ok(implicit)
    }

    /// Keeps a container for this lease, inside a transaction of the caller's in which it is
    /// nobody else's.
    pub(crate) fn pin_container(
        &self,
        connection: &rusqlite::Connection,
        id: &str,
    ) -> rusqlite::Result<()> {
        self.has_pins.store(true, Ordering::Relaxed);
        pins::add(connection, &self.id, PinKind::Container, id)
    }

    /// Keeps a container no longer, inside a transaction of the caller's.
    pub(crate) fn unpin_container(
        &self,
        connection: &rusqlite::Connection,
        id: &str,
    ) -> rusqlite::Result<()> {
        pins::remove(connection, &self.id, PinKind::Container, id)
    }

    /// Whether another process is at work with a container.
    pub(crate) fn is_others_container(
        &self,
        connection: &rusqlite::Connection,
        id: &str,
    ) -> rusqlite::Result<bool> {
        pins::is_kept_by_others(connection, &self.id, PinKind::Container, id)
    }

    /// Removes a scratch directory before the lease ends; best effort, for the lease's end
    /// removes it anyhow.
    pub(crate) fn discard(&self, path: &Path) {
        if let Err(error) = remove_tree(path) {
            tracing::debug!(%error, path = %path.display(), "scratch directory left for the sweep");
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let has_pins = *self.has_pins.get_mut();
        if let Err(error) = end(&self.store, &self.id, has_pins) {
            // The file stays, without its lock: the next process sweeps.
            tracing::warn!(%error, lease = self.id, "lease left for the next process to sweep");
        }
        let _ = flock(&self.lock, FlockOperation::Unlock);
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Removes all that a lease kept, and last the lease itself. Its lock must be held.
fn end(store: &Store, id: &str, has_pins: bool) -> Result<()> {
    remove_tree(&store.places().staging(id))?;
    if has_pins {
        store.state().write("remove pins", |c| Ok(pins::remove_lease(c, id)?))?;
    }
    let path = store.places().lease(id);
    match fs::remove_file(&path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("remove", &path, e)),
        _ => Ok(()),
    }
}

/// Sweeps after processes that are gone, and answers how many leases that were. Cheap when there
/// is no lease at all.
pub(crate) fn sweep(store: &Store) -> Result<usize> {
    let mut swept = 0;
    for id in entries(&store.places().leases())? {
        let path = store.places().lease(&id);
        let lock = match File::open(&path) {
            Ok(lock) => lock,
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            Err(e) => return Err(Error::io("open", &path, e)),
        };
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => continue,
            Err(e) => return Err(Error::io("lock", &path, e)),
        }
        if is_linked(&lock, &path)? {
            await_containers(store, &id)?;
            end(store, &id, true)?;
            swept += 1;
        }
    }
    Ok(swept)
}

/// Waits for the containers of a process that is gone. They end with it, but by the kernel's hand
/// and a moment later: until then nobody should take them for running, or remove what they still
/// write to.
fn await_containers(store: &Store, lease: &str) -> Result<()> {
    let states = store.state().read("look for containers of a lease", |c| {
        let mut states = Vec::new();
        for id in pins::containers(c, lease)? {
            for row in containers::by_prefix(c, &id, 1)? {
                states.push(container_of_row(store, c, row)?.state);
            }
        }
        Ok(states)
    })?;
    states.into_iter().for_each(|state| state.wait_for_end(END_LIMIT));
    Ok(())
}

/// Sweeps what stands in staging, or is pinned, under no lease at all. That is never the case
/// unless somebody removed files of leases by hand.
pub(crate) fn sweep_strays(store: &Store) -> Result<()> {
    // First what is there, then whether its lease is: a lease's file is there before and after.
    for name in entries(&store.places().all_staging())? {
        if is_gone(&store.places().lease(&name))? {
            remove_tree(&store.places().staging(&name))?;
        }
    }
    for lease in store.state().read("list pins", |c| Ok(pins::leases(c)?))? {
        if is_gone(&store.places().lease(&lease))? {
            store.state().write("remove pins", |c| Ok(pins::remove_lease(c, &lease)?))?;
        }
    }
    Ok(())
}

fn is_gone(path: &Path) -> Result<bool> {
    path.try_exists().map(|there| !there).map_err(|e| Error::io("examine", path, e))
}

/// Whether an open file of ours still has its name.
pub(crate) fn is_linked(file: &File, path: &Path) -> Result<bool> {
    let stat = rustix::fs::fstat(file).map_err(|e| Error::io("examine", path, e))?;
    Ok(stat.st_nlink > 0)
}

/// Names in a directory of ours. A missing directory has none.
pub(crate) fn entries(dir: &Path) -> Result<Vec<String>> {
    let failed = |e: io::Error| Error::io("list", dir, e);
    let list = match fs::read_dir(dir) {
        Ok(list) => list,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(e)),
    };
    let mut names = Vec::new();
    for entry in list {
        // A name that is no UTF-8 is none of ours.
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    Ok(names)
}

/// Removes a tree in a directory of ours, whatever modes and depths it has.
pub(crate) fn remove_tree(path: &Path) -> Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let parent = Root::open(parent)?;
    let until = Instant::now() + END_LIMIT;
    loop {
        match parent.top().remove_tree(name) {
            // A process that is being killed made something in it meanwhile.
            Err(e) if e.kind() == ErrorKind::DirectoryNotEmpty && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(5));
            }
            result => return result.map_err(|e| Error::io("remove", path, e)),
        }
    }
}
