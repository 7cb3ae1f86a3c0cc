//! The keeper of a container: a small process of its own that starts it, holds its input and
//! output, keeps its log, starts it again, and writes its end down. There is no other daemon.
//!
//! * `launch` makes a keeper, for one container; `process` is what that process does, `once` one
//!   run of the container.
//! * `door` is where others come in: a socket in the container's directory. `wire` is what is said
//!   there, `ask` the other side of it, `joined` that side with a terminal.
//! * `enter` starts more processes in the container.
//! * `health` looks after it; `hold` pauses it, `limit` gives it other limits, `usage` says what it
//!   uses.
//! * `outputs` takes what the container says to its `log` and to all who listen.
//!
//! The kernel ends the container with its keeper. So whoever finds the keeper gone knows that the
//! container is, and nothing has to be cleared up but what the next opening of the store sweeps.
//!
//! `tierce run --rm` that nobody can leave with its container running keeps it in its own process.

pub(crate) mod ask;
pub(crate) mod descriptors;
pub(crate) mod door;
pub(crate) mod enter;
pub(crate) mod health;
mod hold;
pub(crate) mod joined;
pub(crate) mod launch;
mod limit;
pub(crate) mod log;
pub(crate) mod log_notes;
mod once;
mod outputs;
pub(crate) mod process;
pub(crate) mod replay;
pub(crate) mod restart;
mod usage;
pub(crate) mod wire;

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use layerfs::{ContainerState, Run, Store};
use runtime::{Freezer, Inmates, Killer, LaterGroups};
use rustix::process::Signal;

use enter::Household;
use outputs::Outputs;
use wire::{Reply, Size};

/// What the threads of a keeper share.
pub(crate) struct Keeper {
    /// `None` if the container has those of the command that started it.
    outputs: Option<Arc<Outputs>>,
    household: Household,
    /// What the container reads from; `None` if that has ended, or never was.
    input: Mutex<Option<File>>,
    terminal: Mutex<Option<File>>,
    life: Mutex<Life>,
    freezer: Mutex<Freezer>,
    /// What keeps limits that it did not have at its start.
    later_groups: Mutex<Vec<LaterGroups>>,
    /// What the store has of the run.
    record: Mutex<Option<Record>>,
    /// Something about `life` is different.
    changed: Condvar,
}

#[derive(Default)]
struct Life {
    /// The first process, while it runs.
    process: Option<Arc<Init>>,
    /// Somebody asked it to end: it is not started again.
    asked_to_end: bool,
    /// Those who want to know its end.
    waiting: Vec<UnixStream>,
    /// Its end, once that is known.
    over: Option<i32>,
}

/// What is recorded of a container that runs, and where.
struct Record {
    store: Store,
    id: String,
    run: Run,
}

/// The first process of a container that runs.
pub(crate) struct Init {
    pidfd: OwnedFd,
    killer: Killer,
    pid: i32,
    inmates: Inmates,
    /// The directories of its control groups.
    groups: Vec<PathBuf>,
}

/// A signal for a container that does not run.
pub(crate) struct NotRunning;

impl Keeper {
    /// One that has not started its container yet.
    pub(crate) fn new(outputs: Option<Arc<Outputs>>, household: Household) -> Arc<Keeper> {
        Arc::new(Keeper {
            outputs,
            household,
            input: Mutex::new(None),
            terminal: Mutex::new(None),
            life: Mutex::new(Life::default()),
            freezer: Mutex::new(Freezer::default()),
            later_groups: Mutex::new(Vec::new()),
            record: Mutex::new(None),
            changed: Condvar::new(),
        })
    }

    /// The container runs.
    pub(crate) fn started(&self, process: &runtime::Container) -> io::Result<()> {
        let pidfd = process.pidfd().try_clone_to_owned()?;
        let (inmates, groups) = (process.inmates(), process.groups().to_vec());
        let (killer, pid) = (process.killer()?, process.pid());
        self.life().process = Some(Arc::new(Init { pidfd, killer, pid, inmates, groups }));
        Ok(())
    }

    /// Records what is known of the run so far.
    pub(crate) fn record(&self, store: &Store, id: &str, run: Run) {
        let record = Record { store: store.clone(), id: id.to_owned(), run };
        record.write();
        *lock(&self.record) = Some(record);
    }

    /// Where events of the container are noted, as long as it runs.
    fn notes(&self) -> Option<enter::Notes> {
        let record = lock(&self.record);
        record
            .as_ref()
            .map(|record| enter::Notes { store: record.store.clone(), id: record.id.clone() })
    }

    /// Records what has changed, as long as the container runs.
    fn note_run(&self, change: impl FnOnce(&mut Run)) {
        if let Some(record) = lock(&self.record).as_mut() {
            change(&mut record.run);
            record.write();
        }
    }

