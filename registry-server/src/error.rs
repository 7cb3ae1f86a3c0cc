//! What can go wrong below HTTP.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An error of the registry's storage or of its sockets. What a client did wrong is answered to
/// the client and is none of these. It can be cloned: requests that share one write share its
/// failure.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Input or output failed.
    #[error("{operation} {object}")]
    Io {
        /// What was being done, in the imperative.
        operation: &'static str,
        /// What it was done to.
        object: String,
        /// The system's answer.
        #[source]
        source: Arc<io::Error>,
    },
    /// Another process serves the directory.
    #[error("{} is being served by another process", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The index of a repository could not be understood.
    #[error("invalid image index {}", path.display())]
    InvalidIndex {
        /// The file.
        path: PathBuf,
        /// Why it was refused.
        #[source]
        source: Arc<serde_json::Error>,
    },
    /// A task of ours ended before it had done its work.
    #[error("{operation} was interrupted")]
    Interrupted {
        /// What was being done.
        operation: &'static str,
    },
}

impl Error {
    pub(crate) fn io(
        operation: &'static str,
        object: impl Into<String>,
        source: io::Error,
    ) -> Error {
        Error::Io { operation, object: object.into(), source: Arc::new(source) }
    }

    pub(crate) fn at(operation: &'static str, path: &Path, source: io::Error) -> Error {
        Error::io(operation, path.display().to_string(), source)
    }

    /// Whether the cause is that no more bytes fit.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Error::Io { source, .. } if matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        ))
    }
}
