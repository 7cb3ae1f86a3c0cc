//! The process above a container that has no process namespace of its own: all that its program
//! starts and leaves behind becomes its children (`PR_SET_CHILD_SUBREAPER`), which it reaps, and
//! kills in the end. Runs under the rules of `child`: no allocation, no lock, no panic.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;

use rustix::fs::{Mode, OFlags, RawDir};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Pid, Signal, WaitOptions, getpid};

use crate::{child, sys};

/// The signal upon which everything is killed: the last one, which no program uses. It comes from
/// the kernel when the thread that started the container ends.
pub(crate) const END: i32 = 64;

/// Forks. Returns in the new process, which goes on with the plan; this one stays behind. `proc`
/// is the directory of all processes.
pub(crate) fn stay_behind(proc: BorrowedFd<'_>, report: BorrowedFd<'_>) -> Result<(), Errno> {
    sys::block_signals(true);
    rustix::process::set_child_subreaper(Some(getpid()))?;
    let child = sys::fork()?;
    if child == 0 {
        return Ok(());
    }
    // A copy of the program, credentials in its memory included, is for nobody to read.
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = rustix::thread::set_name(c"tierce-reaper");
    // The thread may have ended before the signal was asked for: then nobody reads the reports.
    if sys::signal_at_parents_end(END).is_err() || !child::is_read(report).unwrap_or(false) {
        sys::kill(child, libc::SIGKILL);
    }
    // A reader of the container's output must see its end when the last process that writes ends.
    if sys::redirect(proc, 0).is_err() || sys::close_from(1, true).is_err() {
        sys::kill(child, libc::SIGKILL);
    }
    sys::exit(watch(child))
}

/// Serves until the child has ended, and gives the status that a shell would.
fn watch(child: i32) -> i32 {
    loop {
        match sys::wait_signal() {
            Ok(signal) if signal == Signal::CHILD.as_raw() => {
                if let Some(status) = reap(child) {
                    kill_all();
                    return status;
                }
            }
            Ok(END) => {
                kill_all();
                return 128 + libc::SIGKILL;
            }
            Ok(signal) => sys::kill(child, signal),
            Err(_) => {}
        }
    }
}

/// Takes the status of all that has ended. Gives the child's if that was among them.
fn reap(child: i32) -> Option<i32> {
    let mut status = None;
    while let Ok(Some((pid, ended))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid.as_raw_nonzero().get() == child {
            status = ended.exit_status().or(ended.terminating_signal().map(|signal| 128 + signal));
        }
    }
    status
}

/// Kills all children, and those who become children thereby, until there are none.
fn kill_all() {
    loop {
        kill_children();
        match rustix::process::wait(WaitOptions::empty()) {
            Err(Errno::CHILD) => return,
            _ => while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {},
        }
    }
}

/// Kills every process whose parent this one is.
fn kill_children() {
    let own = getpid().as_raw_nonzero().get();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let list = rustix::fs::openat(rustix::stdio::stdin(), c".", flags, Mode::empty());
    let Ok(list) = list else { return };
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(list, &mut buffer);
    while let Some(Ok(entry)) = entries.next() {
        let Some(pid) = number(entry.file_name().to_bytes()) else { continue };
        if parent_of(entry.file_name()) == Some(own) && Pid::from_raw(pid).is_some() {
            sys::kill(pid, libc::SIGKILL);
        }
    }
}

/// The parent of the process whose directory below /proc has this name.
fn parent_of(name: &CStr) -> Option<i32> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let process = rustix::fs::openat(rustix::stdio::stdin(), name, flags, Mode::empty()).ok()?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let stat = rustix::fs::openat(&process, c"stat", flags, Mode::empty()).ok()?;
    let mut line = [0; 256];
    let length = rustix::io::read(&stat, &mut line).ok()?;
    // The name is in parentheses, and may have some of its own: the number, the name, the state,
    // the parent.
    let line = line.get(..length)?;
    let end = line.iter().rposition(|byte| *byte == b')')?;
    number(line.get(end + 1..)?.split(|byte| *byte == b' ').nth(2)?)
}

fn number(digits: &[u8]) -> Option<i32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_i32, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| i32::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_are_a_number() {
        assert_eq!(number(b"4194304"), Some(4_194_304));
        for text in [&b""[..], b"self", b"12a", b"-1", b"99999999999"] {
            assert_eq!(number(text), None);
        }
    }
}
