//! The server from outside: by requests, clients, kills and clocks.
//!
//! One program for all of them: linking the server a dozen times takes longer than any test.

mod access;
mod bucket;
mod clients;
mod collect;
mod durability;
mod hostile;
mod kills;
mod lender;
mod listening;
mod load;
mod mirror;
mod paging;
mod process;
mod quota;
mod replicas;
mod sending;
mod spec;
#[path = "../store/mod.rs"]
mod store;
mod tls;
mod uploads;

// Where `store` looks for it, here as in the library's own tests.
use registry_server::Bucket;
