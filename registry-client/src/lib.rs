//! Pulls from and pushes to OCI registries, and never trusts them.
//!
//! [`Client`] is async on tokio and cheap to clone; clones share connections, tokens and the
//! pauses that registries ask for. [`blocking`] joins it to the blocking traits of [`oci`].
//!
//! Three rules rest here. What arrives is checked against its size and digest, and every document
//! has an upper size. Credentials go to the registry they belong to and to the token service that
//! it names, and never along a redirect to another origin. What fails for a reason that passes is
//! tried again, by one policy ([`Retry`]).
//!
//! The crate reads no environment and prints nothing: [`Config`] carries all of it.
//! `cargo run --example look NAME` shows the async calls, `--example copy` the blocking ones.

mod ahead;
pub mod auth;
mod blob;
mod blobs;
pub mod blocking;
mod client;
mod config;
mod content_range;
mod dns;
mod download;
mod error;
mod growing_upload;
mod host;
mod http_client;
mod image;
mod link;
mod manifests;
mod origin;
mod pace;
mod payload;
mod places;
mod rate_limit;
mod referrers;
mod retry;
pub mod routes;
mod spool;
mod tags;
mod transport;
mod trial;
mod unfinished;
mod upload_session;
mod uploads;

pub use blob::Blob;
pub use client::Client;
pub use config::{Config, HostRules, HostTls, Proxies, Timeouts, TrustRoots};
pub use download::{Download, FileRequest};
pub use error::{Call, Error, RegistryError};
pub use image::Known;
pub use manifests::Pushed;
pub use payload::BodySource;
pub use rate_limit::RateLimit;
pub use retry::Retry;
pub use uploads::Uploaded;

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;
