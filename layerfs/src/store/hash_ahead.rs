//! Hashing on one thread what another thread writes.

use std::io::{self, Write};
use std::thread::{Scope, ScopedJoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use oci::{Algorithm, Digest};

/// How many bytes change hands at once.
const BLOCK: usize = 256 << 10;

/// How many blocks lie between the two.
const BLOCKS: usize = 4;

/// The SHA-256 and the number of the bytes that `write` writes. A thread of its own hashes them as
/// soon as there are more than a few: files are read meanwhile.
pub(super) fn hash_ahead<E>(
    write: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> Result<(Digest, u64), E> {
    std::thread::scope(|scope| {
        let mut hashing = Hashing { scope, block: Vec::new(), total: 0, thread: None };
        write(&mut hashing)?;
        Ok(hashing.finish())
    })
}

/// What is written goes here.
struct Hashing<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    block: Vec<u8>,
    total: u64,
    /// Who hashes, once there is more than one block.
    thread: Option<Hasher<'scope>>,
}

struct Hasher<'scope> {
    full: Sender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
    joined: ScopedJoinHandle<'scope, Digest>,
}

impl<'scope> Hasher<'scope> {
    fn start<'env>(scope: &'scope Scope<'scope, 'env>) -> Hasher<'scope> {
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
        Hasher { full, empty, joined }
    }
}

impl Hashing<'_, '_> {
    /// Hands the block on.
    fn pass_on(&mut self) -> io::Result<()> {
        let thread = self.thread.get_or_insert_with(|| Hasher::start(self.scope));
        let next = thread.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(BLOCK));
        let block = std::mem::replace(&mut self.block, next);
        // It takes all that comes, unless it panicked.
        thread.full.send(block).map_err(|_| io::Error::other("the hashing thread is gone"))
    }

    fn finish(self) -> (Digest, u64) {
        let Some(thread) = self.thread else {
            return (Algorithm::Sha256.digest(&self.block), self.total);
        };
        // What is left may be nothing, which changes no digest.
        let _ = thread.full.send(self.block);
        drop(thread.full);
        let digest = thread.joined.join();
        (digest.unwrap_or_else(|panic| std::panic::resume_unwind(panic)), self.total)
    }
}

impl Write for Hashing<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.block.len() == BLOCK {
            self.pass_on()?;
        }
        let count = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..count]);
        self.total += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_all_bytes_however_they_come() {
        for size in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 9 * BLOCK + 17] {
            let bytes: Vec<u8> = (0..size).map(|i| (i * 7 + i / 251) as u8).collect();
            for piece in [1000, BLOCK, 3 * BLOCK] {
                let hashed = hash_ahead(|out| {
                    bytes.chunks(piece).try_for_each(|piece| out.write_all(piece))
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

    #[test]
    fn an_error_ends_both_threads() {
        let failed = hash_ahead(|out| {
            out.write_all(&vec![0; 20 * BLOCK])?;
            Err(io::Error::other("no more"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "no more");
    }
}
