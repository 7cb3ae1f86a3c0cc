//! Dockerfile text to image: syntax, instructions, graph, solver.
//!
//! A [`BuildRequest`] goes the way that the modules show. [`stage::parse`] reads the text into
//! instructions with their places, collecting every error. `lower` expands words, resolves base
//! images and makes the graph of steps. `solve` computes a cache key for each step, runs those
//! whose results are not there yet, as many at once as can be, and `assemble` makes the config of
//! the image.
//!
//! The crate never speaks to a registry: who calls it gives it [`BaseImages`]. It reads nothing of
//! the machine but what the request names.

pub mod check;
pub mod diagnostic;
pub mod dockerignore;
pub mod expand;
pub mod glob;
pub mod instruction;
pub mod stage;
pub mod syntax;

mod assemble;
mod build;
mod cache;
mod cancel;
mod cdi;
mod context;
mod environment;
mod error;
mod grants;
mod graph;
mod history;
mod images;
mod include;
mod layers;
mod lower;
mod metadata;
mod named_context;
mod op;
mod paths;
mod progress;
mod provenance;
mod remote;
mod request;
mod select;
mod shared_cache;
mod solve;
mod tree;

pub use build::{Builder, Built};
pub use cancel::Cancel;
pub use cdi::DeviceError;
pub use error::{BuildError, StepCause, StepError};
pub use grants::{Devices, Grants, Secret};
pub use images::{BaseImage, BaseImages};
pub use include::include;
pub use metadata::apply_changes;
pub use named_context::{ContextDirectory, NamedContext, NamedContexts, Origin, RemoteContext};
pub use progress::{Event, Progress, Silent, StepId, Stream};
pub use provenance::{Asked, Material, MaterialKind, Provenance};
pub use remote::{GitSource, NoRemotes, RemoteFile, Remotes, percent_decoded, redacted};
pub use request::{BuildRequest, ImageChanges, NetworkMode, RunSettings, Sandbox, Volume};
pub use shared_cache::{CacheImage, CacheRecords};
