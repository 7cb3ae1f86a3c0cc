//! Blocks compressed by a pool of threads, written in order.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};

/// How many bytes all blocks of a pool and their compressed forms may take.
const MEMORY: usize = 32 << 20;

/// Compresses one block into something that stands alone: the compressed form of the whole is
/// that of its blocks, one after the other.
pub(super) trait BlockCodec: Send + 'static {
    /// How many bytes a block has, the last one excepted.
    const BLOCK: usize;

    /// How many bytes the compressed form of a block has at most.
    fn bound(&mut self) -> usize;

    /// Puts the compressed form of `block` at the beginning of `output`, which has room for
    /// [`bound`](BlockCodec::bound) bytes, and answers with its length.
    fn encode(&mut self, block: &[u8], output: &mut [u8]) -> io::Result<usize>;
}

/// Threads that compress blocks, and the buffers that there are for blocks.
///
/// Several [`Blocks`] may share a pool. Each has its blocks compressed in any order and writes
/// them in theirs. Memory is bounded by the number of buffers, whoever uses them.
pub(super) struct Pool {
    errands: Option<Sender<Errand>>,
    handles: Vec<JoinHandle<()>>,
    /// Buffers that nobody uses.
    spare: (Sender<Job>, Receiver<Job>),
    block_len: usize,
}

/// A block with room for its compressed form.
#[derive(Default)]
struct Job {
    block: Vec<u8>,
    /// As long as a compressed block can be, from the first use on: filling it with zeros every
    /// time would cost more than hashing it.
    compressed: Vec<u8>,
    compressed_len: usize,
}

type Done = (Job, io::Result<()>);
type Errand = (Job, Sender<Done>);

impl Pool {
    /// Starts up to `threads` threads, each with a codec of its own.
    pub(super) fn new<C: BlockCodec>(
        threads: NonZeroUsize,
        codec: impl Fn() -> io::Result<C>,
    ) -> io::Result<Arc<Pool>> {
        let mut first = codec()?;
        let bound = first.bound();
        // One block for each thread, one that waits for it, and two that are being filled.
        let affordable = (MEMORY / (C::BLOCK + bound)).max(1);
        let jobs = affordable.min(threads.get().saturating_mul(2).saturating_add(2));
        let spare = bounded(jobs);
        for _ in 0..jobs {
            // There is room for all of them.
            let _ = spare.0.try_send(Job::default());
        }
        let (errands, queue) = bounded(jobs);
        let mut pool =
            Pool { errands: Some(errands), handles: Vec::new(), spare, block_len: C::BLOCK };
        pool.start(first, bound, queue.clone())?;
        for _ in 1..threads.get().min(jobs) {
            pool.start(codec()?, bound, queue.clone())?;
        }
        Ok(Arc::new(pool))
    }

    fn start<C: BlockCodec>(
        &mut self,
        mut codec: C,
        bound: usize,
        queue: Receiver<Errand>,
    ) -> io::Result<()> {
        let work = move || {
            // After a panic the codec is not to be trusted, but nobody may wait in vain.
            let mut broken = false;
            for (mut job, done) in queue {
                if job.compressed.len() < bound {
                    job.compressed.resize(bound, 0);
                }
                let encode = || match broken {
                    true => Err(worker_gone()),
                    false => codec.encode(&job.block, &mut job.compressed),
                };
                let encoded = catch_unwind(AssertUnwindSafe(encode));
                broken |= encoded.is_err();
                let encoded = encoded.unwrap_or_else(|_| Err(worker_gone()));
                let result = encoded.map(|len| job.compressed_len = len);
                // The other side waits for all its blocks, even when it gives the whole up.
                let _ = done.send((job, result));
            }
        };
        self.handles.push(thread::Builder::new().name("compress".into()).spawn(work)?);
        Ok(())
    }

    /// Waits for a buffer.
    fn take(&self) -> io::Result<Job> {
        self.spare.1.recv().map_err(|_| worker_gone())
    }

    fn give_back(&self, mut job: Job) {
        job.block.clear();
        // There is room for all that there are.
        let _ = self.spare.0.try_send(job);
    }

    /// Has a block compressed; its buffer comes back on the channel that is answered.
    fn dispatch(&self, job: Job) -> io::Result<Receiver<Done>> {
        let (done, result) = bounded(1);
        let Some(errands) = &self.errands else { return Err(worker_gone()) };
        errands.send((job, done)).map(|()| result).map_err(|refused| {
            let (job, _) = refused.into_inner();
            self.give_back(job);
            worker_gone()
        })
    }
}

impl Drop for Pool {
    /// Without errands the threads end.
    fn drop(&mut self) {
        self.errands = None;
        for handle in self.handles.drain(..) {
            // A panic in a thread has shown as a failed block already.
            let _ = handle.join();
        }
    }
}

/// Cuts what is written into blocks and passes their compressed forms on, in order.
pub(super) struct Blocks<W> {
    output: W,
    lane: Lane,
    any_written: bool,
}

/// The blocks of one whole. Dropped, it leaves none on their way.
struct Lane {
    pool: Arc<Pool>,
    filling: Option<Job>,
    /// Blocks being compressed, oldest first.
    in_flight: VecDeque<Receiver<Done>>,
}

impl<W: Write> Blocks<W> {
    pub(super) fn new(output: W, pool: Arc<Pool>) -> Blocks<W> {
        let lane = Lane { pool, filling: None, in_flight: VecDeque::new() };
        Blocks { output, lane, any_written: false }
    }

