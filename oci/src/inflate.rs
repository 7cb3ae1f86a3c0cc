//! Gzip streams, inflated in libdeflate's manner (RFC 1951, RFC 1952): faster than zlib and its
//! kin, and unlike libdeflate's own decoder on a stream of any length.
//!
//! While there is enough input, [`fast`] decodes several symbols a refill with tables of
//! [`huffman`] and copies matches in large steps; near the end of a buffer [`deflate`] goes on
//! byte by byte, so that nothing is waited for that is not needed.

mod bits;
mod copy;
mod deflate;
mod error;
mod fast;
mod header;
mod huffman;
mod lengths;
mod reader;
mod source;
mod tables;
mod window;

pub use error::Corrupt;
pub use reader::GzipReader;
