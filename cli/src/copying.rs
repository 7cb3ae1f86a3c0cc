//! Copies as the command line asks for them: which place a text names, and the end that it is.

mod carry;
pub(crate) mod editing;
mod ends;
mod location;

pub(crate) use carry::carry;
pub(crate) use ends::{End, archive, destination, origin, stream};
pub(crate) use location::{Location, Pair};
