//! The embedded registry beside docker-registry: many pulls at once.

use std::cell::RefCell;
use std::time::Instant;

use sha2::{Digest, Sha256};

use super::{Facts, Scenario, Stage};
use crate::bench::daemon::Daemons;
use crate::bench::http::Connection;
use crate::bench::limit;
use crate::bench::measure::Cost;
use crate::bench::probe::Probe;
use crate::bench::registry::{Registry, Served, Server};
use crate::bench::results::{OURS, Target};
use crate::bench::tools::{Task, Tool, perform};
use crate::step::Result;

/// The scenarios of this family.
pub(super) fn scenarios() -> Vec<Box<dyn Scenario>> {
    vec![Box::new(Pulls { ours: RefCell::default() })]
}

/// How many pull at once.
const CLIENTS: usize = 32;
const REPOSITORY: &str = "tierce-bench/large";

struct Pulls {
    ours: RefCell<Option<Registry>>,
}

impl Pulls {
    /// Calls with the registry that a tool stands for.
    fn with<T>(
        &self,
        stage: &Stage,
        tool: &dyn Tool,
        call: impl FnOnce(&Registry) -> Result<T>,
    ) -> Result<T> {
        if tool.name() != OURS {
            return call(stage.fixtures.library());
        }
        call(self.ours.borrow().as_ref().ok_or("the embedded registry has not been started")?)
    }
}

impl Scenario for Pulls {
    fn name(&self) -> &'static str {
        "registry-32"
    }

    fn about(&self) -> &'static str {
        "32 pulls of the large image at once from a registry on a folder"
    }

    fn target(&self) -> Target {
        Target { ratio: Some(2.0), ..Target::default() }
    }

    fn peers(&self) -> &'static [&'static str] {
        &["docker-registry"]
    }

    fn prepare(&self, stage: &Stage) -> Result<()> {
        let image = stage.fixtures.large()?;
        let workshop = stage.fixtures.workshop();
        let folder = stage.fixtures.folder("served")?;
        let registry = Registry::start(Server::Tierce(workshop.binary()), &folder)?;
        let name = registry.name(REPOSITORY);
        perform(workshop, &Task::Name { image: &image, name: &name })?;
        perform(workshop, &Task::Push { image: &name })?;
        *self.ours.borrow_mut() = Some(registry);
        Ok(())
    }

    fn enter(&self, _stage: &Stage, _tool: &dyn Tool) -> Result<()> {
        Ok(())
    }

    fn run(&self, stage: &Stage, tool: &dyn Tool) -> Result<Cost> {
        self.with(stage, tool, |registry| {
            let served = registry.image(REPOSITORY)?;
            let daemon = Daemons::process(registry.pid());
            let before = daemon.sample()?;
            let start = Instant::now();
            pull_at_once(registry.address(), &served)?;
            let wall = start.elapsed().as_secs_f64();
            // The client is none of the registry's cost.
            Ok(daemon.since(&before)?.added_to(Cost { wall, ..Cost::default() }))
        })
    }

    fn verify(&self, stage: &Stage, tool: &dyn Tool) -> Result<()> {
        self.with(stage, tool, |registry| {
            let served = registry.image(REPOSITORY)?;
            let mut connection = Connection::open(registry.address())?;
            let layers = served.layers.iter().map(|(digest, _)| digest);
            for digest in layers.chain([&served.config]) {
                check(&mut connection, digest)?;
            }
            Ok(())
        })
    }

    fn facts(&self, stage: &Stage) -> Result<Facts> {
        *self.ours.borrow_mut() = None;
        let served = stage.fixtures.library().image(REPOSITORY)?;
        let bytes: u64 = served.layers.iter().map(|(_, size)| size).sum();
        crate::bench::arena::remove(&stage.fixtures.folder("served")?)?;
        Ok(Facts::from([("bytes".to_owned(), (bytes * CLIENTS as u64) as f64)]))
    }

    fn limit(&self, probe: &Probe, facts: &Facts) -> Option<f64> {
        Some(limit::serve(probe, *facts.get("bytes")?))
    }
}

/// Each client asks for manifest, configuration and layers on a connection of its own.
fn pull_at_once(address: &str, served: &Served) -> Result<()> {
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| pull(address, served))).collect();
        clients
            .into_iter()
            .try_for_each(|t| t.join().unwrap_or_else(|_| Err("a client panicked".to_owned())))
    })
}

fn pull(address: &str, served: &Served) -> Result<()> {
    let mut connection = Connection::open(address)?;
    connection.document(&format!("/v2/{REPOSITORY}/manifests/1"))?;
    connection.document(&blob(&served.config))?;
    for (digest, size) in &served.layers {
        let received = connection.body(&blob(digest), |_| ())?;
        if received != *size {
            return Err(format!("{digest} has {size} bytes, but {received} came"));
        }
    }
    Ok(())
}

fn check(connection: &mut Connection, digest: &str) -> Result<()> {
    let mut hash = Sha256::new();
    connection.body(&blob(digest), |bytes| hash.update(bytes))?;
    let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if digest == format!("sha256:{found}") {
        return Ok(());
    }
    Err(format!("what was served as {digest} hashes to {found}"))
}

fn blob(digest: &str) -> String {
    format!("/v2/{REPOSITORY}/blobs/{digest}")
}
