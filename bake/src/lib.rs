//! Bake files: what is to be built, as `docker buildx bake` reads it from HCL, JSON and compose
//! files.
//!
//! [`Definitions::read`] takes the texts of files. `syntax` makes expressions of them, HCL and
//! JSON alike; `definitions` finds what a name means when something asks for it; `evaluate` and
//! `functions` compute. What comes out are targets and groups, of which [`Definitions::plan`]
//! picks those that are asked for, with what the command line overrides.
//!
//! The crate reads nothing of the machine: whoever calls it answers for the environment.

mod compose;
mod csv;
mod definitions;
mod error;
mod evaluate;
mod functions;
mod overrides;
mod plan;
mod resolve;
mod surroundings;
mod syntax;
mod target;
mod types;
mod value;

pub use definitions::{Definitions, File, VariableInfo};
pub use error::Error;
pub use plan::{Group, Plan};
pub use surroundings::Surroundings;
pub use target::{Attest, Cache, Export, Secret, Ssh, Target};

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;
