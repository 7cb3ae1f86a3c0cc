//! What changes images on their way, and where the blobs of a copy then come from.

use std::io::{self, Read};

use super::{Arrival, Moment, Observer, Origin, Supply};
use crate::{BlobRead, Descriptor, Digest, Document, Index, Manifest, Reference, Result, Verified};

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

    /// What stands beside an image in its index, with how the index lists it. `image` is the image
    /// after all edits, as the index lists it.
    ///
    /// # Errors
    /// If it cannot be made.
    fn beside(&self, image: &Descriptor) -> Result<Option<(Descriptor, Document)>> {
        let _ = image;
        Ok(None)
    }
}

/// The origin's blobs, and those of the edits.
pub(super) struct Supplied<'a> {
    pub(super) origin: &'a dyn Origin,
    pub(super) edits: &'a [Box<dyn Edit>],
    /// Who is told what is read; nobody where the reader tells it himself.
    pub(super) observer: Option<Observer<'a>>,
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
        let opened = match self.edit_with(&blob.digest)? {
            Some(edit) => edit.open(blob),
            None => self.origin.open(blob),
        }?;
        let Some(observer) = self.observer else { return Ok(opened) };
        Ok(opened.by_way_of(|inner| {
            let watched = Watched { inner, blob: blob.clone(), passed: 0, observer };
            Box::new(watched) as Box<dyn Read + Send + '_>
        }))
    }
}

/// Tells how much was read.
struct Watched<'a> {
    inner: Box<dyn Read + Send + 'a>,
    blob: Descriptor,
    passed: u64,
    observer: Observer<'a>,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.passed += count as u64;
        match self.passed == self.blob.size {
            _ if count == 0 => {}
            true => (self.observer)(&self.blob, Moment::Arrived(Arrival::Taken)),
            false => (self.observer)(&self.blob, Moment::Moved(self.passed)),
        }
        Ok(count)
    }
}

impl Supply for Supplied<'_> {
    fn repository(&self, digest: &Digest) -> Option<&Reference> {
        match self.edit_with(digest) {
            Ok(Some(edit)) => edit.repository(digest),
            Ok(None) => self.origin.repository_of(digest),
            Err(_) => None,
        }
    }
}
