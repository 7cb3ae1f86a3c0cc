//! Compression of new blobs.

use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::{Error, LayerCompression, Result};

use super::block::{Blocks, Pool};
use super::gzip::GzipBlocks;
use super::zstd::ZstdBlocks;

/// How to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    None,
    /// Gzip, what every engine and registry takes.
    Gzip {
        /// From 1, fast, to 12, small.
        level: u8,
    },
    /// Zstandard, smaller and faster to read; OCI only, and unknown to old engines.
    Zstd {
        /// From 1, fast, to 19, small.
        level: u8,
    },
}

impl Compression {
    /// Gzip at the level that pushes fastest at about the size of `gzip -6`.
    pub const GZIP: Compression = Compression::Gzip { level: 1 };
    /// Zstandard at its usual level.
    pub const ZSTD: Compression = Compression::Zstd { level: 3 };

    /// The kind of layer that comes out.
    pub fn layer_compression(self) -> LayerCompression {
        match self {
            Compression::None => LayerCompression::None,
            Compression::Gzip { .. } => LayerCompression::Gzip,
            Compression::Zstd { .. } => LayerCompression::Zstd,
        }
    }

    /// Names the encoder with its level and its version: the same data and the same name give
    /// the same bytes. `None` where nothing is compressed.
    pub fn encoder(self) -> Option<String> {
        match self {
            Compression::None => None,
            Compression::Gzip { level } => Some(format!("gzip {level} {}", GzipBlocks::LIBRARY)),
            Compression::Zstd { level } => Some(format!("zstd {level} {}", ZstdBlocks::library())),
        }
    }
}

impl Default for Compression {
    fn default() -> Compression {
        Compression::GZIP
    }
}

/// Threads that compress for any number of [`Encoder`]s at once, with bounded memory: at most
/// 32 MiB for blocks, however many threads and encoders there are. Clones share them.
#[derive(Clone)]
pub struct Encoders(Option<Arc<Pool>>);

impl Encoders {
    /// Starts up to `threads` threads.
    ///
    /// # Errors
    /// [`Error::InvalidCompressionLevel`] for a level that there is not; an I/O error if threads
    /// cannot be started.
    pub fn new(compression: Compression, threads: NonZeroUsize) -> Result<Encoders> {
        let pool = match compression {
            Compression::None => return Ok(Encoders(None)),
            Compression::Gzip { level } => {
                check("gzip", level, &GzipBlocks::LEVELS)?;
                Pool::new(threads, || GzipBlocks::new(level))
            }
            Compression::Zstd { level } => {
                check("zstd", level, &ZstdBlocks::LEVELS)?;
                Pool::new(threads, || ZstdBlocks::new(level))
            }
        };
        match pool {
            Ok(pool) => Ok(Encoders(Some(pool))),
            Err(e) => Err(Error::io("start", "compression", e)),
        }
    }

    /// Begins to compress into `output`.
    pub fn encoder<W: Write>(&self, output: W) -> Encoder<W> {
        Encoder(match &self.0 {
            None => Inner::Plain(output),
            Some(pool) => Inner::Blocks(Blocks::new(output, Arc::clone(pool))),
        })
    }
}

/// Compresses what is written to it into `W`.
///
/// The bytes depend on the data and the [`Compression`] alone. All writing is the caller's
/// thread's, whatever number of others is at work. Nothing is complete before
/// [`finish`](Encoder::finish); `flush` does nothing. Dropped instead, it leaves its output cut
/// off and nothing on its way.
pub struct Encoder<W>(Inner<W>);

enum Inner<W> {
    Plain(W),
    Blocks(Blocks<W>),
}

impl<W: Write> Encoder<W> {
    /// Begins to compress into `output` with [`Encoders`] of its own.
    ///
    /// # Errors
    /// As [`Encoders::new`].
    pub fn new(compression: Compression, threads: NonZeroUsize, output: W) -> Result<Encoder<W>> {
        Ok(Encoders::new(compression, threads)?.encoder(output))
    }

    /// Writes what is left and gives the output back, flushed.
    ///
    /// # Errors
    /// If the output fails.
    pub fn finish(self) -> io::Result<W> {
        match self.0 {
            Inner::Plain(mut output) => output.flush().map(|()| output),
            Inner::Blocks(blocks) => blocks.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Inner::Plain(output) => output.write(bytes),
            Inner::Blocks(blocks) => blocks.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Compresses `input` into `output` with up to `threads` threads (see [`Encoder`]) and answers
/// with the number of bytes read.
///
/// # Errors
/// If reading or writing fails, and as [`Encoder::new`].
pub fn compress(
    compression: Compression,
    threads: NonZeroUsize,
    input: &mut dyn Read,
    output: &mut dyn Write,
) -> Result<u64> {
    let failed = |e| Error::io("write", "compressed data", e);
    let mut encoder = Encoder::new(compression, threads, output)?;
    let mut buffer = vec![0; 128 << 10];
    let mut total = 0;
    loop {
        match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                encoder.write_all(&buffer[..count]).map_err(failed)?;
                total += count as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::io("read", "data to compress", e)),
        }
    }
    encoder.finish().map_err(failed)?;
    Ok(total)
}

fn check(format: &'static str, level: u8, levels: &std::ops::RangeInclusive<u8>) -> Result<()> {
    if levels.contains(&level) {
        return Ok(());
    }
    Err(Error::InvalidCompressionLevel { format, level, best: *levels.end() })
}
