//! Copies of images, indexes and artifacts from one place to another, byte for byte.
//!
//! A place to copy from is an [`Origin`], one to copy to a [`Destination`]; [`Copier`] brings
//! the two together and knows neither. [`ArchiveOrigin`], [`DirOrigin`], [`LayoutDestination`],
//! [`ArchiveDestination`] and [`DirDestination`] are files; registries and the store implement
//! the traits where they are at home. What changes on the way is an [`Edit`].

mod archive;
mod copier;
mod dir;
mod edit;
mod joined;
mod layout;
mod recompress;
mod rewrite;
mod tree;

use crate::{BlobRead, Descriptor, Digest, Document, Reference, Result};

pub use archive::{ArchiveDestination, ArchiveName, ArchiveOrigin};
pub use copier::{Copied, Copier, CopyOptions, Moment, Observer};
pub use dir::{DirDestination, DirOrigin};
pub use edit::Edit;
pub use joined::Joined;
pub use layout::LayoutDestination;
pub use recompress::Recompression;
pub use rewrite::ManifestFormat;
pub use tree::{Platforms, image_for};

/// A place that something is copied from: one image, index or artifact, and what belongs to it.
pub trait Origin: BlobRead {
    /// What is copied.
    ///
    /// # Errors
    /// [`Error::ImageNotFound`](crate::Error::ImageNotFound) if it is not there.
    fn root(&self) -> Result<Document>;

    /// A document that the root leads to.
    ///
    /// # Errors
    /// If it is not there or is not what the descriptor says.
    fn document(&self, descriptor: &Descriptor) -> Result<Document>;

    /// The manifests that name `subject` as theirs; none where the place cannot tell.
    ///
    /// # Errors
    /// If the list cannot be read.
    fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>>;

    /// The repository of a registry that this is; a blob may be mounted from there.
    fn repository(&self) -> Option<&Reference> {
        None
    }

    /// The repository that has this blob, where it comes out of one.
    fn repository_of(&self, digest: &Digest) -> Option<&Reference> {
        let _ = digest;
        self.repository()
    }
}

/// A place that something is copied to, under one name.
///
/// Blobs come first, several at once and in any order; then documents, each after those that it
/// lists, the root after all of them, and referrers last. Nothing is visible under the name
/// before the root is there and, for files that are written as one stream, before
/// [`finish`](Destination::finish).
pub trait Destination: Sync {
    /// Whether the name means exactly this root already, and the place has its parts, the
    /// documents below it. A place that has a document has its blobs.
    ///
    /// # Errors
    /// If the place does not say.
    fn is_there(&self, root: &Descriptor, parts: &[&Descriptor]) -> Result<bool>;

    /// Takes a blob that `supply` has, unless it is there; `moved` is told how far it is.
    ///
    /// # Errors
    /// If it cannot be read or written.
    fn put_blob(
        &self,
        blob: &Descriptor,
        supply: &dyn Supply,
        moved: &(dyn Fn(u64) + Sync),
    ) -> Result<Arrival>;

    /// Takes a document; the blobs that it lists were put, or are taken now out of `supply`.
    ///
    /// # Errors
    /// If the place cannot hold such a document, or it cannot be written.
    fn put_document(
        &self,
        document: &Document,
        standing: Standing,
        supply: &dyn Supply,
    ) -> Result<()>;

    /// Ends the copy.
    ///
    /// # Errors
    /// If what is missing cannot be written.
    fn finish(&self) -> Result<()>;
}

/// Where a destination gets blobs.
pub trait Supply: BlobRead {
    /// A repository that has this very blob, where it comes out of one.
    fn repository(&self, digest: &Digest) -> Option<&Reference>;
}

/// What became of a blob that a destination was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// It was there.
    Present,
    /// The registry took it from another of its repositories.
    Mounted,
    /// Its bytes were taken.
    Taken,
    /// It is taken with the manifest that lists it.
    WithManifest,
}

/// What a document is within a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// What the name means.
    Root,
    /// Something that an index lists.
    Part,
    /// Something that refers to another as its subject.
    Referrer,
}
