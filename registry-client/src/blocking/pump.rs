//! From a blocking reader to a request's body, through a bounded channel.

use std::io::{self, Read};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::mpsc;

use crate::BodySource;

/// How many bytes are read at once.
const CHUNK: usize = 128 << 10;
/// How many chunks wait for the network at most.
const WAITING: usize = 4;

/// The body's side: asks the reader's side to open the blob.
pub(super) struct PumpedBody {
    requests: mpsc::UnboundedSender<Opening>,
}

/// The wish to have a blob from an offset on.
pub(super) struct Opening {
    offset: u64,
    into: mpsc::Sender<io::Result<Bytes>>,
}

/// A body, and the wishes that its uses make.
pub(super) fn pumped_body() -> (PumpedBody, mpsc::UnboundedReceiver<Opening>) {
    let (requests, openings) = mpsc::unbounded_channel();
    (PumpedBody { requests }, openings)
}

impl BodySource for PumpedBody {
    fn open(
        &self,
        offset: u64,
    ) -> BoxFuture<'_, io::Result<BoxStream<'static, io::Result<Bytes>>>> {
        Box::pin(async move {
            let (into, bytes) = mpsc::channel(WAITING);
            self.requests
                .send(Opening { offset, into })
                .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
            let next = |mut bytes: mpsc::Receiver<_>| async {
                bytes.recv().await.map(|chunk| (chunk, bytes))
            };
            Ok(stream::unfold(bytes, next).boxed())
        })
    }
}

impl Opening {
    /// Fulfils the wish: reads `open()` to its end, or as long as somebody wants the bytes.
    /// `at` is told how far it is.
    pub(super) fn fulfil<R: Read>(self, open: impl FnOnce() -> io::Result<R>, at: impl Fn(u64)) {
        if let Err(error) = self.pump(open, at) {
            // Nobody listens any more if this fails.
            let _ = self.into.blocking_send(Err(error));
        }
    }

    fn pump<R: Read>(
        &self,
        open: impl FnOnce() -> io::Result<R>,
        at: impl Fn(u64),
    ) -> io::Result<()> {
        let mut reader = open()?;
        let skipped = io::copy(&mut (&mut reader).take(self.offset), &mut io::sink())?;
        if skipped < self.offset {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut position = self.offset;
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            (&mut reader).take(CHUNK as u64).read_to_end(&mut chunk)?;
            if chunk.is_empty() {
                return Ok(());
            }
            position += chunk.len() as u64;
            if self.into.blocking_send(Ok(chunk.into())).is_err() {
                return Ok(());
            }
            at(position);
        }
    }
}
