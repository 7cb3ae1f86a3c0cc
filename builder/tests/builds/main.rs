//! Builds for real: processes run, layers are made. These tests run as root, on Linux, and need
//! the static busybox of the package `busybox-static`.

mod cache;
mod cases;
mod common;
mod concurrency;
mod lazy;
mod reproducible;
