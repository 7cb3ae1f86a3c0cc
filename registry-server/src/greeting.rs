//! The first bytes of a connection decide between HTTP/1 and HTTP/2, and until they have come no
//! limit of either holds. This one does.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// What HTTP/2 begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream whose reads fail when it does not say in time which protocol it speaks.
pub(crate) struct Greeting<S> {
    stream: S,
    /// `None` once it is decided.
    undecided: Option<Undecided>,
}

struct Undecided {
    /// How much of the preface has come.
    matched: usize,
    deadline: Pin<Box<Sleep>>,
}

impl<S> Greeting<S> {
    pub(crate) fn new(stream: S, patience: Duration) -> Greeting<S> {
        let deadline = Box::pin(tokio::time::sleep(patience));
        Greeting { stream, undecided: Some(Undecided { matched: 0, deadline }) }
    }
}

impl Undecided {
    /// Whether it still is after these bytes.
    fn after(&mut self, bytes: &[u8]) -> bool {
        let rest = &PREFACE[self.matched..];
        self.matched += bytes.len();
        bytes.len() < rest.len() && rest.starts_with(bytes)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeting<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        let Some(undecided) = &mut this.undecided else { return read };
        if read.is_pending() {
            return undecided.deadline.as_mut().poll(context).map(|()| {
                Err(io::Error::new(io::ErrorKind::TimedOut, "nothing was asked for in time"))
            });
        }
        if !undecided.after(&buffer.filled()[before..]) {
            this.undecided = None;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeting<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
