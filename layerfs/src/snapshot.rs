//! Layers stacked on each other, as one tree.
//!
//! There are three types, so that what is still being written can be nobody's parent: an
//! [`Active`] snapshot is written to, and becomes [`Committed`] by being consumed; a [`View`] is
//! read only. A backend is one file below `snapshot/` and passes the conformance suite of the
//! tests.

mod copy;
mod implicit;
mod overlay;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::change::{Change, DirectoryTimes, Lower, Settled, clamp, settle};
use crate::root::{Root, Timestamp};
use crate::{Error, Result};

pub use copy::CopySnapshotter;
pub use implicit::{LayerOfStack, complete_implicit};
pub use overlay::OverlaySnapshotter;

/// A layer that is complete: a directory in the form that [`apply_layer`](crate::apply_layer)
/// makes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Committed {
    /// The directory, as an absolute path that the caller trusts.
    pub tree: PathBuf,
}

/// Where an active snapshot keeps what is written to it: two directories that exist, on one file
/// system, which nothing else uses. They are absolute paths that the caller trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What is written; it becomes the layer.
    pub upper: PathBuf,
    /// The backend's scratch space, empty. In one that does not mount, who covers parts of the tree
    /// while a process works in it keeps in [`COVERED`] below this what they hide: as `0`, `1`, …
    /// the entries, as `0.place`, … their paths in the tree, and as `0.lent`, … where that comes
    /// from what stands in their place, if it goes back there.
    pub work: PathBuf,
}

/// The directory below [`Place::work`] that is the tree, where snapshots are copies.
pub(crate) const TREE: &str = "tree";

/// The directory below [`Place::work`] for what is covered for a while.
pub const COVERED: &str = "aside";

/// A tree that is written to.
#[derive(Debug)]
pub struct Active {
    /// The tree.
    pub root: Root,
    /// The tree as a mount that is attached nowhere, for `move_mount(2)`; `None` where the backend
    /// does not mount and the tree is a plain directory. The mount lasts as long as this does.
    pub mount: Option<OwnedFd>,
    /// The layers below, lowest first.
    pub layers: Vec<Committed>,
    /// Where the backend keeps what is written.
    pub place: Place,
    /// The directory that what is new in the tree can be written to without a detour: below it
    /// stands at least all that was written so far.
    pub direct: PathBuf,
}

/// A tree that is only read.
#[derive(Debug)]
pub struct View {
    /// The tree.
    pub root: Root,
    /// As [`Active::mount`].
    pub mount: Option<OwnedFd>,
}

/// Whether what is written must survive a crash of the machine before it is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// A build's step, made again after a crash: nothing is synced, also when a process in it asks.
    Volatile,
    /// A container that lives on.
    #[default]
    Durable,
}

/// How snapshots are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SnapshotMode {
    /// By [overlay mounts](OverlaySnapshotter).
    #[default]
    Overlay,
    /// By [copies](CopySnapshotter), where nothing may be mounted.
    Copy,
}

/// Makes trees of layers. Layers are given lowest first.
pub trait Snapshotter: Send + Sync {
    /// A tree to write to, on `layers`. If `place` was used before by the same backend on the same
    /// layers, what was written then is there again.
    ///
    /// # Errors
    /// If the tree cannot be made.
    fn prepare(&self, layers: &[Committed], place: Place, durability: Durability)
    -> Result<Active>;

    /// A tree to read. A backend that does not mount makes it in a directory of `scratch`, which
    /// gives a new empty one each time.
    ///
    /// # Errors
    /// If the tree cannot be made.
    fn view(&self, layers: &[Committed], scratch: Scratch<'_>) -> Result<View>;

    /// A tree to compare with: what [`view`](Snapshotter::view) shows, where a mount can be done
    /// without.
    ///
    /// # Errors
    /// If one of the layers cannot be read.
    fn lower(&self, layers: &[Committed]) -> Result<Lower>;

    /// Brings `place.upper` up to date with what was written to a tree that was
    /// [prepared](Snapshotter::prepare) there on `layers`, also while it is written to. Where the
    /// upper directory is what is written to, there is nothing to do.
    ///
    /// # Errors
    /// If one of the trees cannot be read, or the upper directory not be written.
    fn refresh(&self, layers: &[Committed], place: &Place) -> Result<()>;

    /// What was changed in `active` until now, as [`changes`](crate::changes) lists it.
    ///
    /// # Errors
    /// If one of the trees cannot be read.
    fn changes(&self, active: &Active) -> Result<Vec<Change>>;

    /// Makes what was written to `active` a layer, with no time later than `latest`. It stays
    /// where `active`'s place was, and the caller may move it. Nothing may use the tree any more.
    ///
    /// # Errors
    /// If one of the trees cannot be read, or the layer cannot be made of it.
    fn commit(
        &self,
        active: Active,
        times: DirectoryTimes,
        latest: Option<Timestamp>,
    ) -> Result<(Committed, Settled)>;

    /// Keeps the tree of a snapshot that was committed, whose work directory was `work`, for who
    /// next prepares one on `layers`, which it shows. Says whether it is of use: else the work
    /// directory is waste.
    fn remember(&self, work: &Path, layers: &[Committed]) -> bool;
}

/// Gives a new empty directory each time, on the layers' file system.
pub type Scratch<'a> = &'a dyn Fn() -> Result<PathBuf>;

/// Makes an upper directory into a layer.
fn finish(
    upper: &Path,
    lower: &Lower,
    times: DirectoryTimes,
    latest: Option<Timestamp>,
) -> Result<Settled> {
    let root = Root::open(upper)?;
    let settled = settle(&root, lower, times)?;
    if let Some(latest) = latest {
        clamp(&root, latest).map_err(|e| Error::tree("set the times in", upper, e))?;
    }
    Ok(settled)
}
