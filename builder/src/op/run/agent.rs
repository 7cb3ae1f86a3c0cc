//! An ssh agent for a RUN: a socket of the step's own, whose requests go to the agent of whoever
//! builds.
//!
//! The agent's own socket is not mounted: most agents look who calls, and a process of the build
//! may have any user; and a process of the build must not add keys, remove them or lock the agent.

mod forward;
mod protocol;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use layerfs::IdMode;
use runtime::MountSource;
use rustix::fs::{AtFlags, Gid, Mode, Uid};
use rustix::pipe::{PipeFlags, pipe_with};

use super::handed::{Access, Agent};
use crate::error::StepCause;

/// An agent's socket while the step runs.
pub(super) struct Forwarded {
    /// A file system in memory with the socket: nothing is left of it after a kill. Where nothing
    /// can be mounted, the directory `place`.
    tree: OwnedFd,
    place: Option<PathBuf>,
    /// Closed, it ends the thread.
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Forwarded {
    /// The socket's name in the tree.
    const SOCKET: &'static str = "agent";

    /// Listens on a new socket for whoever wants to speak to the agent at `socket`.
    /// Its socket is made in the directory `place`, if one is given.
    pub(super) fn start(
        agent: &Agent,
        socket: &Path,
        ids: IdMode,
        place: Option<PathBuf>,
    ) -> Result<Self, StepCause> {
        let failed = |source| StepCause::Io { operation: "forward an ssh agent", source };
        let tree = match &place {
            Some(place) => directory(place),
            None => runtime::memory_tree().map_err(io::Error::other),
        };
        let tree = tree.map_err(failed)?;
        let listener = listen(&tree, agent.access, ids).map_err(failed)?;
        let (stopped, stop) =
            pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from).map_err(failed)?;
        let socket = socket.to_owned();
        let thread = std::thread::Builder::new()
            .name("ssh agent".into())
            .spawn(move || forward::serve(&listener, &socket, stopped.as_fd()))
            .map_err(failed)?;
        Ok(Self { tree, place, stop: Some(stop), thread: Some(thread) })
    }

    /// The socket, to be mounted.
    pub(super) fn socket(&self) -> Result<MountSource, StepCause> {
        if let Some(place) = &self.place {
            return Ok(MountSource::Lend(place.join(Self::SOCKET)));
        }
        let operation = "mount the socket of an ssh agent";
        let tree = self.tree.try_clone().map_err(|source| StepCause::Io { operation, source })?;
        Ok(MountSource::Part { tree, path: Self::SOCKET.into() })
    }
}

impl Drop for Forwarded {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was reported there.
            let _ = thread.join();
        }
    }
}

/// A new directory for a socket.
fn directory(place: &Path) -> io::Result<OwnedFd> {
    std::fs::create_dir_all(place)?;
    Ok(std::fs::File::open(place)?.into())
}

/// A socket in the tree. bind(2) takes a path only.
fn listen(tree: &OwnedFd, access: Access, ids: IdMode) -> io::Result<UnixListener> {
    use std::os::fd::AsRawFd;
    let name = Forwarded::SOCKET;
    let path = PathBuf::from(format!("/proc/self/fd/{}", tree.as_raw_fd())).join(name);
    let listener = UnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    if ids == IdMode::Full {
        let (uid, gid) = (Uid::from_raw(access.uid), Gid::from_raw(access.gid));
        rustix::fs::chownat(tree, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    rustix::fs::chmodat(tree, name, Mode::from_raw_mode(access.mode & 0o777), AtFlags::empty())?;
    Ok(listener)
}
