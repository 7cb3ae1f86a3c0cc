//! Requests from the step's socket to the agent, and its answers back.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::protocol::{REFUSAL, is_allowed, length};

/// How many connections there are at once; who comes then is turned away.
const MOST: usize = 64;

/// Serves connections until `stop` is closed at its other end.
pub(super) fn serve(listener: &UnixListener, agent: &Path, stop: BorrowedFd<'_>) {
    let open = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        while let Ok(true) = ready(listener.as_fd(), PollFlags::IN, stop) {
            let client = match listener.accept() {
                Ok((client, _)) => client,
                // It has gone away already.
                Err(error) if is_passing(&error) => continue,
                Err(error) => {
                    tracing::warn!(%error, "cannot take a connection to an ssh agent");
                    return;
                }
            };
            if open.fetch_add(1, Ordering::Relaxed) >= MOST {
                open.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let open = &open;
            scope.spawn(move || {
                if let Err(error) = converse(client, agent, stop) {
                    tracing::warn!(agent = %agent.display(), %error, "cannot reach an ssh agent");
                }
                open.fetch_sub(1, Ordering::Relaxed);
            });
        }
    });
}

/// One connection, until either side ends it. An error is the agent's; what a process of the
/// build does wrong ends its connection, and that is all.
fn converse(client: UnixStream, agent: &Path, stop: BorrowedFd<'_>) -> io::Result<()> {
    client.set_nonblocking(true)?;
    let mut client = Peer { stream: client, stop };
    let mut agent = Peer { stream: dial(agent)?, stop };
    while let Ok(Some(request)) = client.receive() {
        let answer = if is_allowed(&request[4..]) {
            agent.send(&request)?;
            match agent.receive()? {
                Some(answer) => answer,
                None => return Ok(()),
            }
        } else {
            REFUSAL.to_vec()
        };
        if client.send(&answer).is_err() {
            break;
        }
    }
    Ok(())
}

/// A connection to the agent, which never waits: an agent that takes none is as good as absent.
fn dial(agent: &Path) -> io::Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(agent)?)?;
    Ok(socket.into())
}

/// One side of a connection.
struct Peer<'a> {
    stream: UnixStream,
    stop: BorrowedFd<'a>,
}

impl Peer<'_> {
    /// A message with its length before it; none when the other side has ended the connection, or
    /// all is to end.
    fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut head = [0; 4];
        if !self.fill(&mut head)? {
            return Ok(None);
        }
        let length = length(head).ok_or(ErrorKind::InvalidData)?;
        let mut message = head.to_vec();
        message.resize(4 + length, 0);
        Ok(self.fill(&mut message[4..])?.then_some(message))
    }

    fn fill(&mut self, mut buffer: &mut [u8]) -> io::Result<bool> {
        while !buffer.is_empty() {
            if !ready(self.stream.as_fd(), PollFlags::IN, self.stop)? {
                return Ok(false);
            }
            match self.stream.read(buffer) {
                Ok(0) => return Ok(false),
                Ok(count) => buffer = &mut buffer[count..],
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if !ready(self.stream.as_fd(), PollFlags::OUT, self.stop)? {
                return Ok(());
            }
            match self.stream.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted
    )
}

/// Waits until something can be done with `fd`; no when all is to end first.
fn ready(fd: BorrowedFd<'_>, what: PollFlags, stop: BorrowedFd<'_>) -> io::Result<bool> {
    loop {
        let mut fds = [PollFd::new(&fd, what), PollFd::new(&stop, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) if !fds[1].revents().is_empty() => return Ok(false),
            Ok(_) if !fds[0].revents().is_empty() => return Ok(true),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
