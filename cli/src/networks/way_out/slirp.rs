//! slirp4netns, which ends with a pipe.

use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};

use super::{INTERFACE, Program, Started, passed};
use crate::error::Failure;

/// Opens the way out of a namespace.
pub(super) fn open(path: &Path, namespace: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
    let (is_over, stop) = io::pipe()?;
    let (mut ready, tell) = io::pipe()?;
    let (over, told) = (passed(is_over.as_fd())?, passed(tell.as_fd())?);
    let namespace = passed(namespace)?;
    let mut command = Command::new(path);
    command
        .args(["--configure", "--mtu=65520", "--disable-host-loopback", "--netns-type=path"])
        .arg(format!("--exit-fd={}", over.as_raw_fd()))
        .arg(format!("--ready-fd={}", told.as_raw_fd()))
        .arg(format!("/proc/self/fd/{}", namespace.as_raw_fd()))
        .arg(INTERFACE);
    let started = Started::start(command, Stdio::null())?;
    drop((over, told, is_over, tell));
    let mut answer = [0];
    // It ends with the pipe, if it is not ready before.
    if ready.read(&mut answer)? == 1 {
        started.leave()?;
        return Ok(stop.into());
    }
    drop(stop);
    Err(started.failure(Program::Slirp))
}
