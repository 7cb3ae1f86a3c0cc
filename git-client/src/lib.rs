//! Files of git repositories, fetched over HTTP without git.
//!
//! [`resolve`] asks what a reference means; [`checkout`] fetches one commit, with as little of its
//! history as the server allows, and writes its files. Who calls gives a [`Web`] that carries
//! requests and decides about trust, proxies and credentials: no configuration of git is read, and
//! no program is started, neither to ask for a password nor as a filter.

mod checkout;
mod error;
mod fetch;
mod finish;
mod resolve;
mod submodules;
mod transport;
mod web;

pub use checkout::{Wanted, checkout};
pub use error::{Error, Result};
pub use resolve::resolve;
pub use web::{Response, Web, WebError};
