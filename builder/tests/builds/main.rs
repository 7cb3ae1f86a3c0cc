//! Builds for real: processes run, layers are made. These tests run as root, on Linux, and need
//! the static busybox of the package `busybox-static`.

#![allow(clippy::unwrap_used, reason = "what fails in a test's helper fails the test")]

mod again;
mod cache;
mod cases;
mod common;
mod concurrency;
mod fill;
mod lazy;
mod named;
mod remote;
mod reproducible;
