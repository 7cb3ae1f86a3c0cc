//! Hashing what is written: on a thread of its own, or on the one that writes.

use std::io;
use std::thread::{Scope, ScopedJoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use oci::{Algorithm, Digest, Hasher};

use crate::write::{BUFFER, Blocks};

/// How many blocks lie between the two.
const BLOCKS: usize = 4;

/// The SHA-256 and the number of the bytes that `write` writes. A thread of its own hashes them as
/// soon as there are more than a few: files are read meanwhile.
pub(super) fn hash_ahead<E>(
    write: impl FnOnce(&mut dyn Blocks) -> Result<(), E>,
) -> Result<(Digest, u64), E> {
    std::thread::scope(|scope| {
        let mut hashing = Hashing { scope, last: None, total: 0, thread: None };
        write(&mut hashing)?;
        Ok(hashing.finish())
    })
}

/// The SHA-256 and the number of the bytes that `write` writes to `out`.
pub(super) fn hash_beside<E>(
    out: &mut dyn Blocks,
    write: impl FnOnce(&mut dyn Blocks) -> Result<(), E>,
) -> Result<(Digest, u64), E> {
    let mut beside = Beside { out, hasher: Algorithm::Sha256.hasher(), total: 0 };
    write(&mut beside)?;
    Ok((beside.hasher.finish(), beside.total))
}

/// Hashes what passes.
struct Beside<'a> {
    out: &'a mut dyn Blocks,
    hasher: Hasher,
    total: u64,
}

impl Blocks for Beside<'_> {
    fn exchange(&mut self, full: Vec<u8>) -> io::Result<Vec<u8>> {
        self.hasher.update(&full);
        self.total += full.len() as u64;
        self.out.exchange(full)
    }
}

/// What is written goes here.
struct Hashing<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    /// The block before the one that is being filled: it may be the only one.
    last: Option<Vec<u8>>,
    total: u64,
    /// Who hashes, once there is more than one block.
    thread: Option<HashingThread<'scope>>,
}

struct HashingThread<'scope> {
    full: Sender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
    joined: ScopedJoinHandle<'scope, Digest>,
}

impl<'scope> HashingThread<'scope> {
    fn start<'env>(scope: &'scope Scope<'scope, 'env>) -> HashingThread<'scope> {
        let (full, blocks) = bounded::<Vec<u8>>(BLOCKS);
        let (give_back, empty) = bounded(BLOCKS);
        let joined = scope.spawn(move || {
            let mut hasher = Algorithm::Sha256.hasher();
            for mut block in blocks {
                hasher.update(&block);
                block.clear();
                // Who writes may have ended.
                let _ = give_back.try_send(block);
            }
            hasher.finish()
        });
        HashingThread { full, empty, joined }
    }
}

impl Hashing<'_, '_> {
    fn finish(self) -> (Digest, u64) {
        let last = self.last.unwrap_or_default();
        let Some(thread) = self.thread else {
            return (Algorithm::Sha256.digest(&last), self.total);
        };
        // The thread takes all that comes, unless it panicked, which the join tells.
        let _ = thread.full.send(last);
        drop(thread.full);
        let digest = thread.joined.join();
        (digest.unwrap_or_else(|panic| std::panic::resume_unwind(panic)), self.total)
    }
}

impl Blocks for Hashing<'_, '_> {
    fn exchange(&mut self, full: Vec<u8>) -> io::Result<Vec<u8>> {
        self.total += full.len() as u64;
        let Some(last) = self.last.replace(full) else { return Ok(Vec::with_capacity(BUFFER)) };
        let thread = self.thread.get_or_insert_with(|| HashingThread::start(self.scope));
        thread.full.send(last).map_err(|_| io::Error::other("the hashing thread is gone"))?;
        Ok(thread.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(BUFFER)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_all_bytes_however_they_come() {
        for size in [0, 1, 99, 100, 101, 1717] {
            let bytes: Vec<u8> = (0..size).map(|i| (i * 7 + i / 251) as u8).collect();
            for piece in [1, 100, 300, 2000] {
                let hashed = hash_ahead(|out| {
                    bytes.chunks(piece).try_for_each(|piece| {
                        let empty = out.exchange(piece.to_vec())?;
                        assert!(empty.is_empty());
                        io::Result::Ok(())
                    })
                });
                let (digest, total) = hashed.unwrap();
                assert_eq!(
                    (digest, total),
                    (Digest::sha256(&bytes), size as u64),
                    "{size} {piece}"
                );
            }
        }
    }

    struct Kept(Vec<u8>);

    impl Blocks for Kept {
        fn exchange(&mut self, full: Vec<u8>) -> io::Result<Vec<u8>> {
            self.0.extend(full);
            Ok(Vec::new())
        }
    }

    #[test]
    fn what_is_hashed_beside_goes_on() {
        let mut kept = Kept(Vec::new());
        let hashed = hash_beside(&mut kept, |out| {
            [&b"so"[..], b"me"].iter().try_for_each(|part| out.exchange(part.to_vec()).map(drop))
        });
        assert_eq!(hashed.unwrap(), (Digest::sha256(b"some"), 4));
        assert_eq!(kept.0, b"some");
    }

    #[test]
    fn an_error_ends_both_threads() {
        let failed = hash_ahead(|out| {
            for _ in 0..20 {
                out.exchange(vec![0; 1000])?;
            }
            Err(io::Error::other("no more"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "no more");
    }
}
