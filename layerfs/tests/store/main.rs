//! What a store promises, as seen from outside. The tests mount overlays: they run as root.

mod common;
mod containers;
mod crash;
mod images;
mod layers;
mod prune;
mod records;
mod shared;
