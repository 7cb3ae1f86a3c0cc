//! The bytes of a blob in a file, read ahead by one piece.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use rustix::io::{ReadWriteFlags, preadv2};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::storage::Content;

/// How much is read at a time, in bytes.
const PIECE: u64 = 256 << 10;

/// The largest blob that is read at once, in bytes: to send a larger one from its file is worth it.
pub(super) const SMALL: u64 = 64 << 10;

/// A blob that was small enough to be read when it was opened.
pub(super) struct Whole(pub(super) Bytes);

impl Content for Whole {
    fn stream(self: Box<Self>, range: Range<u64>) -> BoxStream<'static, io::Result<Bytes>> {
        let at = |position| usize::try_from(position).unwrap_or(usize::MAX).min(self.0.len());
        let part = self.0.slice(at(range.start)..at(range.end));
        stream::iter((!part.is_empty()).then_some(Ok(part))).boxed()
    }
}

/// A blob that is read while it is sent.
pub(super) struct Streamed(pub(super) Arc<File>);

impl Content for Streamed {
    fn stream(self: Box<Self>, range: Range<u64>) -> BoxStream<'static, io::Result<Bytes>> {
        let ahead = Ahead { file: self.0, rest: range, reading: None };
        stream::unfold(ahead, Ahead::next).boxed()
    }

    fn file(&self) -> Option<Arc<File>> {
        Some(self.0.clone())
    }
}

struct Ahead {
    file: Arc<File>,
    /// What nobody has begun to read.
    rest: Range<u64>,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Ahead {
    async fn next(mut self) -> Option<(io::Result<Bytes>, Ahead)> {
        let reading = match self.reading.take() {
            Some(reading) => reading,
            None => self.begin()?,
        };
        let read = reading.await.unwrap_or_else(|e| Err(io::Error::other(e)));
        if read.is_ok() {
            self.reading = self.begin();
        } else {
            self.rest = 0..0;
        }
        Some((read, self))
    }

    fn begin(&mut self) -> Option<JoinHandle<io::Result<Bytes>>> {
        let end = self.rest.end.min(self.rest.start.saturating_add(PIECE));
        let part = self.rest.start..end;
        if part.is_empty() {
            return None;
        }
        self.rest.start = end;
        let file = self.file.clone();
        Some(spawn_blocking(move || read(&file, part)))
    }
}

/// Reads exactly that part, if no disk has to be waited for.
pub(super) fn read_cached(file: &File, part: Range<u64>, in_memory: bool) -> Option<Bytes> {
    if in_memory {
        return read(file, part).ok();
    }
    let mut buffer = vec![0; usize::try_from(part.end - part.start).ok()?];
    let into = &mut [IoSliceMut::new(&mut buffer)];
    let count = preadv2(file, into, part.start, ReadWriteFlags::NOWAIT).ok()?;
    (count == buffer.len()).then(|| buffer.into())
}

/// Reads exactly that part.
pub(super) fn read(file: &File, part: Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(part.end - part.start).unwrap_or(usize::MAX);
    let mut buffer = Vec::with_capacity(length);
    while buffer.len() < length {
        let position = part.start + buffer.len() as u64;
        let count = rustix::io::pread(file, rustix::buffer::spare_capacity(&mut buffer), position)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    // The allocation may be larger than what was asked for.
    buffer.truncate(length);
    Ok(buffer.into())
}
