//! Parts of a large blob that are fetched ahead, over connections of their own.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use crate::{Error, Result};

/// From which size on a blob comes in parts, in bytes.
const SPLIT_FROM: u64 = 32 << 20;
/// How large a part is, in bytes. One that came too early waits in memory.
const PART: u64 = 6 << 20;

/// The parts that are on their way, in their order and without gaps.
pub(crate) struct Ahead {
    parts: VecDeque<Part>,
    /// Whether the registry sends parts, as far as we know.
    split: bool,
}

struct Part {
    range: Range<u64>,
    task: JoinHandle<Result<Vec<Bytes>>>,
    _room: OwnedSemaphorePermit,
}

impl Drop for Part {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Ahead {
    /// For a blob of so many bytes.
    pub(crate) fn new(size: u64) -> Ahead {
        Ahead { parts: VecDeque::new(), split: size >= SPLIT_FROM }
    }

    /// Where a request for what begins at `offset` ends: where the next part begins that is on its
    /// way, or at the end of one part, or at the end of the blob.
    pub(crate) fn end_from(&self, offset: u64, size: u64, room: &Semaphore) -> u64 {
        match self.parts.front() {
            Some(next) => next.range.start,
            None if self.split && room.available_permits() > 0 => size.min(offset + PART),
            None => size,
        }
    }

    /// Fetches as many parts from `end` on as there is room for.
    pub(crate) fn fill(
        &mut self,
        end: u64,
        size: u64,
        room: &Arc<Semaphore>,
        fetch: impl Fn(Range<u64>) -> JoinHandle<Result<Vec<Bytes>>>,
    ) {
        let mut start = self.parts.back().map_or(end, |last| last.range.end);
        while self.split && start < size {
            let Ok(permit) = Arc::clone(room).try_acquire_owned() else { return };
            let range = start..size.min(start + PART);
            start = range.end;
            self.parts.push_back(Part { task: fetch(range.clone()), range, _room: permit });
        }
    }

    /// The registry sends the whole, whatever it is asked for.
    pub(crate) fn give_up(&mut self) {
        self.split = false;
        self.parts.clear();
    }

    /// The part that begins at `offset`, if it is on its way, when it has come. A part that failed
    /// is none: whoever asks for it again does so by the policy of retries.
    pub(crate) async fn next(&mut self, offset: u64) -> Option<Vec<Bytes>> {
        // It stays in its place until it has come: who waits may be told to wait no more.
        let part = self.parts.front_mut().filter(|part| part.range.start == offset)?;
        let came = (&mut part.task).await;
        self.parts.pop_front();
        match came {
            Ok(Ok(chunks)) => Some(chunks),
            Ok(Err(error)) => {
                log_failure(&error);
                None
            }
            Err(_) => None,
        }
    }
}

fn log_failure(error: &Error) {
    tracing::debug!(%error, "a part did not come");
}
