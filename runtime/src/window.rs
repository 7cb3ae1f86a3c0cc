//! A window to /proc, for containers in whose root nothing can be mounted.
//!
//! A filter tells of every call that looks a file up by its path (seccomp_unotify(2)). Most are
//! let go on. Those below /proc and /sys, and those of /dev that lead there (`/dev/stdout`), are
//! carried out by this program outside of the root: a file is opened and handed over, what stat(2)
//! says is written into the asker's memory. What is not known here is the kernel's to answer, as
//! if there was no window.
//!
//! It is no part of what keeps a container in: it shows it itself, and what all may read.

mod filter;
mod route;
mod serve;
pub(crate) mod sys;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

use crate::seccomp::Instruction;

/// The side of the container that is being made.
#[derive(Debug)]
pub(crate) struct Opening {
    /// What it sends the source of notifications through.
    pub(crate) socket: OwnedFd,
    /// The filter that it installs.
    pub(crate) program: Vec<Instruction>,
}

/// This program's side, while the container runs. Dropped, it is closed; the container must have
/// ended.
#[derive(Debug)]
pub(crate) struct Window {
    /// Closed, it ends the thread.
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

/// Makes both sides; nothing where this processor's calls are not known.
pub(crate) fn window() -> Result<Option<(Opening, Window)>, Errno> {
    let Some(program) = filter::program() else { return Ok(None) };
    let (ours, theirs) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let (stopped, stop) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let thread = thread::Builder::new().name("window".into()).spawn(move || {
        if let Some(listener) = receive(ours.as_fd(), stopped.as_fd()) {
            watch(listener.as_fd(), stopped.as_fd());
        }
    });
    let thread = thread.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::AGAIN))?;
    let window = Window { stop: Some(stop), thread: Some(thread) };
    Ok(Some((Opening { socket: theirs, program }, window)))
}

/// Installs the filter and sends what tells of its calls. Runs under the rules of `child`: no
/// allocation, no lock, no panic. Best effort: a kernel may be too old, or somebody further out
/// have one already; then /proc is empty.
pub(crate) fn open(socket: BorrowedFd<'_>, program: &[Instruction]) {
    let Ok(listener) = sys::install_notifier(program) else { return };
    let descriptors = [listener.as_fd()];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        let data = [std::io::IoSlice::new(b".")];
        let _ = rustix::net::sendmsg(socket, &data, &mut ancillary, SendFlags::NOSIGNAL);
    }
}

/// Waits for the container's source of notifications.
fn receive(socket: BorrowedFd<'_>, stopped: BorrowedFd<'_>) -> Option<OwnedFd> {
    if !is_ready(socket, stopped)? {
        return None;
    }
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut data = [std::io::IoSliceMut::new(&mut byte)];
    let flags = RecvFlags::CMSG_CLOEXEC;
    rustix::net::recvmsg(socket, &mut data, &mut ancillary, flags).ok()?;
    ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    })
}

/// Serves until nobody is left, or it is time to stop.
fn watch(listener: BorrowedFd<'_>, stopped: BorrowedFd<'_>) {
    while is_ready(listener, stopped) == Some(true) {
        match sys::receive(listener) {
            Ok(call) => serve::serve(listener, &call),
            // Its process was killed meanwhile.
            Err(Errno::NOENT | Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// Waits for something to read. False when there never will be; nothing at the end.
fn is_ready(source: BorrowedFd<'_>, stopped: BorrowedFd<'_>) -> Option<bool> {
    loop {
        let mut ends = [
            PollFd::from_borrowed_fd(source, PollFlags::IN),
            PollFd::from_borrowed_fd(stopped, PollFlags::IN),
        ];
        match poll(&mut ends, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => return None,
        }
        if !ends[1].revents().is_empty() {
            return None;
        }
        if !ends[0].revents().is_empty() {
            return Some(ends[0].revents().contains(PollFlags::IN));
        }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was reported there.
            let _ = thread.join();
        }
    }
}
