//! What this process knows of open uploads: how far those were that it has just written down, so
//! that the next request on one of them need not ask, and which it is writing to, so that two
//! requests of its own never do that at once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use super::Loaded;
use crate::storage::locked;

/// How many bytes are remembered of all together.
const MOST: usize = 16 << 20;
/// How many turns there are when those that nobody holds are forgotten.
const MANY: usize = 1024;

#[derive(Default)]
pub(in crate::storage::bucket) struct Recent {
    drafts: Mutex<Drafts>,
    turns: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

#[derive(Default)]
struct Drafts {
    by_id: HashMap<String, Loaded>,
    /// Their ids, the oldest first; of some there is nothing left.
    order: VecDeque<String>,
    bytes: usize,
}

/// The right to write to an upload, among the requests of this process.
pub(super) type Turn = OwnedMutexGuard<()>;

impl Recent {
    /// Remembers how far an upload was when it was written down.
    pub(super) fn keep(&self, id: &str, loaded: Loaded) {
        let mut drafts = locked(&self.drafts);
        drafts.forget(id);
        drafts.bytes += loaded.weight();
        drafts.by_id.insert(id.to_owned(), loaded);
        drafts.order.push_back(id.to_owned());
        while drafts.bytes > MOST {
            let Some(oldest) = drafts.order.pop_front() else { break };
            drafts.forget(&oldest);
        }
        if drafts.order.len() > 2 * drafts.by_id.len() + MANY {
            let Drafts { by_id, order, .. } = &mut *drafts;
            order.retain(|id| by_id.contains_key(id));
        }
    }

    /// What is remembered of an upload, once.
    pub(super) fn take(&self, id: &str) -> Option<Loaded> {
        locked(&self.drafts).forget(id)
    }

    /// Waits until no other request of this process writes to an upload, at most `patience`.
    pub(super) async fn turn(&self, id: &str, patience: Duration) -> Option<Turn> {
        let turn = self.turn_of(id);
        tokio::time::timeout(patience, turn.lock_owned()).await.ok()
    }

    fn turn_of(&self, id: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = locked(&self.turns);
        if let Some(turn) = turns.get(id).and_then(Weak::upgrade) {
            return turn;
        }
        if turns.len() >= MANY {
            turns.retain(|_, turn| turn.strong_count() > 0);
        }
        let turn = Arc::default();
        turns.insert(id.to_owned(), Arc::downgrade(&turn));
        turn
    }
}

impl Drafts {
    fn forget(&mut self, id: &str) -> Option<Loaded> {
        let loaded = self.by_id.remove(id)?;
        self.bytes -= loaded.weight();
        Some(loaded)
    }
}
