//! Layers that a thread of this process is about to make: others wait for it, and do not fetch
//! the same bytes again.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use oci::DiffId;

use crate::{Error, Result};

/// How often a waiting thread looks whether it should give up.
const PATIENCE: Duration = Duration::from_millis(50);

/// The layers being made.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    busy: Mutex<HashSet<DiffId>>,
    done: Condvar,
}

/// The right to make a layer.
pub(super) struct Claim<'a> {
    layers: &'a InFlight,
    diff_id: &'a DiffId,
}

impl InFlight {
    /// Waits until nobody makes the layer. Then it may be there, and is to be looked for.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when `stop` is raised.
    pub(super) fn claim<'a>(&'a self, diff_id: &'a DiffId, stop: &AtomicBool) -> Result<Claim<'a>> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        while !busy.insert(diff_id.clone()) {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Cancelled);
            }
            let waited = self.done.wait_timeout(busy, PATIENCE);
            busy = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(Claim { layers: self, diff_id })
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut busy = self.layers.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.remove(self.diff_id);
        drop(busy);
        self.layers.done.notify_all();
    }
}
