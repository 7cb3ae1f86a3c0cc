//! Compression of layers and archives.
//!
//! Reading takes whatever images and archives come in ([`decoder`], [`open_archive`]). Writing
//! ([`compress`], [`Encoder`], [`Encoders`]) cuts the data into blocks of a fixed size that several threads
//! compress independently of each other: the bytes depend on the data and the [`Compression`]
//! alone, never on the number of threads or on timing.

mod block;
mod decode;
mod encode;
mod gzip;
mod open;
mod sniff;
mod zstd;

pub use decode::decoder;
pub use encode::{Compression, Encoder, Encoders, compress};
pub use open::open_archive;
pub use sniff::{Format, sniff};
