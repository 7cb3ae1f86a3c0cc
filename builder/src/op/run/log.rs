//! What a process writes, on its way to the progress display.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use runtime::Container;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::cancel::Cancel;
use crate::progress::{Event, Progress, StepId, Stream};

/// A line longer than this, in bytes, is passed on in pieces.
const MAX_LINE: usize = 32 << 10;
/// How much of the end is kept for the report of a failure, in bytes.
const TAIL: usize = 16 << 10;

/// Both streams of a process.
pub(super) struct Log<'a> {
    pipes: [Pipe; 2],
    tail: VecDeque<u8>,
    step: StepId,
    progress: &'a dyn Progress,
}

struct Pipe {
    stream: Stream,
    /// The end to read from; none once the other end is closed.
    fd: Option<OwnedFd>,
    /// What came since the last whole line.
    pending: Vec<u8>,
}

impl<'a> Log<'a> {
    /// A log, and the ends that the process writes to: standard output and error.
    pub(super) fn new(
        step: StepId,
        progress: &'a dyn Progress,
    ) -> io::Result<(Log<'a>, OwnedFd, OwnedFd)> {
        let pipe = |stream| -> io::Result<(Pipe, OwnedFd)> {
            let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
            // Only our end must not block: the process has a right to a pipe that waits.
            rustix::fs::fcntl_setfl(&read, rustix::fs::OFlags::NONBLOCK)?;
            Ok((Pipe { stream, fd: Some(read), pending: Vec::new() }, write))
        };
        let (stdout, out) = pipe(Stream::Stdout)?;
        let (stderr, err) = pipe(Stream::Stderr)?;
        let log = Log { pipes: [stdout, stderr], tail: VecDeque::new(), step, progress };
        Ok((log, out, err))
    }

    /// Passes on what comes until the process ends; answers no if the build was cancelled first.
    pub(super) fn follow(&mut self, container: &Container, cancel: &Cancel) -> io::Result<bool> {
        loop {
            let open: Vec<usize> =
                (0..2).filter(|number| self.pipes[*number].fd.is_some()).collect();
            let mut fds = vec![
                PollFd::from_borrowed_fd(cancel.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(container.pidfd(), PollFlags::IN),
            ];
            fds.extend(
                self.pipes
                    .iter()
                    .filter_map(|pipe| pipe.fd.as_ref())
                    .map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN)),
            );
            match poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
            let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            if ready[0] {
                return Ok(false);
            }
            for (number, ready) in open.into_iter().zip(&ready[2..]) {
                if *ready {
                    self.read(number)?;
                }
            }
            if ready[1] {
                return Ok(true);
            }
        }
    }

    /// Passes on what is still in the pipes. Every process of the container is dead.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        for number in 0..2 {
            while self.read(number)? {}
            self.pass_on(number, true);
        }
        Ok(())
    }

    /// The last that was written, in whole lines where they fit.
    pub(super) fn into_tail(self) -> Vec<u8> {
        let mut tail: Vec<u8> = self.tail.into();
        if tail.len() >= TAIL
            && let Some(end) = tail.iter().position(|byte| *byte == b'\n')
            && end + 1 < tail.len()
        {
            tail.drain(..=end);
        }
        tail
    }

    /// Reads once; answers whether there may be more.
    fn read(&mut self, number: usize) -> io::Result<bool> {
        let mut buffer = [0; 32 << 10];
        let pipe = &mut self.pipes[number];
        let Some(fd) = &pipe.fd else { return Ok(false) };
        match rustix::io::retry_on_intr(|| rustix::io::read(fd, &mut buffer)) {
            Ok(0) => {
                pipe.fd = None;
                Ok(false)
            }
            Ok(count) => {
                pipe.pending.extend_from_slice(&buffer[..count]);
                self.pass_on(number, false);
                Ok(true)
            }
            Err(Errno::AGAIN) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Passes on whole lines, and at the end what is left.
    fn pass_on(&mut self, number: usize, all: bool) {
        let pipe = &mut self.pipes[number];
        let whole = match pipe.pending.iter().rposition(|byte| *byte == b'\n') {
            _ if all || pipe.pending.len() >= MAX_LINE => pipe.pending.len(),
            Some(end) => end + 1,
            None => return,
        };
        if whole == 0 {
            return;
        }
        let bytes = &pipe.pending[..whole];
        self.progress.event(Event::Log { step: self.step, stream: pipe.stream, bytes });
        self.tail.extend(bytes);
        let excess = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..excess);
        pipe.pending.drain(..whole);
    }
}
