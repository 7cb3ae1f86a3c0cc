//! Gathers the pieces of an archive into large writes.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::io::Errno;

use crate::apply::BLOCK;
use crate::{Error, Result};

/// How much is written at once, in bytes.
pub(crate) const BUFFER: usize = 256 * 1024;

/// Takes an archive in full buffers, which change hands and are not copied.
pub(crate) trait Blocks {
    /// Takes what is in `full`, and gives a buffer that is empty and no smaller for it.
    ///
    /// # Errors
    /// Those of whatever is behind it.
    fn exchange(&mut self, full: Vec<u8>) -> io::Result<Vec<u8>>;
}

/// A writer that takes it.
pub(super) struct Written<'w>(pub(super) &'w mut dyn Write);

impl Blocks for Written<'_> {
    fn exchange(&mut self, mut full: Vec<u8>) -> io::Result<Vec<u8>> {
        self.0.write_all(&full)?;
        full.clear();
        Ok(full)
    }
}

/// The archive being written.
pub(super) struct Output<'w> {
    out: &'w mut dyn Blocks,
    /// Never grows beyond its capacity, of which only what is filled is memory that was touched.
    buffer: Vec<u8>,
}

impl<'w> Output<'w> {
    pub(super) fn new(out: &'w mut dyn Blocks) -> Output<'w> {
        Output { out, buffer: Vec::with_capacity(BUFFER) }
    }

    pub(super) fn put(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let take = bytes.len().min(self.room()?);
            self.buffer.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
        }
        Ok(())
    }

    /// Writes `bytes` and zeros up to the next block.
    pub(super) fn put_padded(&mut self, bytes: &[u8]) -> Result<()> {
        self.put(bytes)?;
        self.pad(bytes.len() as u64)
    }

    /// Writes the `size` bytes of `file`, which is at `path`, and zeros up to the next block.
    pub(super) fn copy(&mut self, file: &mut File, size: u64, path: &Path) -> Result<()> {
        let failed = |e| Error::tree("read the file", path, e);
        let mut left = size;
        while left > 0 {
            self.room()?;
            match rustix::io::read(&*file, spare_capacity(&mut self.buffer)) {
                Ok(0) => {
                    let short = "the file became shorter while it was read";
                    return Err(failed(io::Error::new(io::ErrorKind::UnexpectedEof, short)));
                }
                Ok(n) => {
                    // What was added to the file since its size was told is no part of it.
                    let more = (n as u64).saturating_sub(left);
                    self.buffer.truncate(self.buffer.len() - more as usize);
                    left -= n as u64 - more;
                }
                Err(Errno::INTR) => {}
                Err(e) => return Err(failed(e.into())),
            }
        }
        self.pad(size)
    }

    /// Writes the end of the archive and all that is still in the buffer.
    pub(super) fn finish(mut self) -> Result<()> {
        self.put(&[0; 2 * BLOCK])?;
        self.flush()
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        let over = (size % BLOCK as u64) as usize;
        if over == 0 { Ok(()) } else { self.put(&[0; BLOCK][over..]) }
    }

    /// How much the buffer takes, which is written first if it is full.
    fn room(&mut self) -> Result<usize> {
        if self.buffer.len() == self.buffer.capacity() {
            self.flush()?;
        }
        Ok(self.buffer.capacity() - self.buffer.len())
    }

    fn flush(&mut self) -> Result<()> {
        let full = std::mem::take(&mut self.buffer);
        self.buffer = self.out.exchange(full).map_err(|source| Error::WriteArchive { source })?;
        Ok(())
    }
}
