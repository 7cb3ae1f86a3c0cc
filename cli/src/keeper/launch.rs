//! Making a keeper for a container.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use layerfs::{Container, ContainerState, Lease, Store};

use super::ask::{lost, reported};
use super::wire::{self, Attach, Reply, Request};
use crate::app::App;
use crate::error::{Doing, Failure};

/// Starts a container under a keeper of its own, and answers with the connection to that: who
/// attaches himself hears all from the first byte on. Returns when the container's program runs,
/// or could not be started.
///
/// `lease` may have the container pinned; the keeper has it from then on.
pub(crate) fn launch(
    app: &App,
    store: &Store,
    lease: &Lease,
    container: &Container,
    attach: Option<Attach>,
) -> Result<UnixStream, Failure> {
    // It outlives who started us.
    runtime::hand_nothing_on()?;
    let (ours, theirs) = UnixStream::pair()?;
    // The same program, even if its file has been replaced meanwhile.
    let mut command = Command::new("/proc/self/exe");
    command.arg("--root").arg(store.root()).arg("keep");
    if app.has_one_id() {
        command.arg("--one-id");
    }
    if app.is_chroot_only() {
        command.arg("--isolation=chroot");
    }
    let mut child = command
        .arg0("tierce")
        .arg(&container.id)
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .doing(|| format!("cannot start a keeper for container {}", container.name))?;
    let state = ContainerState::running(child.id())
        .ok_or_else(|| Failure::new("the keeper has ended before it began"))?;
    if let Err(error) = store.begin_container(lease, &container.id, state) {
        // It ends with the connection.
        drop(ours);
        let _ = child.wait();
        return Err(error.into());
    }
    let said = wire::say(&ours, &Request::Start { attach }).and_then(|()| wire::hear(&ours));
    match said.map_err(lost)? {
        Some(Reply::Done) => Ok(ours),
        Some(Reply::Failed { message, hint, code }) => {
            // What it kept is free again when it is gone.
            let _ = child.wait();
            Err(reported(message, hint, code))
        }
        Some(_) | None => Err(lost(io::Error::other(format!(
            "the keeper of container {} has ended",
            container.name
        )))),
    }
}
