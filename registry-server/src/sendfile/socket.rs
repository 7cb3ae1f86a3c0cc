//! The socket that sends files where placeholders are written.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::fs::sendfile;
use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::{Distance, Outbox, Source, is_placeholder};

/// How many bytes may be under way to a client on this machine, half of what the kernel then
/// reserves: they stay in the processor's cache until they are read. A few segments (64 KiB on
/// loopback) at least, or each waits for a delayed acknowledgement.
const NEAR: usize = 256 << 10;

/// The socket of a connection whose answers may hold placeholders.
pub(crate) struct Socket {
    stream: TcpStream,
    outbox: Outbox,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, outbox: Outbox) -> Socket {
        if outbox.client == Distance::Near
            && let Err(error) = set_socket_send_buffer_size(&stream, NEAR)
        {
            tracing::debug!(%error, "no SO_SNDBUF");
        }
        Socket { stream, outbox }
    }

    fn poll_send(&self, context: &mut Context<'_>, length: usize) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(context))?;
            let sent = self.outbox.send(length, |source, offset, length| {
                self.stream.try_io(Interest::WRITABLE, || self.send(source, offset, length))
            });
            match sent {
                // Now it will be woken.
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                sent => return Poll::Ready(sent),
            }
        }
    }

    fn send(&self, source: &Source, mut offset: u64, length: usize) -> io::Result<usize> {
        loop {
            let sent = match source {
                Source::File(file) => {
                    sendfile(&self.stream, file, Some(&mut offset), length).map_err(io::Error::from)
                }
                Source::Window(window) => window.send(&self.stream, offset, length),
            };
            match sent {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                sent => return sent,
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stands = |piece: &IoSlice<'_>| !piece.is_empty() && is_placeholder(piece);
        let before = pieces.iter().position(stands).unwrap_or(pieces.len());
        if pieces[..before].iter().all(|piece| piece.is_empty())
            && let Some(placeholder) = pieces.get(before)
        {
            return self.poll_send(context, placeholder.len());
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, &pieces[..before])
    }

    // Placeholders must arrive as they were yielded, not copied together.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
