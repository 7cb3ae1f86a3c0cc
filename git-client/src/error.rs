//! What can go wrong.

use std::error::Error as StdError;
use std::path::{Path, PathBuf};

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a repository's files could not be had. URLs are not part of the messages: who calls knows
/// which of them may be shown.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no URL that requests can be sent to.
    #[error("repositories are fetched over http and https, not over `{scheme}`")]
    Scheme {
        /// What it is instead.
        scheme: String,
    },
    /// The repository has nothing of that name.
    #[error("the repository has no branch, tag or other reference `{reference}`")]
    NoReference {
        /// The name.
        reference: String,
    },
    /// The commit has no such directory.
    #[error("commit {commit} has no directory `{directory}`")]
    NoDirectory {
        /// The commit.
        commit: String,
        /// The directory.
        directory: String,
    },
    /// A submodule cannot be had.
    #[error("cannot fetch the submodule `{path}`")]
    Submodule {
        /// Where it is in the repository.
        path: String,
        /// Why.
        source: Box<Error>,
    },
    /// What the commit says of its submodules makes no sense.
    #[error("the submodule `{path}` cannot be fetched: {reason}")]
    InvalidSubmodule {
        /// Where it is in the repository.
        path: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// Files that cannot be written.
    #[error("the commit has files that cannot be written: {paths}")]
    Unwritable {
        /// The first of them.
        paths: String,
    },
    /// The server, or what it sent.
    #[error("cannot {operation}")]
    Git {
        /// What was being done.
        operation: &'static str,
        /// The cause.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A file of ours.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was being done.
        operation: &'static str,
        /// To what.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The work was ended from outside.
    #[error("it was interrupted")]
    Interrupted,
}

impl Error {
    /// A failure of the library, by what was being done.
    pub(crate) fn git<E: Into<Box<dyn StdError + Send + Sync>>>(
        operation: &'static str,
    ) -> impl FnOnce(E) -> Error {
        move |source| Error::Git { operation, source: source.into() }
    }

    /// A failure of a file, by what was being done.
    pub(crate) fn io(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { operation, path, source }
    }
}
