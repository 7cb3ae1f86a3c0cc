//! A running container, and how it is started.

mod here;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitId, WaitIdOptions};
use rustix::thread::ThreadNameSpaceType;

use crate::cgroup::Groups;
use crate::child::{self, Report};
use crate::confinement::{Confinement, Guest};
use crate::error::Error;
use crate::inmates::Inmates;
use crate::plan::{Plan, Step};
use crate::prepare::{Prepared, Undo, prepare, prepare_join};
use crate::reaper;
use crate::signal::Signal;
use crate::spec::{Join, Process, Spec};
use crate::sys;
use crate::warden::Warden;
use crate::window::Window;

pub use here::run;

/// Enough for the set-up in the new process, which runs on a copy of this stack.
const KEEPER_STACK: usize = 256 << 10;

/// How a container's process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// It exited with this status, 0 to 255.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl ExitStatus {
    /// The status as a shell has it: 128 and the signal's number for a signal.
    pub fn shell_code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }

    /// Whether it exited with status 0.
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(signal) => match Signal::from_number(*signal) {
                Some(signal) => write!(f, "{signal}"),
                None => write!(f, "signal {signal}"),
            },
        }
    }
}

/// A container that was started. Dropping it kills everything in it and waits for the end.
#[derive(Debug)]
pub struct Container {
    pid: i32,
    pidfd: OwnedFd,
    groups: Vec<PathBuf>,
    confinement: Option<Arc<Confinement>>,
    /// The signal that ends all processes.
    killer: i32,
    end: End,
}

/// Whether the container's end is known already.
#[derive(Debug)]
enum End {
    /// The keeper thread tells it.
    Awaited(Receiver<Result<ExitStatus, Errno>>),
    /// The thread that started it sees to it.
    OfThread,
    Known(Result<ExitStatus, Errno>),
}

/// Starts a container.
///
/// Returns when the program has been started, or could not be. In that case nothing is left of
/// it: no process, no mount, no mount point in the root.
///
/// A thread of its own starts the container and stays as long as it runs: the kernel ties the
/// container's life to the thread that started it (`PR_SET_PDEATHSIG`), so that killing this
/// program leaves no container behind; where the container's process 1 is its program, which may
/// change its user, a small process beside it sees to that. The calling thread may end whenever it likes.
///
/// # Errors
/// What keeps the container from starting, the step and its object named.
/// [`Error::ExecNotFound`] and its neighbours when all is ready but the program cannot be run.
pub fn spawn(spec: Spec) -> Result<Container, Error> {
    let name = program_name(&spec.process);
    launch(prepare(spec)?, name)
}

/// Starts one more process in a container that runs; `init` is a descriptor of the container's
/// process 1 ([`Container::pidfd`]), whose id is `pid`. The process ends with the container, and
/// with this program. What the [`Container`] that is given back has to say is about this process
/// alone.
///
/// # Errors
/// As [`spawn`].
pub fn join(init: BorrowedFd<'_>, pid: i32, spec: Join) -> Result<Container, Error> {
    let name = program_name(&spec.process);
    launch(prepare_join(init, pid, spec)?, name)
}

