//! Blocks compressed by several threads, written in order.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};

/// Compresses one block into something that stands alone: the compressed form of the whole is
/// that of its blocks, one after the other.
pub(super) trait BlockCodec: Send + 'static {
    /// How many bytes a block has, the last one excepted.
    const BLOCK: usize;

    /// Appends the compressed form of `block` to `output`.
    fn encode(&mut self, block: &[u8], output: &mut Vec<u8>) -> io::Result<()>;
}

/// Cuts what is written into blocks and passes their compressed forms on, in order.
///
/// Memory is bounded: at most one block more than there are threads is on its way. With one
/// thread, that is the caller's own.
pub(super) struct Blocks<W> {
    output: W,
    block: Vec<u8>,
    block_len: usize,
    workers: Workers,
    /// Blocks being compressed, oldest first.
    in_flight: VecDeque<Receiver<io::Result<Job>>>,
    /// Buffers to use again.
    spare: Vec<Job>,
    any_written: bool,
}

/// A block with room for its compressed form.
#[derive(Default)]
struct Job {
    block: Vec<u8>,
    compressed: Vec<u8>,
}

type Errand = (Job, Sender<io::Result<Job>>);
type Encode = Box<dyn FnMut(&[u8], &mut Vec<u8>) -> io::Result<()> + Send>;

enum Workers {
    Caller(Encode),
    Threads { errands: Option<Sender<Errand>>, handles: Vec<JoinHandle<()>> },
}

impl<W: Write> Blocks<W> {
    /// `codec` makes one codec for each thread.
    pub(super) fn new<C: BlockCodec>(
        output: W,
        threads: NonZeroUsize,
        codec: impl Fn() -> io::Result<C>,
    ) -> io::Result<Blocks<W>> {
        let encoder = || -> io::Result<Encode> {
            let mut codec = codec()?;
            Ok(Box::new(move |block, output| codec.encode(block, output)))
        };
        let workers = if threads.get() == 1 {
            Workers::Caller(encoder()?)
        } else {
            let (errands, queue) = bounded::<Errand>(threads.get());
            let mut workers = Workers::Threads { errands: Some(errands), handles: Vec::new() };
            for _ in 0..threads.get() {
                workers.start(encoder()?, queue.clone())?;
            }
            workers
        };
        Ok(Blocks {
            output,
            block: Vec::with_capacity(C::BLOCK),
            block_len: C::BLOCK,
            workers,
            in_flight: VecDeque::new(),
            spare: Vec::new(),
            any_written: false,
        })
    }

    /// Writes all that is left. An empty whole is one empty block.
    pub(super) fn finish(mut self) -> io::Result<W> {
        if !self.block.is_empty() || !self.any_written {
            self.dispatch()?;
        }
        while self.collect()? {}
        self.output.flush()?;
        Ok(self.output)
    }

    /// Sends the current block off.
    fn dispatch(&mut self) -> io::Result<()> {
        self.any_written = true;
        let mut job = self.spare.pop().unwrap_or_default();
        job.compressed.clear();
        let (errands, limit) = match &mut self.workers {
            Workers::Caller(encode) => {
                encode(&self.block, &mut job.compressed)?;
                self.block.clear();
                self.output.write_all(&job.compressed)?;
                self.spare.push(job);
                return Ok(());
            }
            Workers::Threads { errands, handles } => (errands.clone(), handles.len()),
        };
        job.block.clear();
        job.block.reserve_exact(self.block_len);
        std::mem::swap(&mut job.block, &mut self.block);
        let (done, result) = bounded(1);
        errands.and_then(|errands| errands.send((job, done)).ok()).ok_or_else(worker_gone)?;
        self.in_flight.push_back(result);
        if self.in_flight.len() > limit {
            self.collect()?;
        }
        Ok(())
    }

    /// Writes the oldest block; `false` if there is none.
    fn collect(&mut self) -> io::Result<bool> {
        let Some(result) = self.in_flight.pop_front() else { return Ok(false) };
        let job = result.recv().map_err(|_| worker_gone())??;
        self.output.write_all(&job.compressed)?;
        self.spare.push(job);
        Ok(true)
    }
}

impl<W: Write> Write for Blocks<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.block.len() == self.block_len {
            self.dispatch()?;
        }
        let count = bytes.len().min(self.block_len - self.block.len());
        self.block.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    /// Does nothing: where blocks end depends on the data alone.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Workers {
    fn start(&mut self, mut encode: Encode, queue: Receiver<Errand>) -> io::Result<()> {
        let Workers::Threads { handles, .. } = self else { return Ok(()) };
        let work = move || {
            for (mut job, done) in queue {
                let result = encode(&job.block, &mut job.compressed).map(|()| job);
                // Nobody waits any more if the whole was given up; that is no concern of ours.
                let _ = done.send(result);
            }
        };
        handles.push(thread::Builder::new().name("compress".into()).spawn(work)?);
        Ok(())
    }
}

impl Drop for Workers {
    /// Without errands the threads end; at most the blocks on their way are still compressed.
    fn drop(&mut self) {
        if let Workers::Threads { errands, handles } = self {
            *errands = None;
            for handle in handles.drain(..) {
                // A panic in a thread has shown as a missing result already.
                let _ = handle.join();
            }
        }
    }
}

fn worker_gone() -> io::Error {
    io::Error::other("a compressing thread has died")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Marks each block, and fails or panics on a block of a given first byte.
    struct Marks;

    impl BlockCodec for Marks {
        const BLOCK: usize = 4;

        fn encode(&mut self, block: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
            match block.first() {
                Some(b'!') => return Err(io::Error::other("refused")),
                Some(b'?') => panic!("a bug"),
                _ => {}
            }
            output.push(b'<');
            output.extend_from_slice(block);
            output.push(b'>');
            Ok(())
        }
    }

    fn run(input: &[u8], threads: usize) -> io::Result<String> {
        let threads = NonZeroUsize::new(threads).unwrap();
        let mut blocks = Blocks::new(Vec::new(), threads, || Ok(Marks))?;
        blocks.write_all(input)?;
        blocks.flush()?;
        blocks.finish().map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn blocks_end_where_the_data_says_whoever_compresses_them() {
        for threads in [1, 2, 5] {
            assert_eq!(run(b"", threads).unwrap(), "<>");
            assert_eq!(run(b"abc", threads).unwrap(), "<abc>");
            assert_eq!(run(b"abcd", threads).unwrap(), "<abcd>");
            assert_eq!(run(&b"abcd".repeat(100), threads).unwrap(), "<abcd>".repeat(100));
            assert_eq!(run(b"abcdefghi", threads).unwrap(), "<abcd><efgh><i>");
        }
    }

    #[test]
    fn a_failing_thread_ends_the_whole() {
        for threads in [2, 3] {
            for bad in [&b"!"[..], b"?"] {
                for before in 0..12 {
                    let mut input = b"fine".repeat(before);
                    input.extend_from_slice(bad);
                    input.extend_from_slice(&b"fine".repeat(20));
                    assert!(run(&input, threads).is_err());
                }
            }
        }
    }

    #[test]
    fn a_failing_output_ends_the_whole() {
        struct Full(usize);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let threads = NonZeroUsize::new(3).unwrap();
        let mut blocks = Blocks::new(Full(20), threads, || Ok(Marks)).unwrap();
        let error = blocks.write_all(&b"abcd".repeat(100)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
