//! An OCI registry in a library: the distribution specification 1.1.1 and the draft after it,
//! over memory or a directory.
//!
//! [`router`] answers requests in process, without a socket; [`serve`] listens. Three rules rest
//! here. A blob is hashed as it arrives and becomes visible, whole and in its repository only,
//! at the end ([`Storage`]). Tags and manifests of one repository change in one atomic step. And
//! no lock is held while a body passes, so that a slow client delays nobody.

mod condition;
mod document;
mod error;
mod linger;
mod name;
mod path;
mod problem;
mod query;
mod range;
mod receive;
mod registry;
mod router;
mod routes;
mod sendfile;
mod serve;
mod session;
mod state;
mod storage;
mod upload;

pub use error::Error;
pub use registry::{Config, Limits, MissingReferences, Registry};
pub use router::router;
pub use serve::serve;
pub use storage::{Durability, Storage};

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;
