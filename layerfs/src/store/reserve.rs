//! A little room that is kept, so that a full disk can be pruned: to forget something is to write,
//! too.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};

use crate::{Error, Result};

/// Enough for the database's log of a prune, and a lease.
const SIZE: u64 = 1 << 20;

/// Sees to it that the reserve is there. Best effort: a store on a disk that is full, or whose
/// file system cannot promise room, works without.
pub(crate) fn keep(path: &Path) {
    let made = File::create_new(path)
        .and_then(|file| Ok(fallocate(&file, FallocateFlags::empty(), 0, SIZE)?));
    match made {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => {
            tracing::debug!(%error, "no room is kept for pruning");
            // An empty one would not be filled later.
            let _ = fs::remove_file(path);
        }
        Ok(()) => {}
    }
}

/// Gives the room up; says whether there was any.
pub(crate) fn release(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("remove", path, error)),
    }
}
