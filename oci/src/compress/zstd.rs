//! Zstandard as independent frames (RFC 8878, section 3).

use std::io;

use zstd::bulk::Compressor;

use super::block::BlockCodec;

/// Compresses blocks into zstd frames.
pub(super) struct ZstdBlocks(Compressor<'static>);

impl ZstdBlocks {
    /// The levels that there are; above 19, frames ask their readers for more memory.
    pub(super) const LEVELS: std::ops::RangeInclusive<u8> = 1..=19;

    /// What makes the bytes, with its version.
    pub(super) fn library() -> String {
        format!("libzstd {}", zstd::zstd_safe::version_string())
    }

    pub(super) fn new(level: u8) -> io::Result<ZstdBlocks> {
        Compressor::new(level.into()).map(ZstdBlocks)
    }
}

impl BlockCodec for ZstdBlocks {
    /// Twice the window of the usual levels.
    const BLOCK: usize = 4 << 20;

    fn bound(&mut self) -> usize {
        zstd::zstd_safe::compress_bound(Self::BLOCK)
    }

    fn encode(&mut self, block: &[u8], output: &mut [u8]) -> io::Result<usize> {
        self.0.compress_to_buffer(block, output)
    }
}
