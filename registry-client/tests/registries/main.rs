//! The client against registries: scripted ones, odd and hostile, and Debian's docker-registry.

mod auth;
mod docker_registry;
mod image;
mod lists;
mod pull;
mod push;
mod redirects;
mod retry;
mod server;
