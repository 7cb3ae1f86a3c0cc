//! What a container is confined to that has neither namespaces nor mounts, for those who join it.
//!
//! No process namespace ends such a container's processes with its first one: so who joined it is
//! registered, and is ended by the container's keeper before anything is taken away from the tree.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use crate::{reaper, sys};

/// The tree of a container that runs, and who has joined it.
#[derive(Debug)]
pub struct Confinement {
    directory: OwnedFd,
    guests: Mutex<Guests>,
    /// Somebody left.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Guests {
    /// The container has ended: nobody joins it any more.
    closed: bool,
    next: u64,
    all: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    /// Its id and a descriptor of it, once it runs.
    process: Option<(i32, OwnedFd)>,
}

/// One who joins. Dropped, he has left.
#[derive(Debug)]
pub(crate) struct Guest {
    number: u64,
    confinement: Arc<Confinement>,
}

impl Confinement {
    /// That of a container which is about to start.
    pub(crate) fn new(directory: BorrowedFd<'_>) -> std::io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            directory: directory.try_clone_to_owned()?,
            guests: Mutex::default(),
            changed: Condvar::new(),
        }))
    }

    /// The directory that the container takes for its root.
    pub fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// The first processes of those who have joined.
    pub fn processes(&self) -> Vec<i32> {
        let guests = self.guests();
        guests.all.iter().filter_map(|entry| Some(entry.process.as_ref()?.0)).collect()
    }

    /// Lets one more in, unless the container has ended.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Guest> {
        let mut guests = self.guests();
        if guests.closed {
            return None;
        }
        let number = guests.next;
        guests.next += 1;
        guests.all.push(Entry { number, process: None });
        Some(Guest { number, confinement: self.clone() })
    }

    /// Ends all who have joined, lets nobody in any more, and waits until all have left.
    pub(crate) fn close(&self) {
        let mut guests = self.guests();
        guests.closed = true;
        for (_, process) in guests.all.iter().filter_map(|entry| entry.process.as_ref()) {
            end(process.as_fd());
        }
        while !guests.all.is_empty() {
            guests = self.changed.wait(guests).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn guests(&self) -> MutexGuard<'_, Guests> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guest {
    /// Its process, which runs now.
    pub(crate) fn is(&self, pid: i32, process: BorrowedFd<'_>) -> Result<(), Errno> {
        let mut guests = self.confinement.guests();
        if guests.closed {
            end(process);
        }
        let kept = rustix::io::fcntl_dupfd_cloexec(process, 3)?;
        if let Some(entry) = guests.all.iter_mut().find(|entry| entry.number == self.number) {
            entry.process = Some((pid, kept));
        }
        Ok(())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.confinement.guests().all.retain(|entry| entry.number != self.number);
        self.confinement.changed.notify_all();
    }
}

/// Ends all that is below a reaper. Gone already is just as well.
fn end(process: BorrowedFd<'_>) {
    let _ = sys::pidfd_kill(process, reaper::END);
}
