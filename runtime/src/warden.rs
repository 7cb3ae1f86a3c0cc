//! The process that ends a container whose program is killed.
//!
//! The kernel does that by itself with `PR_SET_PDEATHSIG`, unless process 1 of the container has
//! become another user since: that clears the signal (prctl(2)), as with every service that gives
//! its root rights up. An init of ours never does, and needs no warden. Nor does this process, so
//! it keeps its own signal. It runs under the rules of `child`: no allocation, no lock, no panic.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Pid, Signal, WaitId, WaitIdOptions, getpid, getppid, waitid,
};

use crate::sys;

/// A warden over one container. Dropped, it goes; the container does not.
pub(crate) struct Warden(OwnedFd);

impl Warden {
    /// Starts one. The calling thread must have all signals blocked, and live as long as the
    /// container.
    pub(crate) fn over(container: BorrowedFd<'_>) -> Result<Self, Errno> {
        let program = getpid();
        let (_, pidfd) = sys::clone_child(0, || watch(program, container))?;
        Ok(Self(pidfd))
    }
}

impl Drop for Warden {
    fn drop(&mut self) {
        // Gone already is just as well; nobody else waits for it.
        let _ = sys::pidfd_kill(self.0.as_fd(), Signal::KILL.as_raw());
        let _ = rustix::io::retry_on_intr(|| {
            waitid(WaitId::PidFd(self.0.as_fd()), WaitIdOptions::EXITED)
        });
    }
}

/// Waits for the end of the program, and ends the container then.
fn watch(program: Pid, container: BorrowedFd<'_>) {
    // A copy of the program, credentials in its memory included, is for nobody to read; and what
    // ends all of a terminal's or a shell's job must leave this one to do its work.
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = rustix::thread::set_name(c"tierce-warden");
    let _ = rustix::process::setsid();
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::TERM));
    // Locks, pipes and connections of the program must not outlive it here.
    if sys::redirect(container, 0).is_err() || sys::close_from(1, true).is_err() {
        return;
    }
    // The program may have been killed before the signal was asked for.
    while getppid() == Some(program) {
        let _ = sys::wait_signal();
    }
    let _ = sys::pidfd_kill(rustix::stdio::stdin(), Signal::KILL.as_raw());
}
