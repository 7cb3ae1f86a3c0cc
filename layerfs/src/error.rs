//! What can go wrong with a store and its trees.

use std::io;
use std::path::{Path, PathBuf};

use oci::{DiffId, Digest};

use crate::{EntryFault, Malformed};

/// An error that names the object it is about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something inside a tree could not be done.
    #[error("cannot {operation} {}", Shown(path))]
    Tree {
        /// What was being done, in the imperative.
        operation: &'static str,
        /// What it was done to, as seen from the tree's root.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// An archive could not be read.
    #[error("cannot read the archive at byte {offset}")]
    ReadArchive {
        /// Where, in the uncompressed archive.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An archive is no archive, or none that we take.
    #[error("malformed archive at byte {offset}")]
    MalformedArchive {
        /// Where, in the uncompressed archive.
        offset: u64,
        /// What is wrong.
        #[source]
        source: Malformed,
    },
    /// An archive's entry is refused.
    #[error("refused entry {}", Shown(entry))]
    Entry {
        /// The entry's name.
        entry: PathBuf,
        /// Why.
        #[source]
        source: EntryFault,
    },
    /// An archive could not be written to where it goes.
    #[error("cannot write the archive")]
    WriteArchive {
        /// What the writer answered.
        #[source]
        source: io::Error,
    },
    /// A file of a layer has a name that means a whiteout in a layer's archive.
    #[error("{} cannot be part of a layer: its name is reserved for whiteouts", Shown(path))]
    ReservedName {
        /// The path as seen from the root of the layer.
        path: PathBuf,
    },
    /// The kernel refused to assemble a snapshot.
    #[error("cannot {operation} the overlay of {layers} layers")]
    Mount {
        /// What was being done, as it stands after "cannot".
        operation: &'static str,
        /// How many layers it has.
        layers: usize,
        /// What the kernel answered.
        #[source]
        source: io::Error,
    },
    /// More layers than the kernel stacks.
    #[error("cannot stack {layers} layers, the kernel takes {limit}")]
    TooManyLayers {
        /// How many were asked for.
        layers: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Input or output failed.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was being done, in the imperative.
        operation: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A document or blob is not what it should be.
    #[error(transparent)]
    Oci(#[from] oci::Error),
    /// The database refused an operation.
    #[error("cannot {operation} in {}", path.display())]
    State {
        /// What was being done, in the imperative.
        operation: &'static str,
        /// The database's file.
        path: PathBuf,
        /// The database's answer.
        #[source]
        source: rusqlite::Error,
    },
    /// The database is no database any more.
    #[error("the store's database {} is damaged", path.display())]
    StateDamaged {
        /// The database's file.
        path: PathBuf,
        /// How it was noticed.
        #[source]
        source: rusqlite::Error,
    },
    /// A value in the database is none that we write.
    #[error("the store's database holds an invalid {column} `{value}`")]
    StateValue {
        /// Where it stands.
        column: &'static str,
        /// The value.
        value: String,
    },
    /// The store was made by a newer version of this program.
    #[error(
        "the store's database {} has version {found}, and this program knows {known}",
        path.display()
    )]
    StateTooNew {
        /// The database's file.
        path: PathBuf,
        /// The version that it says.
        found: i64,
        /// The newest version that we know.
        known: i64,
    },
    /// No image goes by this name or id.
    #[error("no such image: {name}")]
    ImageNotFound {
        /// What was looked up.
        name: String,
    },
    /// An id's prefix means several objects.
    #[error("`{prefix}` is the beginning of {count} {kind} ids")]
    AmbiguousId {
        /// `image` or `container`.
        kind: &'static str,
        /// What was looked up.
        prefix: String,
        /// How many it could mean.
        count: usize,
    },
    /// An image cannot be removed because a container is based on it.
    #[error("image {image} is in use by container {container}")]
    ImageInUse {
        /// The image's id.
        image: Digest,
        /// The container's name.
        container: String,
    },
    /// No container goes by this name or id.
    #[error("no such container: {name}")]
    ContainerNotFound {
        /// What was looked up.
        name: String,
    },
    /// A container's name is taken.
    #[error("the name `{name}` is in use by container {id}")]
    ContainerNameInUse {
        /// The name.
        name: String,
        /// The id of the container that has it.
        id: String,
    },
    /// A text that cannot be a container's name.
    #[error("invalid container name `{name}`: only [a-zA-Z0-9][a-zA-Z0-9_.-]+ are allowed")]
    InvalidContainerName {
        /// The text as given.
        name: String,
    },
    /// A container cannot be removed while it runs.
    #[error("container {id} is running")]
    ContainerRunning {
        /// Its id.
        id: String,
    },
    /// No volume goes by this name.
    #[error("no such volume: {name}")]
    VolumeNotFound {
        /// What was looked up.
        name: String,
    },
    /// A volume cannot be removed while a container uses it.
    #[error("volume {name} is in use by container {}", containers.join(", "))]
    VolumeInUse {
        /// The volume.
        name: String,
        /// Ids of containers.
        containers: Vec<String>,
    },
    /// A text that cannot be a volume's name.
    #[error("invalid volume name `{name}`: only [a-zA-Z0-9][a-zA-Z0-9_.-]+ are allowed")]
    InvalidVolumeName {
        /// The text as given.
        name: String,
    },
    /// A layer is not unpacked in the store.
    #[error("layer {diff_id} is not in the store")]
    LayerNotFound {
        /// The layer.
        diff_id: DiffId,
    },
    /// A blob of a manifest's list of layers is none that can be unpacked.
    #[error("{digest} of type `{media_type}` is no layer that can be unpacked")]
    NotALayer {
        /// The blob.
        digest: Digest,
        /// Its media type.
        media_type: String,
    },
    /// A layer's blob holds another tar than the image's config says.
    #[error("layer {blob} should unpack to {expected} and is {actual}")]
    DiffIdMismatch {
        /// The blob.
        blob: Digest,
        /// The DiffID in the config.
        expected: DiffId,
        /// The digest of the tar that came out.
        actual: DiffId,
    },
    /// The tar written from a layer's directory is not the tar that the layer was made of.
    #[error("layer {diff_id} cannot be written again: its directory now gives {actual}")]
    LayerNotReproducible {
        /// The layer.
        diff_id: DiffId,
        /// The digest of the tar that came out.
        actual: DiffId,
    },
    /// Manifest and config disagree about the number of layers.
    #[error("manifest {manifest} lists {blobs} layers and its config {diff_ids}")]
    LayerCountMismatch {
        /// The manifest, or the config where there is no manifest.
        manifest: Digest,
        /// Layers in the manifest.
        blobs: usize,
        /// DiffIDs in the config.
        diff_ids: usize,
    },
    /// The work was given up because a part of it failed elsewhere.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// What kind of answer the system gave, if that is what went wrong.
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        match self {
            Error::Io { source, .. }
            | Error::Tree { source, .. }
            | Error::ReadArchive { source, .. } => Some(source.kind()),
            _ => None,
        }
    }

    /// Whether there was no room, in the file system or for the database.
    pub fn is_storage_full(&self) -> bool {
        match self {
            Error::State { source, .. } => {
                source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
            }
            error => error.io_kind() == Some(io::ErrorKind::StorageFull),
        }
    }

    /// An error inside a tree, with what was being done to what.
    pub(crate) fn tree(
        operation: &'static str,
        path: impl AsRef<Path>,
        source: impl Into<io::Error>,
    ) -> Error {
        Error::Tree { operation, path: path.as_ref().to_owned(), source: source.into() }
    }

    /// An I/O error with what was being done to what.
    pub(crate) fn io(
        operation: &'static str,
        path: impl AsRef<Path>,
        source: impl Into<io::Error>,
    ) -> Error {
        Error::Io { operation, path: path.as_ref().to_owned(), source: source.into() }
    }
}

/// A path of a tree as people see it. Its bytes are somebody else's, so what would move the
/// terminal's cursor is written out.
struct Shown<'a>(&'a Path);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("`")?;
        for c in self.0.to_string_lossy().chars() {
            match c.is_control() {
                true => write!(f, "{}", c.escape_default())?,
                false => write!(f, "{c}")?,
            }
        }
        f.write_str("`")
    }
}
