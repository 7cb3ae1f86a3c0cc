//! What a store promises, as seen from outside. The tests mount overlays: they run as root.

#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

mod cache_mounts;
mod common;
mod containers;
mod crash;
mod events;
mod images;
mod layers;
mod making;
mod model;
mod prune;
mod pulled;
mod records;
mod shared;
