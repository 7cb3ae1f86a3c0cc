//! Gzip as independent members (RFC 1952, section 2.2).

use std::io;

use libdeflater::{CompressionLvl, Compressor};

use super::block::BlockCodec;

/// Compresses blocks into gzip members.
pub(super) struct GzipBlocks(Compressor);

impl GzipBlocks {
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

    fn encode(&mut self, block: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
        let start = output.len();
        output.resize(start + self.0.gzip_compress_bound(block.len()), 0);
        let count = self.0.gzip_compress(block, &mut output[start..]).map_err(io::Error::other)?;
        output.truncate(start + count);
        Ok(())
    }
}
