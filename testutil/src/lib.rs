//! Fixtures and test environments.

mod case;
mod fixture;
mod git;
mod peer;
mod podman;
mod process;
mod registry;
mod scratch;
mod session;
mod tierce;
mod tree;
mod user;
mod web;

pub use case::{Case, Deliberate, Expectation, Request};
pub use fixture::{busybox, busybox_in, debian, debian_in, debian_tar};
pub use git::{COMMIT_TIME, GitServer, git};
pub use peer::{Peer, run, run_ok};
pub use podman::{PODMAN_RUN, PodmanStorage, podman};
pub use process::{processes_with, wait_until};
pub use registry::{DockerRegistry, EmbeddedRegistry};
pub use scratch::Scratch;
pub use session::{Session, terminal};
pub use tierce::{Output, Tierce};
pub use tree::{Entry, tree};
pub use user::{OrdinaryUser, SubordinateIds};
pub use web::{WebAnswer, WebRequest, WebServer};
