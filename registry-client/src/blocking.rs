//! The blocking traits of [`oci`] over a registry: for ordinary threads, beside a runtime of
//! several threads that does the network's work.
//!
//! Neither type may be used on the runtime's own threads: they would wait for themselves.

mod chunks;
mod growing;
mod pump;
mod repository;
mod sink;
mod source;

pub use growing::{EarlyUploads, GrowingBlob};
pub use repository::{RepositoryDestination, RepositoryOrigin};
pub use sink::{BlobProgress, Sink, SinkOptions};
pub use source::Source;

use crate::Error;

/// An error of ours in the words of [`oci`]; `operation` says what all of it was for.
fn to_oci(operation: &'static str, registry: &str, error: Error) -> oci::Error {
    match error {
        Error::Content { source, .. } if matches!(*source, oci::Error::PlatformNotFound { .. }) => {
            *source
        }
        other => {
            oci::Error::Remote { operation, object: registry.to_owned(), source: Box::new(other) }
        }
    }
}
