//! Processes that share a store, and what becomes of it when some of them are killed, asked to
//! end, or find the disk full.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod bytes;
mod common;
mod disk_full;
mod kill;
mod signal;
mod together;
