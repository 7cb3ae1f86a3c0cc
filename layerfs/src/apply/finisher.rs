//! Small files that are finished on a second thread: while one makes the names, in the archive's
//! order, the other writes what is in the files and gives them what they have.

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::thread::JoinHandle;

use crossbeam_channel::{Sender, TrySendError, bounded};

use super::Entry;
use super::attributes::Giver;
use super::place::{refused, shown};
use crate::{Error, Result};

/// The largest file that is worth the copy of its bytes, in bytes.
const SMALL: u64 = 32 << 10;
/// How many files go to the other thread at once. Each is open until then.
const FILES: usize = 16;
/// How many bytes of them.
const BYTES: usize = 128 << 10;
/// How many batches wait.
const WAITING: usize = 4;

/// Files that were made and are not finished.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    files: Vec<Started>,
}

struct Started {
    file: File,
    /// Which of the batch's bytes are the file's.
    data: Range<usize>,
    entry: Entry,
    group: u32,
}

/// Finishes files. The second thread is started once there is something for it to do.
pub(super) struct Finisher {
    giver: Giver,
    batch: Batch,
    helper: Option<Helper>,
    /// How many extended attributes were not set.
    skipped: u64,
}

struct Helper {
    batches: Sender<Batch>,
    thread: JoinHandle<Result<u64>>,
}

impl Finisher {
    pub(super) fn new(giver: Giver) -> Finisher {
        Finisher { giver, batch: Batch::default(), helper: None, skipped: 0 }
    }

    /// Whether a file is small enough.
    pub(super) fn takes(entry: &Entry) -> bool {
        entry.sparse.is_none() && entry.stored <= SMALL
    }

    /// Takes a file that was just created with the entry's mode and this group, and whose bytes
    /// `read` brings.
    pub(super) fn take(
        &mut self,
        file: File,
        entry: &Entry,
        group: u32,
        read: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        let start = self.batch.bytes.len();
        read(&mut self.batch.bytes)?;
        let data = start..self.batch.bytes.len();
        self.batch.files.push(Started { file, data, entry: entry.clone(), group });
        if self.batch.files.len() >= FILES || self.batch.bytes.len() >= BYTES {
            self.pass_on()?;
        }
        Ok(())
    }

    /// Gives the batch to the other thread, or finishes it here where that one has enough.
    fn pass_on(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        let giver = self.giver;
        let helper = self.helper.get_or_insert_with(|| {
            let (batches, waiting) = bounded::<Batch>(WAITING);
            let finish_all = move || {
                waiting.iter().try_fold(0, |skipped, batch| Ok(skipped + batch.finish(giver)?))
            };
            Helper { batches, thread: std::thread::spawn(finish_all) }
        });
        match helper.batches.try_send(batch) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(batch)) => {
                self.skipped += batch.finish(giver)?;
                Ok(())
            }
            // It met an error, which the end tells.
            Err(TrySendError::Disconnected(_)) => self.end().map(drop),
        }
    }

    /// Finishes all that was taken, and says how many extended attributes were not set.
    pub(super) fn end(&mut self) -> Result<u64> {
        let batch = std::mem::take(&mut self.batch);
        let mut skipped = std::mem::take(&mut self.skipped) + batch.finish(self.giver)?;
        if let Some(Helper { batches, thread }) = self.helper.take() {
            drop(batches);
            skipped += thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        Ok(skipped)
    }
}

impl Drop for Finisher {
    /// What is unpacked may be removed once this is gone.
    fn drop(&mut self) {
        if let Some(Helper { batches, thread }) = self.helper.take() {
            drop(batches);
            let _ = thread.join();
        }
    }
}

impl Batch {
    fn finish(self, giver: Giver) -> Result<u64> {
        let mut skipped = 0;
        for Started { mut file, data, entry, group } in self.files {
            file.write_all(&self.bytes[data])
                .map_err(|e| Error::tree("write the file", shown(&entry), e))?;
            skipped += giver
                .finish_file(&entry, &file, group)
                .map_err(refused(&entry, "set the attributes of"))?;
        }
        Ok(skipped)
    }
}
