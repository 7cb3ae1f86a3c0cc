//! Containers as the command line makes them: what is kept of one, and how it is started.

mod config;
pub(crate) mod events;
pub(crate) mod failed_start;
pub(crate) mod files;
pub(crate) mod limits;
pub(crate) mod mounts;
mod network;
pub(crate) mod options;
pub(crate) mod spec;
pub(crate) mod status;

use std::sync::Arc;

use layerfs::{Container, ContainerState, Durability, Lease, Run, Store};
use runtime::{Stdio, Stream};

use crate::app::App;
use crate::error::{Failure, Outcome};
use crate::keeper::enter::Household;
use crate::keeper::{Keeper, door};
use crate::networks::NetworkChoice;
use crate::networks::join::{Joined, join};
use crate::signals::Caught;
use crate::ui::say;

pub(crate) use config::ContainerConfig;
pub(crate) use spec::spec;

/// The exit status of `run` and `start` when Tierce itself fails, as docker's.
pub(crate) const OWN_FAILURE: u8 = 125;

/// Starts a container that has our own output, and our input if it is to have any; keeps it until
/// its end, notes that down, and answers with its exit status.
pub(crate) fn run_here(
    app: &App,
    store: &Store,
    lease: &Lease,
    container: &Container,
    config: &ContainerConfig,
) -> Result<u8, Failure> {
    // Until its own process is known, ours stands for it: whoever finds it dead knows the end.
    let starting = ContainerState::running(std::process::id())
        .ok_or_else(|| Failure::new("cannot read /proc/self/stat"))?;
    store.begin_container(lease, &container.id, starting)?;
    let started = start_here(app, store, lease, container, config, starting);
    let Here { mut process, keeper, caught, joined, state } = match started {
        Ok(here) => here,
        Err(failure) => {
            let code = failed_start::note(&container.dir, &failure);
            store.set_container_state(&container.id, starting.failed(code))?;
            return Err(failure);
        }
    };
    let passed = keeper.clone();
    // A container that has just ended needs no signal any more.
    caught.tell(move |number| drop(passed.signal(number)))?;
    let status = process.wait()?;
    caught.ignore();
    keeper.ended();
    drop(joined);
    let code = status.shell_code();
    store.set_container_state(&container.id, state.ended(code))?;
    keeper.over(code);
    Ok(u8::try_from(code).unwrap_or(OWN_FAILURE))
}

/// A container that runs, with what it needs to.
struct Here {
    process: runtime::Container,
    keeper: Arc<Keeper>,
    caught: Caught,
    joined: Joined,
    state: ContainerState,
}

/// Starts a container that is noted as `starting`.
fn start_here(
    app: &App,
    store: &Store,
    lease: &Lease,
    container: &Container,
    config: &ContainerConfig,
    starting: ContainerState,
) -> Result<Here, Failure> {
    let tree = store.prepare_container(lease, container, Durability::Volatile)?;
    let stdin = if config.open_stdin { Stream::Inherit } else { Stream::Null };
    let stdio = Stdio { stdin, stdout: Stream::Inherit, stderr: Stream::Inherit };
    let mut joined = join(app, store, container, config)?;
    let hostname = hostname_seen(store, container, config);
    let spec = spec((app, lease), config, &hostname, tree, stdio, &mut joined)?;
    let household = Household { config: config.clone(), hostname, fake_ids: app.has_one_id() };
    let keeper = Keeper::new(None, household);
    door::open(&container.dir, keeper.clone())?;
    let caught = Caught::catch()?;
    let process = runtime::spawn(spec).map_err(start_failure)?;
    keeper.started(&process)?;
    let mut state = starting;
    // One that has ended already has run all the same: we stand for it.
    let seen = ContainerState::running(process.pid().unsigned_abs()).unwrap_or(starting);
    if let (ContainerState::Running(run), ContainerState::Running(us)) = (seen, starting) {
        let run = Run { keeper: Some(us.process), ..run };
        state = ContainerState::Running(run);
        keeper.record(store, &container.id, run);
    }
    Ok(Here { process, keeper, caught, joined, state })
}

/// A container that could not be started, with docker's exit status: 127 if the program or its
/// directory is not there, 126 if it cannot be run, else a failure of ours.
pub(crate) fn start_failure(error: runtime::Error) -> Failure {
    let code = match &error {
        runtime::Error::ExecNotFound { .. } => 127,
        runtime::Error::WorkingDirectory { source, .. }
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            127
        }
        runtime::Error::ExecPermission { .. }
        | runtime::Error::ExecFormat { .. }
        | runtime::Error::Exec { .. } => 126,
        _ => OWN_FAILURE,
    };
    Failure::from(error).code(code)
}

/// The name that a container has for itself: with the network of another, it is that one's, unless
/// it has one of its own.
pub(crate) fn hostname_seen(
    store: &Store,
    container: &Container,
    config: &ContainerConfig,
) -> String {
    if let (NetworkChoice::Container(name), None) = (&config.network, &config.hostname)
        && let Ok(other) = store.container(name)
        && let Ok(theirs) = ContainerConfig::of(&other)
    {
        return hostname(&other, &theirs).to_owned();
    }
    hostname(container, config).to_owned()
}

/// docker's choice where there is none: the first twelve digits of the id.
pub(crate) fn hostname<'a>(container: &'a Container, config: &'a ContainerConfig) -> &'a str {
    config.hostname.as_deref().unwrap_or(&container.id[..12])
}

/// What became of one of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// What was asked for.
    Done,
    /// Nothing: it is not there, and need not be.
    NotThere,
}

impl From<()> for Done {
    fn from((): ()) -> Done {
        Done::Done
    }
}

/// Does something to each of several things, prints the names of those with which it was done, and
/// goes on after one with which it was not.
pub(crate) fn each<D: Into<Done>>(
    names: &[String],
    mut act: impl FnMut(&str) -> Result<D, Failure>,
) -> Outcome {
    let mut status = 0;
    for name in names {
        match act(name).map(Into::into) {
            Ok(Done::Done) => say!("{name}"),
            Ok(Done::NotThere) => {}
            Err(failure) => {
                anstream::eprintln!("{}{failure}", crate::ui::ERROR);
                status = 1;
            }
        }
    }
    Ok(status)
}
