//! Content store, layers as directories, snapshots, tar to tree and back, diffs.
//!
//! The lower half knows file trees: [`Root`] is the only way into one, [`apply_layer`] makes a
//! layer's directory of its tar and [`write_layer`] the tar of the directory, a [`Snapshotter`]
//! stacks layers, and [`changes`] tells what was written on top. The upper half is the [`Store`]:
//! what of all this is kept, what it is called, and who uses it. A [`Lease`] says that somebody
//! is at work; whatever he has not finished when he is gone, the next one sweeps.

mod apply;
mod cache_mount;
mod change;
mod copy_tree;
mod error;
mod extract;
mod gc;
mod lease;
mod new_files;
mod owner;
mod root;
mod snapshot;
mod stat_index;
mod state;
mod store;
mod whiteout;
mod write;

pub use apply::{Applied, ApplyOptions, EntryFault, IdMode, Malformed, apply_layer};
pub use cache_mount::{CacheMount, CacheSharing};
pub use change::{
    Aspect, Change, ChangeKind, Difference, DirectoryTimes, Entry, Lower, Settled, changes,
    differences, settle,
};
pub use copy_tree::copy_tree;
pub use error::Error;
pub use extract::{ExtractOptions, extract_archive};
pub use gc::{PruneImages, PruneOptions, PruneReport};
pub use lease::Lease;
pub use new_files::NewFiles;
pub use owner::{as_intended, give};
pub use root::{Dir, FileKind, Metadata, Root, Timestamp};
pub use snapshot::{
    Active, COVERED, Committed, CopySnapshotter, Durability, LayerOfStack, OverlaySnapshotter,
    Place, Scratch, SnapshotMode, Snapshotter, View, complete_implicit,
};
pub use stat_index::{FileStat, StatIndex};
pub use store::{
    Before, BuildSnapshot, CommittedLayer, Container, ContainerSpec, ContainerState, Contents,
    Event, Follower, Health, ImageRecord, Layer, LayersTogether, NewImage, Onlooker, ProcessId,
    Progress, Record, Run, Store, StoreDestination, StoreOptions, StoreOrigin, Untagged, Volume,
    VolumeSpec,
};
pub use write::{LinkAtTop, Planted, write_layer, write_tree, write_tree_from, write_trees};

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;
