//! Images in archives: `docker save`'s format and the OCI image layout, in a tar or a directory.
//!
//! [`Archive`] reads whichever there is; [`ArchiveWriter`] streams a tar out, and
//! [`OciLayoutDir`] keeps a directory. Nothing is ever unpacked: a tar is read in place by the
//! offsets of its entries.

mod docker_archive;
mod files;
mod listing;
pub(crate) mod names;
mod oci_layout;
mod oci_layout_dir;
mod open;
mod tar_index;
mod writer;

pub use listing::{Listed, list_tar};
pub use oci_layout_dir::OciLayoutDir;
pub use open::{Archive, ArchivedImage};
pub use writer::{ArchiveFormat, ArchiveWriter};

/// The largest list of images that is read (`index.json`, `manifest.json`), in bytes.
const MAX_LIST: u64 = 16 << 20;
/// The largest manifest or config that is read, in bytes; registries allow 4 MiB.
pub(crate) const MAX_DOCUMENT: u64 = 8 << 20;

pub(crate) fn invalid(reason: impl Into<String>) -> crate::Error {
    crate::Error::InvalidArchive { reason: reason.into() }
}
