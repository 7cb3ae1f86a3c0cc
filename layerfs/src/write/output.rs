//! Gathers the pieces of an archive into large writes.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use crate::apply::BLOCK;
use crate::{Error, Result};

/// How much is written at once, in bytes.
const BUFFER: usize = 256 * 1024;

/// The archive being written.
pub(super) struct Output<'w> {
    out: &'w mut dyn Write,
    buffer: Box<[u8]>,
    filled: usize,
}

impl<'w> Output<'w> {
    pub(super) fn new(out: &'w mut dyn Write) -> Output<'w> {
        Output { out, buffer: vec![0; BUFFER].into_boxed_slice(), filled: 0 }
    }

    pub(super) fn put(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            if self.filled == self.buffer.len() {
                self.flush()?;
            }
            let take = bytes.len().min(self.buffer.len() - self.filled);
            self.buffer[self.filled..self.filled + take].copy_from_slice(&bytes[..take]);
            self.filled += take;
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
            if self.filled == self.buffer.len() {
                self.flush()?;
            }
            let room = &mut self.buffer[self.filled..];
            let want = usize::try_from(left).map_or(room.len(), |left| left.min(room.len()));
            match file.read(&mut room[..want]) {
                Ok(0) => {
                    let short = "the file became shorter while it was read";
                    return Err(failed(io::Error::new(io::ErrorKind::UnexpectedEof, short)));
                }
                Ok(n) => {
                    self.filled += n;
                    left -= n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(failed(e)),
            }
        }
        self.pad(size)
    }

    /// Writes the end of the archive and all that is still in the buffer.
    pub(super) fn finish(mut self) -> Result<()> {
        self.put(&[0; 2 * BLOCK])?;
        self.flush()?;
        self.out.flush().map_err(|source| Error::WriteArchive { source })
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        let over = (size % BLOCK as u64) as usize;
        if over == 0 { Ok(()) } else { self.put(&[0; BLOCK][over..]) }
    }

    fn flush(&mut self) -> Result<()> {
        self.out
            .write_all(&self.buffer[..self.filled])
            .map_err(|source| Error::WriteArchive { source })?;
        self.filled = 0;
        Ok(())
    }
}