    /// It does no more.
    pub(crate) fn ended(&self) {
        *lock(&self.record) = None;
        self.life().process = None;
        *lock(&self.freezer) = Freezer::default();
        lock(&self.later_groups).clear();
        *lock(&self.input) = None;
        *lock(&self.terminal) = None;
        self.changed.notify_all();
    }

    /// It never will again: tells all who wait.
    pub(crate) fn over(&self, code: i32) {
        let mut life = self.life();
        life.over = Some(code);
        for asker in life.waiting.drain(..) {
            // One who has gone away need not know.
            let _ = wire::say(&asker, &Reply::Ended(code));
        }
        self.changed.notify_all();
    }

    /// Tells its end to `asker`, when it comes.
    fn tell_end(&self, asker: UnixStream) -> io::Result<()> {
        let mut life = self.life();
        match life.over {
            Some(code) => wire::say(&asker, &Reply::Ended(code)),
            None => {
                life.waiting.push(asker);
                Ok(())
            }
        }
    }

    /// Sends a signal. One that asks it to end also keeps it from being started again.
    pub(crate) fn signal(&self, number: i32) -> Result<(), NotRunning> {
        let mut life = self.life();
        let signal = Signal::from_named_raw(number);
        let is_to_end = signal == Some(Signal::KILL)
            || self.household.config.own_stop_signal().is_none_or(|stop| stop == number);
        if is_to_end {
            life.asked_to_end = true;
            self.changed.notify_all();
        }
        let process = life.process.clone().ok_or(NotRunning)?;
        drop(life);
        send_signal(&process, number).map_err(|_| NotRunning)?;
        if is_to_end {
            // It can only end if it goes on.
            self.let_go(&process);
        }
        Ok(())
    }

    /// Asks it to end, and kills it when that takes too long.
    fn stop(&self, signal: i32, limit: Option<Duration>) {
        self.life().asked_to_end = true;
        self.changed.notify_all();
        if let Some(outputs) = &self.outputs {
            outputs.hurry();
        }
        let Some(process) = self.running() else { return };
        let _ = send_signal(&process, signal);
        self.let_go(&process);
        let Some(limit) = limit else { return };
        let ended = |life: &Life| life.process.is_none();
        if !self.wait_until(ended, limit) {
            let _ = send_signal(&process, Signal::KILL.as_raw());
        }
    }

    /// Waits before another start. Says whether nobody asked it to end meanwhile.
    fn rest(&self, wait: Duration) -> bool {
        !self.wait_until(|life| life.asked_to_end, wait)
    }

    /// The first process, if the container runs.
    fn running(&self) -> Option<Arc<Init>> {
        self.life().process.clone()
    }

    fn was_asked_to_end(&self) -> bool {
        self.life().asked_to_end
    }

    /// Waits so long; true as soon as this run of the container has ended.
    fn ends_within(&self, init: &Arc<Init>, limit: Duration) -> bool {
        let is_other =
            |life: &Life| !life.process.as_ref().is_some_and(|now| Arc::ptr_eq(now, init));
        self.wait_until(is_other, limit)
    }

    fn wait_until(&self, holds: impl Fn(&Life) -> bool, limit: Duration) -> bool {
        let end = Instant::now().checked_add(limit);
        let mut life = self.life();
        while !holds(&life) {
            let left =
                end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(life, left);
            (life, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    /// Gives the container something to read.
    fn feed(&self, bytes: &[u8]) {
        let input = lock(&self.input).as_ref().and_then(|input| input.try_clone().ok());
        // A container that reads no more is no fault of who writes.
        if let Some(mut input) = input {
            let _ = input.write_all(bytes);
        }
    }

    /// Ends what the container reads; a terminal has no end.
    fn end_input(&self) {
        *lock(&self.input) = None;
    }

    /// Tells the container's terminal its size.
    fn resize(&self, size: Size) {
        if let Some(terminal) = lock(&self.terminal).as_ref() {
            crate::terminal::resize(terminal, size);
        }
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        lock(&self.life)
    }
}

impl Record {
    fn write(&self) {
        // A container that was removed by force has no state any more.
        if let Err(error) =
            self.store.set_container_state(&self.id, ContainerState::Running(self.run))
        {
            tracing::warn!(%error, "the state of the container is not recorded");
        }
    }
}

fn send_signal(process: &Init, number: i32) -> io::Result<()> {
    match Signal::from_named_raw(number) {
        // All processes end with the first, also where those of the machine are around it.
        Some(Signal::KILL) => process.killer.kill(),
        _ => process.killer.send(number),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
