//! Reading on one thread and working on another.

use std::io::{self, BufRead, Read};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

/// How many bytes change hands at once.
const BLOCK: usize = 256 << 10;

/// How many bytes are shown at once: little enough that what is hashed is still in the processor's
/// cache when it is written. A tar's headers never lie across two pieces.
const PIECE: usize = 64 << 10;

/// How many blocks lie between the two.
const BLOCKS: usize = 4;

/// Calls `work` with a reader of what `source` gives, which is read ahead by a thread of its own:
/// while files are made, bytes come in and are inflated. The thread is gone when this returns; it
/// reads no further once the reader is dropped.
pub(super) fn read_ahead<T>(
    source: Box<dyn Read + Send + '_>,
    work: impl FnOnce(&mut dyn BufRead) -> T,
) -> T {
    let (full_sender, full) = bounded(BLOCKS);
    let (empty, empty_receiver) = bounded(BLOCKS);
    thread::scope(|scope| {
        scope.spawn(move || produce(source, &full_sender, &empty_receiver));
        let mut reader = Ahead { full, empty, block: Vec::new(), at: 0, failed: false };
        work(&mut reader)
    })
}

type Block = io::Result<Vec<u8>>;

fn produce(mut source: Box<dyn Read + Send + '_>, full: &Sender<Block>, empty: &Receiver<Vec<u8>>) {
    loop {
        let mut block = empty.try_recv().unwrap_or_default();
        block.resize(BLOCK, 0);
        let (count, end) = fill(&mut *source, &mut block);
        block.truncate(count);
        // The end of the work is no concern of this side.
        if count > 0 && full.send(Ok(block)).is_err() {
            return;
        }
        match end {
            None => {}
            Some(Ok(())) => return,
            Some(Err(error)) => {
                let _ = full.send(Err(error));
                return;
            }
        }
    }
}

/// Reads until the block is full, and else says why it is not.
fn fill(source: &mut dyn Read, block: &mut [u8]) -> (usize, Option<io::Result<()>>) {
    let mut count = 0;
    while count < block.len() {
        match source.read(&mut block[count..]) {
            Ok(0) => return (count, Some(Ok(()))),
            Ok(more) => count += more,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return (count, Some(Err(e))),
        }
    }
    (count, None)
}

struct Ahead {
    full: Receiver<Block>,
    empty: Sender<Vec<u8>>,
    block: Vec<u8>,
    at: usize,
    failed: bool,
}

impl BufRead for Ahead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at == self.block.len() {
            match self.full.recv() {
                Ok(Ok(block)) => {
                    let done = std::mem::replace(&mut self.block, block);
                    self.at = 0;
                    // Nobody takes it when all has been read.
                    let _ = self.empty.try_send(done);
                }
                Ok(Err(error)) => {
                    self.failed = true;
                    return Err(error);
                }
                Err(_) if self.failed => {
                    return Err(io::Error::other("read on after an error"));
                }
                Err(_) => return Ok(&[]),
            }
        }
        let end = (self.at / PIECE + 1) * PIECE;
        Ok(&self.block[self.at..end.min(self.block.len())])
    }

    fn consume(&mut self, count: usize) {
        self.at = (self.at + count).min(self.block.len());
    }
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("broken"))
        }
    }

    #[test]
    fn all_bytes_come_in_order() {
        for size in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK * BLOCKS + 7] {
            let bytes: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            let mut read = Vec::new();
            read_ahead(Box::new(&bytes[..]), |reader| reader.read_to_end(&mut read)).unwrap();
            assert!(read == bytes, "{size}");
        }
    }

    #[test]
    fn an_error_comes_after_the_bytes_before_it_and_is_no_end() {
        let mut read = Vec::new();
        let source = Box::new((&b"some"[..]).chain(Broken));
        read_ahead(source, |reader| {
            assert_eq!(reader.read_to_end(&mut read).unwrap_err().to_string(), "broken");
            assert!(reader.read(&mut [0]).is_err());
        });
        assert_eq!(read, b"some");
    }

    #[test]
    fn who_stops_reading_ends_it() {
        let first = read_ahead(Box::new(io::repeat(7)), |reader| {
            let mut first = [0];
            reader.read_exact(&mut first).unwrap();
            first
        });
        assert_eq!(first, [7]);
    }
}
