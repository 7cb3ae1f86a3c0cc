//! An OCI registry in a library: the distribution specification 1.1.1 and the draft after it,
//! over memory, a directory or a bucket.
//!
//! [`router`] answers requests in process, without a socket; [`serve`] listens. Three rules rest
//! here. A blob is hashed as it arrives and becomes visible, whole and in its repository only,
//! at the end ([`Storage`]). Tags and manifests of one repository change in one atomic step. And
//! no lock is held while a body passes, so that a slow client delays nobody.

mod access;
mod collect;
mod condition;
mod document;
mod error;
mod event;
mod fault;
mod greeting;
mod linger;
mod metrics;
mod mirror;
mod name;
mod path;
mod pattern;
mod problem;
mod progress;
mod query;
mod quota;
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
mod tls;
mod upload;
mod upstream;

pub use access::{Access, Actions, Issuer, Passwords, Rule, TokenSecret, Who};
pub use collect::{Collected, Collection, Retention};
pub use error::Error;
pub use event::{Event, EventAction, Events, Listener};
pub use fault::Faults;
pub use pattern::Pattern;
pub use quota::Quota;
pub use registry::{Config, Limits, MissingReferences, Registry};
pub use router::router;
pub use serve::{serve, serve_tls};
pub use storage::{Bucket, Durability, Lender, Storage};
pub use tls::Tls;
pub use upstream::{Asked, Mirror, PulledBlob, PulledManifest, Unanswered, Upstream};

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;
