//! Files that are sent without a copy into this process.
//!
//! To another machine the kernel sends their pages as they are (sendfile(2)). A client on this
//! machine would read those pages from memory that no cache holds any more, one at a time; what
//! is copied to it from a mapping it finds in the cache, as long as little of it is under way.
//!
//! An HTTP body is made of bytes, so the body of such a file yields slices of a static
//! [`SLAB`] in place of its bytes, and at the same time puts the file's part into a queue that it
//! shares with the [`Socket`] of its connection. A slice is known by its address: where one is
//! written, the socket sends the next part of the queue. Bodies are polled in the order in which
//! they are written, and a slice that was yielded is written or its connection ends; so slices
//! and parts agree, and if they ever do not, the connection ends and nothing of the slab is sent.
//!
//! It works where bytes reach the socket as the body yielded them: HTTP/1, without encryption,
//! written as vectors.

mod socket;
mod sys;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tokio::task::spawn_blocking;

pub(crate) use self::socket::Socket;
use self::sys::Window;
use crate::storage::locked;

/// The largest part, in bytes. After each the other connections have their turn.
const PART: usize = 1 << 20;
/// How much is read from a disk at a time, in bytes.
const READ: usize = 64 << 10;

/// What stands for the bytes of files. It is never written to nor read, so it takes no memory.
static SLAB: [u8; PART] = [0; PART];

/// Whether bytes stand for a file's.
fn is_placeholder(bytes: &[u8]) -> bool {
    SLAB.as_ptr_range().contains(&bytes.as_ptr())
}

/// Where a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Distance {
    /// On this machine.
    Near,
    /// On another.
    Far,
}

/// A part of a file.
struct Part {
    source: Source,
    range: Range<u64>,
}

/// Where the bytes of a part are taken from.
enum Source {
    File(Arc<File>),
    Window(Window),
}

/// The parts of files that are to be sent on a connection. Clones share them.
#[derive(Clone)]
pub(crate) struct Outbox {
    parts: Arc<Mutex<VecDeque<Part>>>,
    client: Distance,
}

impl Outbox {
    /// Nothing to be sent yet.
    pub(crate) fn new(client: Distance) -> Outbox {
        Outbox { parts: Arc::default(), client }
    }

    /// The body that stands for a part of a file.
    pub(crate) fn body(
        self,
        file: Arc<File>,
        range: Range<u64>,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        stream::iter(parts(range)).then(move |range| {
            let (outbox, file) = (self.clone(), file.clone());
            async move {
                load(&file, &range).await?;
                // From here to the placeholder nothing waits, so that they always go together.
                let length = range.end - range.start;
                let length = usize::try_from(length).unwrap_or(PART).min(PART);
                let source = outbox.source(file, &range);
                locked(&outbox.parts).push_back(Part { source, range });
                Ok::<_, io::Error>(Bytes::from_static(&SLAB[..length]))
            }
        })
    }

    fn source(&self, file: Arc<File>, range: &Range<u64>) -> Source {
        match self.client {
            Distance::Far => Source::File(file),
            Distance::Near => match Window::open(&file, range) {
                Ok(window) => Source::Window(window),
                Err(error) => {
                    tracing::debug!(%error, "cannot map a file");
                    Source::File(file)
                }
            },
        }
    }

    /// Sends the next bytes of the first part with `send`, which is given where they are, where
    /// in their file to begin, and how much. `length` is that of the rest of its placeholder.
    fn send(
        &self,
        length: usize,
        send: impl FnOnce(&Source, u64, usize) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut parts = locked(&self.parts);
        let Some(part) = parts.front_mut() else {
            return Err(io::Error::other("a placeholder stands for no file"));
        };
        if part.range.end - part.range.start != length as u64 {
            return Err(io::Error::other("a placeholder does not have the length of its file"));
        }
        let sent = send(&part.source, part.range.start, length)?;
        if sent == 0 {
            let message = "a file ended before the length that was announced";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        part.range.start += sent as u64;
        if part.range.is_empty() {
            parts.pop_front();
        }
        Ok(sent)
    }
}

/// A range, part by part.
fn parts(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let end = range.end;
    range.step_by(PART).map(move |start| start..end.min(start + PART as u64))
}

/// Has a part read from the disk if it is not in memory yet. Who sends it would wait for the disk,
/// and with it every connection of its thread.
async fn load(file: &Arc<File>, part: &Range<u64>) -> io::Result<()> {
    let is_absent = |position| {
        let mut byte = [0];
        let into = &mut [IoSliceMut::new(&mut byte)];
        // Other errors say that the file system cannot tell, or are met again at once.
        preadv2(file, into, position, ReadWriteFlags::NOWAIT) == Err(Errno::AGAIN)
    };
    if !is_absent(part.start) && !is_absent(part.end - 1) {
        return Ok(());
    }
    let (file, part) = (file.clone(), part.clone());
    spawn_blocking(move || read_through(&file, part)).await.map_err(io::Error::other)?
}

/// Reads a part for no more than that it is in memory then.
fn read_through(file: &File, mut part: Range<u64>) -> io::Result<()> {
    let mut buffer = vec![0; READ];
    while !part.is_empty() {
        let length = usize::try_from(part.end - part.start).unwrap_or(READ).min(READ);
        match file.read_at(&mut buffer[..length], part.start) {
            // That the file is too short is found when it is sent.
            Ok(0) => break,
            Ok(count) => part.start += count as u64,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