    /// Writes all that is left. An empty whole is one empty block.
    pub(super) fn finish(mut self) -> io::Result<W> {
        if self.lane.filling.is_none() && !self.any_written {
            self.lane.filling = Some(self.buffer()?);
        }
        if self.lane.filling.is_some() {
            self.dispatch()?;
        }
        while self.collect(true)? {}
        self.output.flush()?;
        Ok(self.output)
    }

    /// Sends the current block off, and writes those that are compressed by now.
    fn dispatch(&mut self) -> io::Result<()> {
        let Some(job) = self.lane.filling.take() else { return Ok(()) };
        self.any_written = true;
        self.lane.in_flight.push_back(self.lane.pool.dispatch(job)?);
        while self.collect(false)? {}
        Ok(())
    }

    /// A buffer for the next block. Who waits for one holds none back: those of this whole are
    /// written first, so that of several wholes that share a pool one always goes on.
    fn buffer(&mut self) -> io::Result<Job> {
        let mut job = loop {
            if let Ok(job) = self.lane.pool.spare.1.try_recv() {
                break job;
            }
            if !self.collect(true)? {
                break self.lane.pool.take()?;
            }
        };
        job.block.reserve_exact(self.lane.pool.block_len);
        Ok(job)
    }

    /// Writes the oldest block; `false` if there is none, or none that need not be waited for.
    fn collect(&mut self, wait: bool) -> io::Result<bool> {
        let Some(oldest) = self.lane.in_flight.front() else { return Ok(false) };
        let (job, result) = match oldest.try_recv() {
            Ok(done) => done,
            Err(crossbeam_channel::TryRecvError::Empty) if !wait => return Ok(false),
            Err(_) => oldest.recv().map_err(|_| worker_gone())?,
        };
        self.lane.in_flight.pop_front();
        let written =
            result.and_then(|()| self.output.write_all(&job.compressed[..job.compressed_len]));
        self.lane.pool.give_back(job);
        written.map(|()| true)
    }
}

impl<W: Write> Write for Blocks<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut job = match self.lane.filling.take() {
            Some(job) => job,
            None if bytes.is_empty() => return Ok(0),
            None => self.buffer()?,
        };
        let block_len = self.lane.pool.block_len;
        let count = bytes.len().min(block_len - job.block.len());
        job.block.extend_from_slice(&bytes[..count]);
        let full = job.block.len() == block_len;
        self.lane.filling = Some(job);
        if full {
            self.dispatch()?;
        }
        Ok(count)
    }

    /// Does nothing: where blocks end depends on the data alone.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Lane {
    /// Gives all buffers back: others may wait for them.
    fn drop(&mut self) {
        let done = self.in_flight.drain(..).filter_map(|job| job.recv().ok());
        for job in done.map(|(job, _)| job).chain(self.filling.take()) {
            self.pool.give_back(job);
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

        fn bound(&mut self) -> usize {
            Marks::BLOCK + 2
        }

        fn encode(&mut self, block: &[u8], output: &mut [u8]) -> io::Result<usize> {
            match block.first() {
                Some(b'!') => return Err(io::Error::other("refused")),
                Some(b'?') => panic!("a bug"),
                _ => {}
            }
            let len = block.len() + 2;
            output[..len].copy_from_slice(&[b"<", block, b">"].concat());
            Ok(len)
        }
    }

    fn pool(threads: usize) -> Arc<Pool> {
        Pool::new(NonZeroUsize::new(threads).unwrap(), || Ok(Marks)).unwrap()
    }

    fn run(input: &[u8], threads: usize) -> io::Result<String> {
        run_in(&pool(threads), input)
    }

    fn run_in(pool: &Arc<Pool>, input: &[u8]) -> io::Result<String> {
        let mut blocks = Blocks::new(Vec::new(), Arc::clone(pool));
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
        for threads in [1, 2, 3] {
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
        let mut blocks = Blocks::new(Full(20), pool(3));
        let error = blocks.write_all(&b"abcd".repeat(100)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn wholes_that_share_a_pool_neither_mix_nor_wait_for_each_other_forever() {
        for threads in [1, 2, 8] {
            let pool = pool(threads);
            thread::scope(|scope| {
                // More wholes than there are buffers.
                for number in 0..40 {
                    let pool = &pool;
                    scope.spawn(move || {
                        let input = format!("{number:04}").repeat(50);
                        let expected = format!("<{number:04}>").repeat(50);
                        assert_eq!(run_in(pool, input.as_bytes()).unwrap(), expected);
                    });
                }
            });
        }
    }

    #[test]
    fn a_whole_that_fails_or_is_given_up_keeps_no_buffers() {
        let pool = pool(2);
        let all = pool.spare.1.len();
        for _ in 0..2 * all {
            assert!(run_in(&pool, b"fine!bad").is_err());
            let mut blocks = Blocks::new(Vec::new(), Arc::clone(&pool));
            blocks.write_all(b"finefinefi").unwrap();
            drop(blocks);
        }
        assert_eq!(pool.spare.1.len(), all);
        assert_eq!(run_in(&pool, b"fine").unwrap(), "<fine>");
    }

    #[test]
    fn memory_does_not_grow_with_the_threads() {
        struct Large;
        impl BlockCodec for Large {
            const BLOCK: usize = 1 << 20;
            fn bound(&mut self) -> usize {
                Large::BLOCK + 5
            }
            fn encode(&mut self, _: &[u8], _: &mut [u8]) -> io::Result<usize> {
                Ok(0)
            }
        }
        for threads in [1, 2, 64] {
            let pool = Pool::new(NonZeroUsize::new(threads).unwrap(), || Ok(Large)).unwrap();
            let all = pool.spare.1.len();
            assert!(all > 1 && all * (2 * Large::BLOCK + 5) <= MEMORY, "{threads}: {all}");
            assert!(pool.handles.len() <= all);
        }
    }
}
