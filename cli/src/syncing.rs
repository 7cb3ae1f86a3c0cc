//! Many images brought from registries to registries: what is wanted, and carrying it out.

mod plan;
mod work;

pub(crate) use plan::{Entry, Filter, Kind, Plan};
pub(crate) use work::{Ended, Synced, Worker, expand};