fn program_name(process: &Process) -> String {
    process.args.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn launch(prepared: Prepared, name: String) -> Result<Container, Error> {
    let (started, start) = channel();
    thread::Builder::new()
        .name("container".into())
        .stack_size(KEEPER_STACK)
        .spawn(move || keep(prepared, &name, &started))
        .map_err(|error| Error::setup("start a thread for the container", error))?;
    start.recv().unwrap_or_else(|_| Err(died("its keeper ended")))
}

fn died(status: &'static str) -> Error {
    Error::DiedInSetup { status }
}

/// The keeper thread: starts the process, tells so, waits for its end, clears up, tells that.
fn keep(prepared: Prepared, name: &str, started: &Sender<Result<Container, Error>>) {
    let (plan, rest) = Rest::of(prepared);
    // A handler of this program must not run in the copy of it; other threads take the signals.
    sys::block_signals(true);
    let process = match start(plan, name, rest.killer) {
        Ok(process) => process,
        Err(error) => {
            rest.clear();
            let _ = started.send(Err(error));
            return;
        }
    };
    let (ended, end) = channel();
    let (container, kept) = rest.container(process, End::Awaited(end));
    // Nobody can have gone away: the starter waits for this.
    let _ = started.send(Ok(container));
    // The receiver is gone when the container was dropped while it was still starting.
    let _ = ended.send(kept.until_the_end());
}

/// What was prepared beside the plan.
struct Rest {
    undo: Undo,
    groups: Option<Groups>,
    window: Option<Window>,
    confinement: Option<Arc<Confinement>>,
    guest: Option<Guest>,
    /// The signal that ends all processes.
    killer: i32,
}

impl Rest {
    fn of(prepared: Prepared) -> (Plan, Rest) {
        let Prepared { plan, undo, groups, window, confinement, guest } = prepared;
        // The kernel ends a whole process namespace with its process 1.
        let killer = if plan.has_reaper() { reaper::END } else { Signal::KILL.number() };
        (plan, Rest { undo, groups, window, confinement, guest, killer })
    }

    /// The container of a process, and what is kept for it.
    fn container(self, started: Started, end: End) -> (Container, Kept) {
        let Started { pid, pidfd, held, warden } = started;
        let groups = self.groups.as_ref().map_or_else(Vec::new, |g| g.directories().to_vec());
        if let Some(guest) = &self.guest
            && guest.is(pid, pidfd.as_fd()).is_err()
        {
            // Its container could not end it.
            let _ = sys::pidfd_kill(pidfd.as_fd(), self.killer);
        }
        let confinement = self.confinement.clone();
        let container = Container { pid, pidfd, groups, confinement, killer: self.killer, end };
        (container, Kept { process: held, warden, rest: self })
    }

    fn clear(self) {
        if let Some(confinement) = self.confinement {
            // Nobody may still be at work in what is put back.
            confinement.close();
        }
        drop(self.window);
        self.undo.now();
        drop(self.groups);
        drop(self.guest);
    }
}

/// What there is of a container as long as it runs.
struct Kept {
    process: OwnedFd,
    warden: Option<Warden>,
    rest: Rest,
}

impl Kept {
    /// Waits for the end, and takes everything away.
    fn until_the_end(self) -> Result<ExitStatus, Errno> {
        let status = wait(self.process.as_fd());
        // It has copies of what the container was given until it is gone.
        drop(self.warden);
        self.rest.clear();
        status
    }
}

/// A container whose program runs.
struct Started {
    pid: i32,
    pidfd: OwnedFd,
    /// Another descriptor of the process, for the keeper.
    held: OwnedFd,
    warden: Option<Warden>,
}

/// Starts the process, and its warden. Returns when its program runs.
fn start(mut plan: Plan, name: &str, killer: i32) -> Result<Started, Error> {
    let failed = |what: &str, errno: Errno| Error::setup(what, errno);
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(|e| failed("make a pipe", e))?;
    let report = rustix::io::fcntl_dupfd_cloexec(&writer, 3)
        .map_err(|errno| failed("make a pipe", errno))?;
    drop(writer);
    let mut reader = Some(reader);
    let gate = plan.needs_warden().then(gate).transpose().map_err(|e| failed("make a gate", e))?;
    if let Some(process) = plan.joins {
        // For the children of this thread, which has no other.
        let namespace = ThreadNameSpaceType::PROCESS_ID;
        rustix::thread::move_into_thread_name_spaces(plan.descriptor(process), namespace)
            .map_err(|errno| failed("enter the container's process namespace", errno))?;
    }
    let (pid, pidfd) = sys::clone_child(plan.namespaces, || {
        child::run(&plan, report.as_fd(), gate.as_ref().map(AsFd::as_fd), reader.take());
    })
    .map_err(|errno| failed("start a process in new namespaces", errno))?;
    drop(report);
    // The container's program may change its user, and waits at the gate for the warden. Where
    // there is none the gate opens, too: the failure ends the process below.
    let warden = gate.as_ref().map(|_| Warden::over(pidfd.as_fd())).transpose();
    let opened =
        gate.map_or(Ok(()), |gate| rustix::io::write(&gate, &1_u64.to_ne_bytes()).map(drop));
    plan.close();
    let result = outcome(reader, &plan, name).and_then(|()| {
        let warden = warden.map_err(|errno| failed("start a process to watch it", errno))?;
        opened.map_err(|errno| failed("open the gate", errno))?;
        let held = rustix::io::fcntl_dupfd_cloexec(&pidfd, 3)
            .map_err(|errno| failed("keep the process", errno))?;
        Ok((held, warden))
    });
    match result {
        Ok((held, warden)) => Ok(Started { pid, pidfd, held, warden }),
        Err(error) => {
            let _ = sys::pidfd_kill(pidfd.as_fd(), killer);
            let _ = wait(pidfd.as_fd());
            Err(error)
        }
    }
}

/// Where the new process waits for its warden. Not among the three descriptors that it replaces.
fn gate() -> Result<OwnedFd, Errno> {
    let gate = eventfd(0, EventfdFlags::CLOEXEC)?;
    rustix::io::fcntl_dupfd_cloexec(&gate, 3)
}

/// What the new process has to say: nothing, once its program runs.
fn outcome(reader: Option<OwnedFd>, plan: &Plan, name: &str) -> Result<(), Error> {
    let Some(reader) = reader else { return Err(died("no pipe to it")) };
    let mut report = [0; Report::LENGTH];
    let read = rustix::io::retry_on_intr(|| rustix::io::read(&reader, &mut report))
        .map_err(|errno| Error::setup("read from the new process", errno))?;
    match read {
        0 => Ok(()),
        Report::LENGTH => Err(explain(Report::decode(report), plan, name)),
        _ => Err(died("its report is incomplete")),
    }
}

/// The error that a report stands for.
fn explain(report: Report, plan: &Plan, name: &str) -> Error {
    let source = io::Error::from_raw_os_error(report.errno);
    match plan.steps.get(report.step as usize) {
        Some(Step::WorkingDirectory(path)) => Error::WorkingDirectory {
            path: PathBuf::from(path.to_string_lossy().into_owned()),
            source,
        },
        Some(step) => Error::setup(step.describe(), source),
        None => {
            let program = name.to_owned();
            match report.errno {
                libc::ENOENT | libc::ENOTDIR => {
                    Error::ExecNotFound { searched: !name.contains('/'), program }
                }
                libc::EACCES | libc::EPERM => Error::ExecPermission { program, source },
                libc::ENOEXEC => Error::ExecFormat { program, source },
                _ => Error::Exec { program, source },
            }
        }
    }
}

/// Waits for the end of a process and takes its status.
fn wait(pidfd: BorrowedFd<'_>) -> Result<ExitStatus, Errno> {
    loop {
        let waited = rustix::io::retry_on_intr(|| {
            rustix::process::waitid(WaitId::PidFd(pidfd), WaitIdOptions::EXITED)
        })?;
        let Some(status) = waited else { continue };
        if let Some(code) = status.exit_status() {
            return Ok(ExitStatus::Code(code));
        }
        if let Some(signal) = status.terminating_signal() {
            return Ok(ExitStatus::Signal(signal));
        }
    }
}

impl Container {
    /// The id of the container's process 1, as the caller sees it.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The directories of the control groups that were made for the container, if any were.
    pub fn groups(&self) -> &[PathBuf] {
        &self.groups
    }

    /// Its processes.
    pub fn inmates(&self) -> Inmates {
        Inmates { init: self.pid, confinement: self.confinement.clone() }
    }

    /// What it is confined to, if it has no namespaces: for those who join it.
    pub fn confinement(&self) -> Option<&Arc<Confinement>> {
        self.confinement.as_ref()
    }

    /// A descriptor that becomes readable when the process has ended (pidfd_open(2)).
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Waits for the end of the container: of process 1, with which all others in it end. When
    /// this returns, the mount points made for it are gone from the root. May be called again.
    ///
    /// # Errors
    /// When the kernel does not give the status, which happens when the caller has SIGCHLD
    /// ignored.
    pub fn wait(&mut self) -> Result<ExitStatus, Error> {
        if let End::Awaited(end) = &self.end {
            let status = end.recv().unwrap_or(Err(Errno::CHILD));
            self.end = End::Known(status);
        }
        self.status().unwrap_or(Err(Errno::CHILD)).map_err(|errno| self.error("wait for", errno))
    }

    /// The status if the container has ended and all is cleared up.
    ///
    /// # Errors
    /// As [`Container::wait`].
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>, Error> {
        if let End::Awaited(end) = &self.end
            && let Ok(status) = end.try_recv()
        {
            self.end = End::Known(status);
        }
        self.status().transpose().map_err(|errno| self.error("wait for", errno))
    }

    fn status(&self) -> Option<Result<ExitStatus, Errno>> {
        match self.end {
            End::Awaited(_) | End::OfThread => None,
            End::Known(status) => Some(status),
        }
    }

    /// Sends a signal to process 1. As such it ignores what it has no handler for, SIGKILL
    /// excepted; with [`Spec::init`] the signal goes on to the process, which does not.
    ///
    /// # Errors
    /// When the process has ended, with ESRCH as the cause.
    pub fn signal(&self, signal: Signal) -> Result<(), Error> {
        let number = if signal == Signal::KILL { self.killer } else { signal.number() };
        sys::pidfd_kill(self.pidfd.as_fd(), number).map_err(|errno| self.error("signal", errno))
    }

    /// Kills every process of the container. Done already is done well.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn kill_all(&self) -> Result<(), Error> {
        match sys::pidfd_kill(self.pidfd.as_fd(), self.killer) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(errno) => Err(self.error("kill", errno)),
        }
    }

    /// What kills every process of the container, for who keeps it.
    ///
    /// # Errors
    /// If there are no descriptors left.
    pub fn killer(&self) -> std::io::Result<Killer> {
        Ok(Killer { pidfd: self.pidfd.try_clone()?, signal: self.killer })
    }

    fn error(&self, operation: &'static str, errno: Errno) -> Error {
        Error::Process { operation, pid: self.pid, source: errno.into() }
    }
}

/// Kills every process of a container.
#[derive(Debug)]
pub struct Killer {
    pidfd: OwnedFd,
    signal: i32,
}

impl Killer {
    /// Does it.
    ///
    /// # Errors
    /// When the container has ended, or the kernel refuses.
    pub fn kill(&self) -> std::io::Result<()> {
        self.send(self.signal)
    }

    /// Sends a signal to the first of them, by its number.
    ///
    /// # Errors
    /// As [`Killer::kill`].
    pub fn send(&self, number: i32) -> std::io::Result<()> {
        Ok(sys::pidfd_kill(self.pidfd.as_fd(), number)?)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if let End::Awaited(end) = &self.end {
            let _ = sys::pidfd_kill(self.pidfd.as_fd(), self.killer);
            let _ = end.recv();
        }
    }
}
