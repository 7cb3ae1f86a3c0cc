//! Directories that outlive builds: what `RUN --mount=type=cache` sees.
//!
//! A cache is a directory `mounts/<key>/` below the store's `cache/`, and in it a slot `0`, `1`, …
//! for each user that had to have one of its own. A slot is locked (flock(2)) while it is used,
//! shared or exclusively, so that a lock ends with its process. Slots are made aside and renamed
//! into place; who removes one locks it first, and who has locked one looks whether it is still
//! in its place.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FlockOperation, RenameFlags, flock};
use rustix::io::Errno;

use crate::lease::{Lease, entries};
use crate::store::{Store, move_away};
use crate::{Error, Result, Root};

/// The name below `cache/`.
const MOUNTS: &str = "mounts";

/// What of a slot is mounted.
const CONTENT: &str = "content";

/// How many slots one cache may have: as many processes may use it at once.
const MOST_SLOTS: usize = 1024;

/// Who may use a cache at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CacheSharing {
    /// Everybody, at once.
    Shared,
    /// One; another one who comes meanwhile gets a directory of his own.
    Private,
    /// One; another one has to wait.
    Locked,
}

/// A cache in use. Dropped, it is free for others.
#[derive(Debug)]
pub struct CacheMount {
    /// The directory, or the file, that is to be mounted.
    pub path: PathBuf,
    lock: File,
}

impl Drop for CacheMount {
    fn drop(&mut self) {
        // A process that was forked meanwhile may have the descriptor, too.
        let _ = flock(&self.lock, FlockOperation::Unlock);
    }
}

/// What came of a look at a slot.
enum Slot {
    Taken(CacheMount),
    InUse,
    Missing,
}

impl Store {
    /// The cache `key` (hexadecimal), to be used alone or with others; `None` if it is somebody
    /// else's at the moment: ask again later. A cache that is not there is made: `fill` gets the
    /// root of an empty tree and makes in it, as `content`, what is to be mounted.
    ///
    /// # Errors
    /// Those of `fill`; if the cache cannot be made or locked, or very many use it.
    pub fn cache_mount<E: From<Error>>(
        &self,
        lease: &Lease,
        key: &str,
        sharing: CacheSharing,
        fill: impl FnOnce(&Root) -> Result<(), E>,
    ) -> Result<Option<CacheMount>, E> {
        let cache = self.cache_dir(&format!("{MOUNTS}/{key}"))?;
        let mut in_use = false;
        let mut place = None;
        for number in 0..MOST_SLOTS {
            let slot = cache.join(number.to_string());
            match take(&slot, sharing)? {
                Slot::Taken(mount) => return Ok(Some(mount)),
                Slot::InUse => in_use = true,
                Slot::Missing => {
                    place = Some(slot);
                    break;
                }
            }
        }
        if in_use && sharing == CacheSharing::Locked {
            return Ok(None);
        }
        let Some(place) = place else { return Ok(None) };
        let made = lease.scratch_dir("cache")?;
        let root = Root::open(&made)?;
        fill(&root)?;
        // Whoever was quicker has made the cache: it is asked for again.
        install(&made, &place)?;
        Ok(match take(&place, sharing)? {
            Slot::Taken(mount) => Some(mount),
            Slot::InUse | Slot::Missing => None,
        })
    }
}

/// Locks a slot as `sharing` wants it, if it is free for that.
fn take(slot: &Path, sharing: CacheSharing) -> Result<Slot> {
    let lock = match File::open(slot) {
        Ok(lock) => lock,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Slot::Missing),
        Err(e) => return Err(Error::io("open", slot, e)),
    };
    let how = match sharing {
        CacheSharing::Shared => FlockOperation::NonBlockingLockShared,
        CacheSharing::Private | CacheSharing::Locked => FlockOperation::NonBlockingLockExclusive,
    };
    match flock(&lock, how) {
        Ok(()) if is_at(&lock, slot)? => {
            let path = slot.join(CONTENT);
            if is_missing(&path)? {
                // A process to which it was lent has been killed.
                return forget(slot, &lock);
            }
            Ok(Slot::Taken(CacheMount { path, lock }))
        }
        // Somebody took it away between the two calls.
        Ok(()) => Ok(Slot::Missing),
        Err(Errno::WOULDBLOCK) => Ok(Slot::InUse),
        Err(e) => Err(Error::io("lock", slot, e)),
    }
}

fn is_missing(path: &Path) -> Result<bool> {
    match rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(false),
        Err(Errno::NOENT) => Ok(true),
        Err(e) => Err(Error::io("examine", path, e)),
    }
}

/// Removes a slot that has lost its content, unless somebody else has it at the moment.
fn forget(slot: &Path, lock: &File) -> Result<Slot> {
    match flock(lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => match fs::remove_dir(slot) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("remove", slot, e)),
            _ => Ok(Slot::Missing),
        },
        Err(Errno::WOULDBLOCK) => Ok(Slot::InUse),
        Err(e) => Err(Error::io("lock", slot, e)),
    }
}

/// Whether an open directory still stands where it was opened.
fn is_at(open: &File, path: &Path) -> Result<bool> {
    let failed = |e: Errno| Error::io("examine", path, e);
    let open = rustix::fs::fstat(open).map_err(failed)?;
    match rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok((stat.st_dev, stat.st_ino) == (open.st_dev, open.st_ino)),
        Err(Errno::NOENT) => Ok(false),
        Err(e) => Err(failed(e)),
    }
}

/// Renames what is finished to its place, unless something stands there.
fn install(made: &Path, place: &Path) -> Result<()> {
    match rustix::fs::renameat_with(CWD, made, CWD, place, RenameFlags::NOREPLACE) {
        // The cache's directory is gone when all of it was removed meanwhile.
        Ok(()) | Err(Errno::EXIST | Errno::NOENT) => Ok(()),
        Err(e) => Err(Error::io("rename to", place, e)),
    }
}

/// Moves the caches that nobody uses to the lease's staging directory, and answers how many.
pub(crate) fn prune(store: &Store, lease: &Lease) -> Result<usize> {
    let caches = store.places().cache().join(MOUNTS);
    let mut removed = 0;
    for key in entries(&caches)? {
        let cache = caches.join(key);
        for name in entries(&cache)? {
            let slot = cache.join(name);
            if let Slot::Taken(_held) = take(&slot, CacheSharing::Locked)?
                && move_away(&slot, lease)?
            {
                removed += 1;
            }
        }
        match fs::remove_dir(&cache) {
            Ok(()) => {}
            Err(e) if matches!(e.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::NotFound) => {}
            Err(e) => return Err(Error::io("remove", &cache, e)),
        }
    }
    Ok(removed)
}
