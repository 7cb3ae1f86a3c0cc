//! One repository's state in memory and in its `index.json`. Changes that come while the index is
//! being written wait together and are written together.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use super::blobs::Blobs;
use super::{file, index};
use crate::name::Repository;
use crate::state::{Change, Refusal, State};
use crate::storage::{SharedState, change, locked, look};
use crate::{Error, Result};

pub(super) struct Repo {
    name: Repository,
    /// Whether an index was ever written.
    exists: AtomicBool,
    /// What everybody sees: the state that is on the disk.
    published: SharedState,
    /// The state with the changes that are being written.
    writer: Mutex<Writer>,
    waiting: Mutex<Vec<Arc<Waiting>>>,
}

struct Writer {
    state: State,
    /// Whether the `oci-layout` file is there.
    marked: bool,
}

struct Waiting {
    change: Change,
    outcome: Mutex<Option<Outcome>>,
}

type Outcome = Result<Result<(), Refusal>>;

impl Repo {
    pub(super) fn new(name: Repository, state: State, exists: bool) -> Repo {
        Repo {
            name,
            exists: AtomicBool::new(exists),
            published: Arc::new(RwLock::new(state.clone())),
            writer: Mutex::new(Writer { state, marked: false }),
            waiting: Mutex::default(),
        }
    }

    pub(super) fn exists(&self) -> bool {
        self.exists.load(Ordering::Acquire)
    }

    pub(super) fn state(&self) -> SharedState {
        self.published.clone()
    }

    /// Makes a change. Blocks until it, or the refusal, is final.
    pub(super) fn commit(&self, blobs: &Blobs, change: Change) -> Outcome {
        let mine = Arc::new(Waiting { change, outcome: Mutex::default() });
        locked(&self.waiting).push(mine.clone());
        let mut writer = locked(&self.writer);
        // Another thread may have written ours together with its own.
        if let Some(outcome) = locked(&mine.outcome).take() {
            return outcome;
        }
        let batch = std::mem::take(&mut *locked(&self.waiting));
        self.write(blobs, &mut writer, &batch);
        drop(writer);
        let outcome = locked(&mine.outcome).take();
        outcome.unwrap_or(Err(Error::Interrupted { operation: "write of an index" }))
    }

    fn write(&self, blobs: &Blobs, writer: &mut Writer, batch: &[Arc<Waiting>]) {
        let mut accepted = Vec::new();
        for waiting in batch {
            match writer.state.check(&waiting.change) {
                Ok(()) => {
                    writer.state.apply(&waiting.change);
                    accepted.push(waiting);
                }
                Err(refusal) => *locked(&waiting.outcome) = Some(Ok(Err(refusal))),
            }
        }
        if accepted.is_empty() {
            return;
        }
        let written = self.write_files(blobs, writer);
        if written.is_ok() {
            let mut published = change(&self.published);
            for waiting in &accepted {
                published.apply(&waiting.change);
            }
            self.exists.store(true, Ordering::Release);
        } else {
            writer.state = look(&self.published).clone();
        }
        for waiting in accepted {
            *locked(&waiting.outcome) = Some(written.clone().map(Ok));
        }
    }

    fn write_files(&self, blobs: &Blobs, writer: &mut Writer) -> Result<()> {
        if !writer.marked {
            let marker: PathBuf = blobs.layout.repository(&self.name).join("oci-layout");
            if file::size(&marker)?.is_none() {
                blobs.staging.replace(&marker, index::OCI_LAYOUT, &blobs.disk)?;
            }
            writer.marked = true;
        }
        let bytes = index::write(&writer.state);
        blobs.staging.replace(&blobs.layout.index(&self.name), &bytes, &blobs.disk)
    }
}
