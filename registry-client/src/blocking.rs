//! The blocking traits of [`oci`] over a registry: for ordinary threads, beside a runtime of
//! several threads that does the network's work.
//!
//! Neither type may be used on the runtime's own threads: they would wait for themselves.

mod pump;
mod sink;
mod source;

pub use sink::{BlobProgress, Sink, SinkOptions};
pub use source::Source;

use crate::Error;

/// An error of ours in the words of [`oci`].
fn to_oci(error: Error) -> oci::Error {
    match error {
        Error::Content { source: source @ oci::Error::PlatformNotFound { .. }, .. } => source,
        Error::Status { ref call, .. } | Error::Connection { ref call, .. } => {
            let (operation, object) = (call.operation, object_of(call));
            oci::Error::Remote { operation, object, source: Box::new(error) }
        }
        other => oci::Error::Remote {
            operation: "talk to",
            object: "the registry".to_owned(),
            source: Box::new(other),
        },
    }
}

fn object_of(call: &crate::Call) -> String {
    match call.object.as_str() {
        "" => call.place.clone(),
        object => format!("{object} at {}", call.place),
    }
}
