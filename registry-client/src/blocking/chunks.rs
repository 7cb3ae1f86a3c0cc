//! What comes in chunks, as a reader.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use tokio::runtime::Handle;

use crate::{Blob, Download, Result};

/// Something that comes in chunks; none is the end.
pub(super) trait Chunks {
    fn next(&mut self, handle: &Handle) -> Result<Option<Bytes>>;
}

impl Chunks for Blob {
    fn next(&mut self, handle: &Handle) -> Result<Option<Bytes>> {
        handle.block_on(self.chunk())
    }
}

impl Chunks for Download {
    fn next(&mut self, handle: &Handle) -> Result<Option<Bytes>> {
        handle.block_on(self.chunk())
    }
}

/// Waits for each chunk. What has arrived and is not read yet waits in the connection, which
/// holds the other side back.
pub(super) struct ChunkReader<C> {
    chunks: C,
    handle: Handle,
    chunk: Bytes,
}

impl<C: Chunks> ChunkReader<C> {
    pub(super) fn new(chunks: C, handle: Handle) -> ChunkReader<C> {
        ChunkReader { chunks, handle, chunk: Bytes::new() }
    }
}

impl<C: Chunks> Read for ChunkReader<C> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // An empty chunk is not the end.
        while self.chunk.is_empty() {
            match self.chunks.next(&self.handle).map_err(io::Error::other)? {
                Some(chunk) => self.chunk = chunk,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.chunk.len());
        self.chunk.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

impl Download {
    /// The bytes as a reader, which waits on the runtime of `handle`.
    pub fn into_reader(self, handle: Handle) -> impl Read + Send {
        ChunkReader::new(self, handle)
    }
}
