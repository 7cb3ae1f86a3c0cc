//! What a keeper does from its first moment to its last.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use layerfs::{Container, ContainerState, Health, ProcessId, Run, Store};

use super::enter::Household;
use super::health::Check;
use super::log::Log;
use super::once::{self, Started};
use super::outputs::Outputs;
use super::restart::BackOff;
use super::wire::{self, Attach, Reply, Request};
use super::{Keeper, door};
use crate::app::App;
use crate::containers::{ContainerConfig, OWN_FAILURE, failed_start, hostname_seen};
use crate::error::{Failure, Outcome};

/// Keeps a container: starts it, and stays until it has ended for good.
pub(crate) fn keep(app: &App, id: &str) -> Outcome {
    // Whoever closes the terminal that we come from means what runs in it.
    let _ = rustix::process::setsid();
    let asker = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let null = std::fs::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    // Nothing is begun before we are told to; who changes his mind goes away.
    let Some(Request::Start { attach }) = wire::hear(&asker)? else { return Ok(OWN_FAILURE) };
    let first = First { asker, attach };
    match Kept::new(app, id) {
        Ok(kept) => kept.live(first),
        Err(failure) => {
            first.refuse(&failure);
            Ok(OWN_FAILURE)
        }
    }
}

/// The one who had the container started.
struct First {
    asker: UnixStream,
    attach: Option<Attach>,
}

impl First {
    fn refuse(&self, failure: &Failure) {
        let (message, hint) = (failure.message.clone(), failure.hint.clone());
        // Gone away, he need not know.
        let _ = wire::say(&self.asker, &Reply::Failed { message, hint, code: failure.code });
    }
}

/// A container and its keeper.
struct Kept<'a> {
    app: &'a App,
    store: &'a Store,
    container: Container,
    config: ContainerConfig,
    keeper: Arc<Keeper>,
    outputs: Arc<Outputs>,
    check: Option<Check>,
    us: ProcessId,
    restarts: u32,
}

impl<'a> Kept<'a> {
    fn new(app: &'a App, id: &str) -> Result<Self, Failure> {
        let store = app.store()?;
        let container = store.container(id)?;
        let config = ContainerConfig::of(&container)?;
        let log = config.log.map(|limits| Log::open(&container.dir, limits)).transpose()?;
        let household = Household {
            config: config.clone(),
            hostname: hostname_seen(store, &container, &config),
            fake_ids: app.has_one_id(),
        };
        let outputs = Arc::new(Outputs::new(log));
        let keeper = Keeper::new(Some(outputs.clone()), household);
        door::open(&container.dir, keeper.clone())?;
        let shell = config.runtime.shell.as_deref();
        let check = config.runtime.healthcheck.as_ref();
        let check = check.and_then(|check| Check::read(check, shell));
        let us = ProcessId::of(std::process::id())
            .ok_or_else(|| Failure::new("cannot read /proc/self/stat"))?;
        Ok(Kept { app, store, container, config, keeper, outputs, check, us, restarts: 0 })
    }

    /// Runs the container as often as its policy wants.
    fn live(mut self, first: First) -> Outcome {
        let mut first = Some(first);
        let mut back_off = BackOff::default();
        let code = loop {
            let began = Instant::now();
            let code = match self.run(first.take()) {
                Ok(code) => code,
                Err(code) => {
                    self.outputs.finish(code);
                    self.keeper.over(code);
                    return Ok(0);
                }
            };
            self.learn_of_changes();
            if self.keeper.was_asked_to_end() || !self.config.restart.again(code, self.restarts) {
                break code;
            }
            let (keeper, restarts) = (self.us, self.restarts);
            let at = jiff::Timestamp::now().as_second();
            self.note(ContainerState::Restarting { keeper, code, at, restarts });
            self.outputs.finish(code);
            if !self.keeper.rest(back_off.after(began.elapsed())) {
                break code;
            }
            self.restarts += 1;
        };
        self.end(code);
        Ok(0)
    }

