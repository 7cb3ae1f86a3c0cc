//! Gzip as independent members (RFC 1952, section 2.2).

use std::io;

use libdeflater::{CompressionLvl, Compressor};

use super::block::BlockCodec;

/// Compresses blocks into gzip members.
pub(super) struct GzipBlocks(Compressor);

impl GzipBlocks {
    /// What makes the bytes, with its version. A test pins the bytes: when they change, so must
    /// this.
    pub(super) const LIBRARY: &str = "libdeflate 1.26";
    /// The levels that there are.
    pub(super) const LEVELS: std::ops::RangeInclusive<u8> = 1..=12;

    pub(super) fn new(level: u8) -> io::Result<GzipBlocks> {
        let level = CompressionLvl::new(level.into())
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(GzipBlocks(Compressor::new(level)))
    }
}

impl BlockCodec for GzipBlocks {
    /// Large enough that the window that each block has to fill anew (32 KiB) costs next to nothing.
    const BLOCK: usize = 1 << 20;

    fn bound(&mut self) -> usize {
        self.0.gzip_compress_bound(Self::BLOCK)
    }

    fn encode(&mut self, block: &[u8], output: &mut [u8]) -> io::Result<usize> {
        self.0.gzip_compress(block, output).map_err(io::Error::other)
    }
}
