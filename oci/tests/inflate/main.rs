//! What [`GzipReader`](oci::inflate::GzipReader) reads, and what it refuses, compared with flate2
//! on zlib-rs.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod bits;
mod properties;
mod rules;
mod samples;
mod stream;
mod verdict;
