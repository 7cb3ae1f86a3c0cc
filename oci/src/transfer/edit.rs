//! What changes images on their way, and where the blobs of a copy then come from.

use std::io::Read;

use super::{Origin, Supply};
use crate::{BlobRead, Descriptor, Digest, Index, Manifest, Reference, Result, Verified};

/// A change to the images of a copy. It supplies the blobs that it made or brings along.
///
/// Manifests come before the index that lists them, which is brought up to date with their new
/// digests. What is said about an image (an attestation, an artifact) is left as it is.
pub trait Edit: Supply {
    /// The manifest of an image anew; `blobs` has its blobs.
    ///
    /// # Errors
    /// If the image cannot be changed so, or a blob cannot be read or made.
    fn manifest(&self, manifest: Manifest, blobs: &dyn BlobRead) -> Result<Manifest>;

    /// An index anew; it is left as it is unless an edit is about indexes.
    ///
    /// # Errors
    /// If the index cannot be changed so.
    fn index(&self, index: Index) -> Result<Index> {
        Ok(index)
    }
}

/// The origin's blobs, and those of the edits.
pub(super) struct Supplied<'a> {
    pub(super) origin: &'a dyn Origin,
    pub(super) edits: &'a [Box<dyn Edit>],
}

impl Supplied<'_> {
    fn edit_with(&self, digest: &Digest) -> Result<Option<&dyn Edit>> {
        for edit in self.edits {
            if edit.size(digest)?.is_some() {
                return Ok(Some(&**edit));
            }
        }
        Ok(None)
    }
}

impl BlobRead for Supplied<'_> {
    fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        match self.edit_with(digest)? {
            Some(edit) => edit.size(digest),
            None => self.origin.size(digest),
        }
    }

    fn open(&self, blob: &Descriptor) -> Result<Verified<Box<dyn Read + Send + '_>>> {
        match self.edit_with(&blob.digest)? {
            Some(edit) => edit.open(blob),
            None => self.origin.open(blob),
        }
    }
}

impl Supply for Supplied<'_> {
    fn repository(&self, digest: &Digest) -> Option<&Reference> {
        match self.edit_with(digest) {
            Ok(Some(edit)) => edit.repository(digest),
            Ok(None) => self.origin.repository(),
            Err(_) => None,
        }
    }
}
