//! The client against registries: scripted ones, odd and hostile, and Debian's docker-registry.

// Helpers stand outside of test functions, and a test says what is wrong by its panic.
#![allow(clippy::unwrap_used)]

mod auth;
mod docker_registry;
mod download;
mod faults;
mod growing;
mod image;
mod lists;
mod page;
mod parts;
mod pull;
mod push;
mod redirects;
mod resume;
mod retry;
mod routes;
mod server;
mod tls;