    /// One run: its status, or as an error the one of a container that could not be started.
    fn run(&self, first: Option<First>) -> Result<i32, i32> {
        let refuse = |failure: Failure| {
            let code = failed_start::note(&self.container.dir, &failure);
            self.note(self.current().failed(code));
            self.remove_if_asked();
            if let Some(first) = &first {
                first.refuse(&failure);
            }
            code
        };
        failed_start::forget(&self.container.dir).map_err(|error| refuse(error.into()))?;
        let lease = self.store.lease().map_err(|error| refuse(error.into()))?;
        let mut started = once::start(
            self.app,
            &lease,
            self.store,
            &self.container,
            &self.config,
            first.as_ref().and_then(|first| first.attach?.size),
        )
        .map_err(&refuse)?;
        let process = started.process.pid().unsigned_abs();
        // One that has ended already has run all the same: we stand for it.
        let running =
            ContainerState::running(process).or_else(|| ContainerState::running(self.us.pid));
        if let Some(ContainerState::Running(run)) = running {
            let (keeper, restarts) = (Some(self.us), self.restarts);
            let health = self.check.as_ref().map(|_| Health::Starting);
            let run = Run { keeper, restarts, health, ..run };
            self.keeper.record(self.store, &self.container.id, run);
        }
        self.keeper.begin(&mut started).map_err(|error| refuse(error.into()))?;
        self.look_after();
        if let Some(First { asker, attach }) = &first {
            // Before there is anything else to say to him.
            let _ = wire::say(asker, &Reply::Done);
            if let Some(attach) = *attach {
                self.serve(asker, attach);
            }
        }
        drop(first);
        let code = self.keeper.see_through(started, &self.outputs);
        drop(lease);
        Ok(code)
    }

    /// Checks the container's health as long as it runs, on a thread.
    fn look_after(&self) {
        let (Some(check), Some(init)) = (self.check.clone(), self.keeper.running()) else { return };
        let (keeper, dir) = (self.keeper.clone(), self.container.dir.clone());
        // Without a thread for it, it never gets well.
        let _ = thread::Builder::new()
            .name("health".into())
            .spawn(move || check.watch(&keeper, &init, &dir));
    }

    /// Lets the one who had the container started take part in it.
    fn serve(&self, asker: &UnixStream, attach: Attach) {
        let Ok(asker) = asker.try_clone() else { return };
        if self.outputs.add(&asker).is_err() {
            return;
        }
        let keeper = self.keeper.clone();
        // Without a thread for it there is no input.
        let _ = thread::Builder::new().name("asker".into()).spawn(move || {
            let _ = door::take_input(&asker, &keeper, attach);
        });
    }

    /// Writes the end down before anybody hears of it.
    fn end(&self, code: i32) {
        self.note(self.current().ended(code));
        self.remove_if_asked();
        self.outputs.finish(code);
        self.keeper.over(code);
    }

    /// What of a container may be changed while it runs is for the next start.
    fn learn_of_changes(&mut self) {
        let now = self.store.container(&self.container.id).ok();
        if let Some(Ok(now)) = now.map(|container| ContainerConfig::of(&container)) {
            (self.config.restart, self.config.limits) = (now.restart, now.limits);
        }
    }

    fn current(&self) -> ContainerState {
        let container = self.store.container(&self.container.id);
        container.map_or(ContainerState::Created, |container| container.state)
    }

    fn note(&self, state: ContainerState) {
        // A container that was removed by force has no state any more.
        if let Err(error) = self.store.set_container_state(&self.container.id, state) {
            tracing::warn!(%error, "the state of the container is not recorded");
        }
    }

    fn remove_if_asked(&self) {
        if !self.config.auto_remove {
            return;
        }
        let removed = self
            .store
            .lease()
            .and_then(|lease| self.store.remove_container_and_volumes(&lease, &self.container.id));
        if let Err(error) = removed {
            tracing::warn!(%error, "the container is not removed");
        }
    }
}

impl Keeper {
    /// Takes a started container over: from now on it can be fed and signalled.
    fn begin(&self, started: &mut Started) -> std::io::Result<()> {
        *super::lock(&self.input) = started.input.take();
        *super::lock(&self.terminal) = started.terminal.take();
        self.started(&started.process)
    }

    /// Passes on what the container says until it has ended, and answers with its status.
    fn see_through(&self, started: Started, to: &Arc<Outputs>) -> i32 {
        let Started { mut process, outputs, joined, .. } = started;
        let pumps: Vec<_> = outputs
            .into_iter()
            .filter_map(|(channel, from)| {
                let to = to.clone();
                let name = thread::Builder::new().name("output".into());
                name.spawn(move || once::pump(from, channel, &to)).ok()
            })
            .collect();
        let code = process.wait().map_or(OWN_FAILURE.into(), runtime::ExitStatus::shell_code);
        self.ended();
        drop(joined);
        for pump in pumps {
            // One that panicked has nothing more to say.
            let _ = pump.join();
        }
        code
    }
}
