//! Trees: layers as directories, their tars, and their stacks. The kernel's part is tested for
//! real, so this needs root or a user namespace, and a temporary directory on a file system that
//! overlayfs takes.

#![allow(clippy::unwrap_used)]

mod archive;
mod cases;
mod conformance;
mod copies;
mod extraction;
mod listing;
mod overlay;
mod root;
mod rootless;
mod round_trip;
mod scratch;
