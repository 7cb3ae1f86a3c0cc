//! More processes for a container that runs.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;

use layerfs::{Root, Store};
use runtime::{Join, Process, Stdio, Stream};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};

use super::wire::{Exec, Reply};
use super::{Init, descriptors, wire};
use crate::containers::events::note;
use crate::containers::{ContainerConfig, OWN_FAILURE, spec, start_failure};
use crate::error::Failure;
use crate::terminal::Terminal;

/// What is common to all processes of a container.
pub(crate) struct Household {
    pub(crate) config: ContainerConfig,
    pub(crate) hostname: String,
    /// Whether changes of owner are pretended.
    pub(crate) fake_ids: bool,
}

impl Household {
    /// Starts a process beside the container's first one.
    pub(super) fn enter(
        &self,
        init: &Init,
        groups: Vec<PathBuf>,
        exec: &Exec,
        stdio: Stdio,
    ) -> Result<runtime::Container, Failure> {
        let root = root_of(init)?;
        let asked = exec.user.as_deref().unwrap_or(&self.config.runtime.user);
        let user = spec::resolve_user(&root, asked, &self.config.sharing.group_add)?;
        let mut env = self.config.runtime.env.clone();
        for pair in &exec.env {
            spec::replace_variable(&mut env, pair);
        }
        let cwd = exec.working_dir.as_deref().unwrap_or(&self.config.runtime.working_dir);
        let kept = self.config.isolation.privileges(exec.privileged)?;
        let join = Join {
            process: Process {
                args: exec.args.iter().map(OsString::from).collect(),
                env: spec::environment(&env, &self.hostname, &user.home, exec.terminal),
                cwd: Path::new("/").join(cwd),
                user,
                umask: self.config.umask(),
                limits: self.config.isolation.limits(),
            },
            capabilities: kept.capabilities,
            seccomp: kept.seccomp,
            no_new_privileges: kept.no_new_privileges,
            fake_ids: self.fake_ids,
            groups,
            confinement: init.inmates.confinement.clone(),
            stdio,
        };
        runtime::join(init.pidfd.as_fd(), init.pid, join).map_err(start_failure)
    }

    /// Serves one who wants a process of his own in the container, to its end.
    pub(super) fn serve(
        &self,
        asked: &Asked<'_>,
        init: &Init,
        groups: Vec<PathBuf>,
        notes: Option<&Notes>,
    ) -> io::Result<()> {
        let Asked { asker, exec } = *asked;
        let mut ours: Option<File> = None;
        let stdio = match exec {
            Exec { detach: true, terminal: false, .. } => {
                Stdio { stdin: Stream::Null, stdout: Stream::Null, stderr: Stream::Null }
            }
            Exec { terminal: true, .. } => {
                let (terminal, theirs) = terminal_in(init)?;
                if let Some(size) = exec.size {
                    crate::terminal::resize(&terminal, size);
                }
                ours = Some(terminal);
                let stream = || theirs.try_clone().map(Stream::Terminal);
                Stdio { stdin: stream()?, stdout: stream()?, stderr: stream()? }
            }
            Exec { .. } => {
                let [stdin, stdout, stderr] = descriptors::take(asker)?.map(Stream::Fd);
                Stdio { stdin, stdout, stderr }
            }
        };
        let mut process = match self.enter(init, groups, exec, stdio) {
            Ok(process) => process,
            Err(Failure { message, hint, code }) => {
                return wire::say(asker, &Reply::Failed { message, hint, code });
            }
        };
        // The process goes on if whoever wanted it has gone away.
        let _ = wire::say(asker, &Reply::Done);
        if let Some(terminal) = ours {
            let reader = if exec.detach {
                None
            } else {
                let _ = descriptors::pass(asker, &[terminal.as_fd()]);
                Some(asker.try_clone()?)
            };
            read_on(terminal, reader)?;
        }
        let id = exec_id(process.pid());
        if let Some(notes) = notes {
            let command = exec.args.join(" ");
            notes.note(&format!("exec_create: {command}"), &[("execID", id.clone())]);
            notes.note(&format!("exec_start: {command}"), &[("execID", id.clone())]);
        }
        let code = process.wait().map_or(OWN_FAILURE.into(), runtime::ExitStatus::shell_code);
        if let Some(notes) = notes {
            notes.note("exec_die", &[("execID", id), ("exitCode", code.to_string())]);
        }
        wire::say(asker, &Reply::Ended(code))
    }
}

/// What somebody wants to be run, and where he is told of it.
pub(super) struct Asked<'a> {
    pub(super) asker: &'a UnixStream,
    pub(super) exec: &'a Exec,
}

/// Notes events of a container.
pub(super) struct Notes {
    pub(super) store: Store,
    pub(super) id: String,
}

impl Notes {
    fn note(&self, action: &str, more: &[(&str, String)]) {
        // One that is being removed needs none any more.
        if let Ok(container) = self.store.container(&self.id) {
            note(&self.store, &container, action, more);
        }
    }
}

/// What events know a process by.
fn exec_id(pid: i32) -> String {
    let moment = jiff::Timestamp::now().as_nanosecond();
    oci::Algorithm::Sha256.digest(format!("{moment} {pid}").as_bytes()).hex().to_owned()
}

/// Reads what a process says at its terminal once nobody else does: it may go on, and must not wait
/// for a reader. `reader` is the connection to who reads until he goes.
fn read_on(mut terminal: File, reader: Option<UnixStream>) -> io::Result<()> {
    let read = move || {
        if let Some(reader) = reader {
            while matches!(wire::receive(&reader), Ok(Some(_))) {}
        }
        // It ends with the last process that has the terminal.
        let _ = io::copy(&mut terminal, &mut io::sink());
    };
    thread::Builder::new().name("terminal".into()).spawn(read).map(drop)
}

/// The root of a running container.
fn root_of(init: &Init) -> Result<Root, Failure> {
    match &init.inmates.confinement {
        Some(confinement) => Ok(Root::from_fd(confinement.directory().try_clone_to_owned()?)),
        None => Ok(Root::open(&PathBuf::from(format!("/proc/{}/root", init.pid)))?),
    }
}

/// A new terminal of the container's own, by whose name its programs find it: our side and theirs.
fn terminal_in(init: &Init) -> io::Result<(File, OwnedFd)> {
    let other = |failure: Failure| io::Error::other(failure.message);
    if init.inmates.confinement.is_some() {
        // It shows the machine's.
        let terminal = Terminal::open().map_err(other)?;
        let theirs = terminal.theirs()?;
        return Ok((terminal.into_ours(), theirs));
    }
    let root = root_of(init).map_err(other)?;
    let multiplexer = root.open_dir("dev/pts").map_err(io::Error::other)?;
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
    let ours = rustix::fs::openat(multiplexer.as_fd(), "ptmx", flags, rustix::fs::Mode::empty())?;
    unlockpt(&ours)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let theirs = ioctl_tiocgptpeer(&ours, flags)?;
    Ok((ours.into(), theirs))
}
