//! Reading on one thread and working on another.

use std::io::{self, BufRead, Read};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::write::{BUFFER as BLOCK, Blocks};

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
    work: impl FnOnce(&mut (dyn BufRead + Send)) -> T,
) -> T {
    thread::scope(|scope| {
        let (maker, mut reader) = ends();
        scope.spawn(move || produce(source, &maker));
        work(&mut reader)
    })
}

/// Calls `work` with a reader of what `make` makes meanwhile on a thread of its own, and answers
/// what became of either. A reader of something that could not be made to its end fails there; a
/// maker that nobody reads any more fails with [`io::ErrorKind::BrokenPipe`].
pub(super) fn read_made<M: Send, T, E: Send>(
    make: impl FnOnce(&mut dyn Blocks) -> Result<M, E> + Send,
    work: impl FnOnce(&mut dyn BufRead) -> T,
) -> (Result<M, E>, T) {
    thread::scope(|scope| {
        let (mut maker, mut reader) = ends();
        let making = scope.spawn(move || {
            let made = make(&mut maker);
            if made.is_err() {
                let _ = maker.full.send(Err(io::Error::other("what is read was not made whole")));
            }
            made
        });
        let worked = work(&mut reader);
        drop(reader);
        (making.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), worked)
    })
}

type Block = io::Result<Vec<u8>>;

/// What joins two threads.
fn ends() -> (Maker, Ahead) {
    let (full_sender, full) = bounded(BLOCKS);
    let (empty, empty_receiver) = bounded(BLOCKS);
    let maker = Maker { full: full_sender, empty: empty_receiver };
    (maker, Ahead { full, empty, block: Vec::new(), at: 0, failed: false })
}

/// Where the bytes come from.
struct Maker {
    full: Sender<Block>,
    empty: Receiver<Vec<u8>>,
}

impl Blocks for Maker {
    fn exchange(&mut self, full: Vec<u8>) -> io::Result<Vec<u8>> {
        self.full.send(Ok(full)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        // The first that comes back is what the reader began with, which is no block.
        let empty = self.empty.try_iter().find(|block| block.capacity() >= BLOCK);
        let mut empty = empty.unwrap_or_else(|| Vec::with_capacity(BLOCK));
        empty.clear();
        Ok(empty)
    }
}

fn produce(mut source: Box<dyn Read + Send + '_>, maker: &Maker) {
    loop {
        let mut block = maker.empty.try_recv().unwrap_or_default();
        block.resize(BLOCK, 0);
        let (count, end) = fill(&mut *source, &mut block);
        block.truncate(count);
        // The end of the work is no concern of this side.
        if count > 0 && maker.full.send(Ok(block)).is_err() {
            return;
        }
        match end {
            None => {}
            Some(Ok(())) => return,
            Some(Err(error)) => {
                let _ = maker.full.send(Err(error));
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
    fn what_is_made_is_read_and_what_is_not_made_whole_has_no_end() {
        let make = |whole: bool| {
            move |out: &mut dyn Blocks| {
                for part in ["s", "o", "m", "e"] {
                    let empty = out.exchange(part.as_bytes().to_vec())?;
                    assert!(empty.is_empty() && empty.capacity() >= BLOCK);
                }
                if whole { Ok(7) } else { Err(io::Error::other("no more")) }
            }
        };
        let mut read = Vec::new();
        let (made, count) = read_made(make(true), |reader| reader.read_to_end(&mut read));
        assert_eq!((made.unwrap(), count.unwrap(), &read[..]), (7, 4, &b"some"[..]));
        let (made, end) = read_made(make(false), |reader| reader.read_to_end(&mut Vec::new()));
        assert_eq!(made.unwrap_err().to_string(), "no more");
        assert!(end.is_err());
    }

    #[test]
    fn a_maker_that_nobody_reads_is_told() {
        let endless = |out: &mut dyn Blocks| -> io::Result<()> {
            loop {
                out.exchange(vec![0; 10])?;
            }
        };
        let (made, ()) = read_made(endless, |_| ());
        assert_eq!(made.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
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
