//! The store: blobs, layers, images, build records and containers of one machine's user.
//!
//! Several processes share a store at once. What is made is made in the staging directory of its
//! maker's [`Lease`] and renamed into place within the transaction that records it; no lock is
//! held while bytes flow. A process killed at any point leaves only what the next one sweeps.
//!
//! What is recorded is trusted during the same boot of the machine, and after a loss of power
//! only if it was synced before ([`Store::sync`]).

mod blobs;
mod compressed;
mod container_events;
mod container_state;
mod containers;
mod contents;
mod events;
mod hash_ahead;
mod images;
mod in_flight;
mod layers;
mod lent;
mod making;
mod mount_places;
mod names;
mod places;
mod read_ahead;
mod records;
pub(crate) mod reserve;
mod snapshots;
mod source;
mod transfer;
mod unpack;
mod volumes;

use std::fs::{self, File};
use std::io::Read;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use blobs::StagedBlob;
pub use container_state::{Before, ContainerState, Health, ProcessId, Run};
pub use containers::{Container, ContainerSpec};
pub use contents::Contents;
pub use events::Event;
pub use images::{ImageRecord, NewImage, Untagged};
pub use layers::Layer;
pub use making::{Follower, Onlooker};
pub use records::Record;
pub use snapshots::{BuildSnapshot, CommittedLayer};
pub use transfer::{LayersTogether, StoreDestination, StoreOrigin};
pub use unpack::Progress;
pub use volumes::{Volume, VolumeSpec};

pub(crate) use containers::container_of_row;
pub(crate) use places::{Places, move_away};

use in_flight::InFlight;

use crate::gc;
use crate::lease::{self, Lease};
use crate::state::State;
use crate::state::layers as layer_rows;
use crate::{
    CopySnapshotter, Error, IdMode, OverlaySnapshotter, Result, SnapshotMode, Snapshotter,
};

/// What a store must be told about the machine.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Names this boot of the machine ([`StoreOptions::boot_id`]).
    pub boot: String,
    /// Whether files can belong to anybody, or to one user alone.
    pub ids: IdMode,
    /// How trees of layers are made.
    pub snapshots: SnapshotMode,
    /// How many threads unpack or compress at once.
    pub threads: NonZeroUsize,
}

impl StoreOptions {
    /// The kernel's name for this boot of the machine.
    ///
    /// # Errors
    /// If `/proc` does not say.
    pub fn boot_id() -> Result<String> {
        let path = "/proc/sys/kernel/random/boot_id";
        let text = fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
        Ok(text.trim().to_owned())
    }
}

/// An open store. Clones share one connection; threads may use it at once.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    places: Places,
    state: State,
    snapshotter: Box<dyn Snapshotter>,
    in_flight: InFlight,
    options: StoreOptions,
}

impl Store {
    /// Opens the store at `root`, makes it where there is none, and sweeps what dead processes
    /// left.
    ///
    /// # Errors
    /// If a directory cannot be made, or the database is damaged or of a newer version.
    pub fn open(root: &Path, options: StoreOptions) -> Result<Store> {
        let places = Places::new(root);
        let state_path = places.state();
        if !state_path.try_exists().map_err(|e| Error::io("examine", &state_path, e))? {
            places.make()?;
            reserve::keep(&places.reserve());
        }
        let state = State::open(state_path)?;
        let snapshotter: Box<dyn Snapshotter> = match options.snapshots {
            SnapshotMode::Overlay => Box::new(OverlaySnapshotter { empty: places.empty() }),
            SnapshotMode::Copy => Box::new(CopySnapshotter::default()),
        };
        let store = Store(Arc::new(Inner {
            places,
            state,
            snapshotter,
            in_flight: InFlight::default(),
            options,
        }));
        if let Err(error) = lease::sweep(&store) {
            // No reason to refuse all work; who prunes is told.
            tracing::warn!(%error, "what a dead process left cannot be swept");
        }
        store.forget_lost()?;
        Ok(store)
    }

    /// Begins work that needs something to stay.
    ///
    /// # Errors
    /// If the lease's file or staging directory cannot be made.
    pub fn lease(&self) -> Result<Lease> {
        Lease::acquire(self)
    }

    /// The directory of the store.
    pub fn root(&self) -> &Path {
        self.places().root()
    }

    /// The directory below `cache/` for `purpose`, a plain name: cache mounts, stat indexes. It
    /// is made if it is not there.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn cache_dir(&self, purpose: &str) -> Result<PathBuf> {
        let path = self.places().cache().join(purpose);
        places::make_dir(&path, 0o700)?;
        Ok(path)
    }

    /// Brings everything recorded so far to disk: one `syncfs(2)`, if there is anything to bring.
    /// Call it before the last record of a command; [`put_image`](Store::put_image) does.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn sync(&self) -> Result<()> {
        if self.sync_files()? { self.state().sync() } else { Ok(()) }
    }

    /// Brings layers and blobs to disk, and notes that; says whether there were any.
    pub(crate) fn sync_files(&self) -> Result<bool> {
        let unsynced =
            self.state().read("list what is not synced", |c| Ok(layer_rows::unsynced(c)?))?;
        if unsynced.is_empty() {
            return Ok(false);
        }
        let root = self.root();
        let dir = File::open(root).map_err(|e| Error::io("open", root, e))?;
        rustix::fs::syncfs(&dir).map_err(|e| Error::io("sync", root, e))?;
        self.state()
            .write("note what is synced", |c| Ok(layer_rows::mark_synced(c, &unsynced)?))?;
        Ok(true)
    }

    /// Forgets what an earlier boot wrote and did not sync: its bytes may be anything.
    fn forget_lost(&self) -> Result<()> {
        let boot = &self.0.options.boot;
        if !self.state().read("look for lost layers", |c| Ok(layer_rows::has_lost(c, boot)?))? {
            return Ok(());
        }
        let (layers, blobs) =
            self.state().write("forget lost layers", |c| layer_rows::forget_lost(c, boot))?;
        let lost = gc::Leftovers { layers, blobs, containers: Vec::new() };
        lost.clear_unrecorded(self, &self.lease()?)
    }

    pub(crate) fn places(&self) -> &Places {
        &self.0.places
    }

    pub(crate) fn state(&self) -> &State {
        &self.0.state
    }

    pub(crate) fn snapshotter(&self) -> &dyn Snapshotter {
        &*self.0.snapshotter
    }

    fn in_flight(&self) -> &InFlight {
        &self.0.in_flight
    }

    pub(crate) fn boot(&self) -> &str {
        &self.0.options.boot
    }

    /// How trees of layers are made.
    pub fn snapshots(&self) -> SnapshotMode {
        self.0.options.snapshots
    }

    /// Which owners files can have.
    pub fn ids(&self) -> IdMode {
        self.0.options.ids
    }

    pub(crate) fn threads(&self) -> NonZeroUsize {
        self.0.options.threads
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("root", &self.root()).finish_non_exhaustive()
    }
}

/// `bytes` random bytes, in hexadecimal.
pub(crate) fn random_hex(bytes: usize) -> Result<String> {
    let mut value = vec![0; bytes];
    let path = "/dev/urandom";
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut value))
        .map_err(|e| Error::io("read", path, e))?;
    Ok(value.iter().map(|byte| format!("{byte:02x}")).collect())
}
