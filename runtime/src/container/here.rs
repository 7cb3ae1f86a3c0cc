//! A container that the calling thread keeps itself: for who waits for it anyhow, a thread less.

use std::os::fd::AsFd;

use rustix::io::Errno;

use super::{Container, End, ExitStatus, Kept, Rest, program_name, start};
use crate::error::Error;
use crate::prepare::prepare;
use crate::spec::Spec;
use crate::sys;

/// Runs a container to its end on this thread: starts it, calls `watch`, and when that returns
/// kills what is still there. Answers what `watch` said and how process 1 ended; by then
/// everything that was made for the container is gone.
///
/// # Errors
/// As [`spawn`](super::spawn); the inner one when the kernel does not give the status.
pub fn run<T>(
    spec: Spec,
    watch: impl FnOnce(&Container) -> T,
) -> Result<(T, Result<ExitStatus, Error>), Error> {
    let name = program_name(&spec.process);
    let (plan, rest) = Rest::of(prepare(spec)?);
    // A handler of this program must not run in the copy of it.
    let started = match sys::without_signals(|| start(plan, &name, rest.killer)) {
        Ok(started) => started,
        Err(error) => {
            rest.clear();
            return Err(error);
        }
    };
    let (container, kept) = rest.container(started, End::OfThread);
    let mut here = Here { container, kept: Some(kept) };
    let said = watch(&here.container);
    let status = here.end().map_err(|errno| here.container.error("wait for", errno));
    Ok((said, status))
}

/// The container, which ends with this, also where `watch` panics.
struct Here {
    container: Container,
    kept: Option<Kept>,
}

impl Here {
    fn end(&mut self) -> Result<ExitStatus, Errno> {
        let Some(kept) = self.kept.take() else { return Err(Errno::CHILD) };
        // One that has ended keeps the status that it ended with.
        let _ = sys::pidfd_kill(self.container.pidfd.as_fd(), self.container.killer);
        kept.until_the_end()
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        let _ = self.end();
    }
}
