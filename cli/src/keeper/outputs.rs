//! What a container says, on its way to the log and to all who listen.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::lock;
use super::log::{Channel, Log};
use super::wire::{self, Kind, Reply};

/// How long a listener may take for a part of a frame, once the container is to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where a container's output goes. A listener that reads slowly slows the container down, as a
/// pipe does; nothing piles up.
pub(crate) struct Outputs {
    log: Mutex<Option<Log>>,
    listeners: Mutex<Vec<UnixStream>>,
    /// Somebody wants the container to end: listeners that read nothing are given up.
    hurry: AtomicBool,
}

impl Outputs {
    /// With a log, or without.
    pub(super) fn new(log: Option<Log>) -> Outputs {
        let (listeners, hurry) = (Mutex::new(Vec::new()), AtomicBool::new(false));
        Outputs { log: Mutex::new(log), listeners, hurry }
    }

    /// Tells everything from now on to one more.
    pub(super) fn add(&self, listener: &UnixStream) -> io::Result<()> {
        let listener = listener.try_clone()?;
        listener.set_write_timeout(Some(PATIENCE))?;
        lock(&self.listeners).push(listener);
        Ok(())
    }

    /// Waits for no listener that does not listen.
    pub(super) fn hurry(&self) {
        self.hurry.store(true, Ordering::Relaxed);
    }

    /// Passes on what the container said.
    pub(super) fn write(&self, channel: Channel, bytes: &[u8]) {
        if let Some(log) = lock(&self.log).as_mut()
            && let Err(error) = log.write(channel, bytes)
        {
            // A full disk is no reason to stop the container.
            tracing::warn!(%error, "the log is incomplete");
        }
        let kind = match channel {
            Channel::Stdout => Kind::Stdout,
            Channel::Stderr => Kind::Stderr,
        };
        self.tell(|to| wire::send(to, kind, bytes));
    }

    /// There will be no more from this channel for now.
    pub(super) fn end_line(&self, channel: Channel) {
        if let Some(log) = lock(&self.log).as_mut()
            && let Err(error) = log.end_line(channel)
        {
            tracing::warn!(%error, "the log is incomplete");
        }
    }

    /// Tells all listeners that the container has ended, and lets them go.
    pub(super) fn finish(&self, code: i32) {
        self.tell(|to| wire::say(to, &Reply::Ended(code)));
        lock(&self.listeners).clear();
    }

    fn tell(&self, send: impl Fn(Patient<'_>) -> io::Result<()>) {
        let hurry = &self.hurry;
        // Who cannot be reached any more is forgotten.
        lock(&self.listeners).retain(|listener| send(Patient { listener, hurry }).is_ok());
    }
}

/// A listener that is waited for until there is a hurry.
struct Patient<'a> {
    listener: &'a UnixStream,
    hurry: &'a AtomicBool,
}

impl Write for Patient<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.listener.write(bytes) {
                Err(e)
                    if e.kind() == io::ErrorKind::WouldBlock
                        && !self.hurry.load(Ordering::Relaxed) => {}
                result => return result,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
