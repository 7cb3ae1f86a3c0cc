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
    /// The store behind a bucket failed.
    #[error("{operation} {object}")]
    Bucket {
        /// What was being done, in the imperative.
        operation: &'static str,
        /// The key it was done to.
        object: String,
        /// The store's answer.
        #[source]
        source: Arc<object_store::Error>,
    },
    /// A file of passwords could not be understood.
    #[error("line {line} of the passwords is not `user:bcrypt hash`")]
    InvalidPasswords {
        /// The line, from one.
        line: usize,
    },
    /// A key set could not be understood, or has no key that can be used.
    #[error("invalid key set")]
    InvalidKeys {
        /// Why it was refused.
        #[source]
        source: Option<Arc<serde_json::Error>>,
    },
    /// Certificates or keys could not be used.
    #[error("cannot use the {object} for TLS")]
    Tls {
        /// What could not be used.
        object: &'static str,
        /// Why.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// Another request writes to an upload, or has written to it.
    #[error("another request writes to the upload")]
    Contended,
    /// An upload was finished, cancelled or given up meanwhile.
    #[error("the upload has ended")]
    Ended,
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

    pub(crate) fn bucket(
        operation: &'static str,
        key: &object_store::path::Path,
        source: object_store::Error,
    ) -> Error {
        Error::Bucket { operation, object: key.to_string(), source: Arc::new(source) }
    }

    /// Whether it may go better a little later.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Error::Bucket { source, .. }
            if matches!(**source, object_store::Error::Generic { .. }))
    }

    /// Whether the cause is that no more bytes fit.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Error::Io { source, .. } if matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        ))
    }
}
