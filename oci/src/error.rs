//! What can go wrong with the field's documents and blobs.

use std::io;

use crate::{Digest, Platform};

/// An error that names the object it is about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text that should be a digest is none.
    #[error("invalid digest `{text}`: {reason}")]
    InvalidDigest {
        /// The text as given.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A text that should name an image does not.
    #[error("invalid image name `{text}`: {reason}")]
    InvalidReference {
        /// The text as given.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A text that should name a platform does not.
    #[error("invalid platform `{text}`: {reason}")]
    InvalidPlatform {
        /// The text as given.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A document that could not be understood.
    #[error("invalid {kind} {digest}")]
    InvalidDocument {
        /// What the document should be: `manifest`, `image index`, `image config`.
        kind: &'static str,
        /// The digest of its bytes.
        digest: Digest,
        /// Why the JSON was refused.
        #[source]
        source: serde_json::Error,
    },
    /// A document that is well-formed JSON and yet not acceptable.
    #[error("refused {kind} {digest}: {reason}")]
    RefusedDocument {
        /// What the document should be.
        kind: &'static str,
        /// The digest of its bytes.
        digest: Digest,
        /// The rule that it breaks.
        reason: String,
    },
    /// The bytes of a blob are not the bytes that were asked for.
    #[error("blob {expected} arrived with digest {actual}")]
    DigestMismatch {
        /// The digest that was asked for.
        expected: Digest,
        /// The digest of the bytes that came.
        actual: Digest,
    },
    /// A blob has another length than its descriptor says.
    #[error("blob {digest} should have {expected} bytes and has {actual}")]
    SizeMismatch {
        /// The blob.
        digest: Digest,
        /// The size in the descriptor, in bytes.
        expected: u64,
        /// The size found, in bytes; for a blob that is too long, what had come when it was cut.
        actual: u64,
    },
    /// A blob is not there.
    #[error("blob {digest} not found")]
    BlobNotFound {
        /// The blob.
        digest: Digest,
    },
    /// An image is not there.
    #[error("image {name} not found")]
    ImageNotFound {
        /// The name that was looked up.
        name: String,
    },
    /// An index has no image for a platform.
    #[error("{name} has no image for {wanted}, only for {available}")]
    PlatformNotFound {
        /// The name of the index.
        name: String,
        /// The platform asked for.
        wanted: Box<Platform>,
        /// The platforms that it has, separated by commas.
        available: String,
    },
    /// A media type that this operation cannot handle.
    #[error("media type `{media_type}` of {digest} is not supported here")]
    UnsupportedMediaType {
        /// The object.
        digest: Digest,
        /// Its media type.
        media_type: String,
    },
    /// A level of compression that there is not.
    #[error("{format} has no compression level {level}, only 1 to {best}")]
    InvalidCompressionLevel {
        /// The kind of compression.
        format: &'static str,
        /// The level asked for.
        level: u8,
        /// The highest level that there is.
        best: u8,
    },
    /// An archive that could not be understood.
    #[error("invalid image archive: {reason}")]
    InvalidArchive {
        /// What is wrong with it.
        reason: String,
    },
    /// Input or output failed.
    #[error("{operation} {object}")]
    Io {
        /// What was being done: `read`, `write`, `rename`, in the imperative.
        operation: &'static str,
        /// What it was done to.
        object: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A source or sink outside this crate failed.
    #[error("{operation} {object}")]
    Remote {
        /// What was being done, in the imperative.
        operation: &'static str,
        /// What it was done to.
        object: String,
        /// The cause, in the words of the crate that met it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// An I/O error with what was being done to what.
    pub fn io(operation: &'static str, object: impl Into<String>, source: io::Error) -> Error {
        Error::Io { operation, object: object.into(), source }
    }
}

/// Lets an error of ours pass through [`std::io::Read`] and come out as itself again.
impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        match error {
            Error::Io { ref source, .. } => io::Error::new(source.kind(), error),
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        }
    }
}
