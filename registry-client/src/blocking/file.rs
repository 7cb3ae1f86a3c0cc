//! A file behind a URL, as a reader.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use tokio::runtime::Handle;

use crate::Download;

/// Reads a [`Download`]. What has arrived and is not read yet waits in the connection.
#[derive(Debug)]
pub struct FileReader {
    handle: Handle,
    download: Download,
    chunk: Bytes,
}

impl FileReader {
    /// A reader that waits on the runtime of `handle`.
    pub fn new(download: Download, handle: Handle) -> FileReader {
        FileReader { handle, download, chunk: Bytes::new() }
    }
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.handle.block_on(self.download.chunk()) {
                Ok(Some(chunk)) => self.chunk = chunk,
                Ok(None) => return Ok(0),
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        let count = buffer.len().min(self.chunk.len());
        self.chunk.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
