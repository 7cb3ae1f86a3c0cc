//! Process 1 of a container that asks for one: reaps orphans, passes signals on, and ends with
//! its child. Runs under the rules of `child`: no allocation, no lock, no panic.

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Signal, WaitOptions};

use crate::sys;

/// Starts a process that does what is left to do, `rest`, and stays behind: returns only if there
/// is no such process. If the init is killed the kernel ends everything in its namespace.
///
/// The init is still a copy of the program that builds images, credentials in its memory
/// included: it stays undumpable, so that nothing in the container can read it.
pub(crate) fn stay_behind(rest: &mut dyn FnMut()) -> Result<(), Errno> {
    sys::block_signals(true);
    // Before the program runs, which must find it so.
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = rustix::thread::set_name(c"tierce-init");
    let child = sys::spawn_sharing(rest)?;
    // A reader of the container's output must see its end when the last process that writes ends;
    // the pipe for reports closes here as well.
    let _ = sys::close_from(0, true);
    sys::exit(watch(child))
}

/// Serves until the child has ended, and gives the status that a shell would.
fn watch(child: i32) -> i32 {
    let end = Signal::CHILD.as_raw();
    loop {
        match sys::wait_signal() {
            Ok(signal) if signal == end => {
                if let Some(status) = reap(child) {
                    return status;
                }
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
