//! Compression of new blobs.

use std::io::{self, Read, Write};
use std::num::NonZeroUsize;

use crate::{Error, LayerCompression, Result};

use super::block::Blocks;
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
}

impl Default for Compression {
    fn default() -> Compression {
        Compression::GZIP
    }
}

/// Compresses what is written to it into `W`.
///
/// The bytes depend on the data and the [`Compression`] alone. Up to `threads` threads are at
/// work besides the caller's, which does all the writing; with one, there is only the caller's.
/// Nothing is complete before [`finish`](Encoder::finish); `flush` does nothing. Dropped
/// instead, it leaves its output cut off and no thread behind.
pub struct Encoder<W>(Inner<W>);

enum Inner<W> {
    Plain(W),
    Blocks(Blocks<W>),
}

impl<W: Write> Encoder<W> {
    /// Begins to compress into `output`.
    ///
    /// # Errors
    /// [`Error::InvalidCompressionLevel`] for a level that there is not; an I/O error if threads
    /// cannot be started.
    pub fn new(compression: Compression, threads: NonZeroUsize, output: W) -> Result<Encoder<W>> {
        let blocks = match compression {
            Compression::None => return Ok(Encoder(Inner::Plain(output))),
            Compression::Gzip { level } => {
                check("gzip", level, &GzipBlocks::LEVELS)?;
                Blocks::new(output, threads, || GzipBlocks::new(level))
            }
            Compression::Zstd { level } => {
                check("zstd", level, &ZstdBlocks::LEVELS)?;
                Blocks::new(output, threads, || ZstdBlocks::new(level))
            }
        };
        match blocks {
            Ok(blocks) => Ok(Encoder(Inner::Blocks(blocks))),
            Err(e) => Err(Error::io("start", "compression", e)),
        }
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
