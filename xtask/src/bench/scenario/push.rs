//! Pushes: of layers that were never compressed, and of nothing new.

use std::io::Read;
use std::process::{Command, Stdio};

use super::pull::{large_facts, verify_large};
use super::{Facts, Scenario, Stage, load};
use crate::bench::limit;
use crate::bench::measure::Cost;
use crate::bench::probe::Probe;
use crate::bench::results::Target;
use crate::bench::tools::{Task, Tool, perform};
use crate::step::Result;

/// The scenarios of this family.
pub(super) fn scenarios() -> Vec<Box<dyn Scenario>> {
    vec![Box::new(New), Box::new(Unchanged)]
}

/// Where all push to.
const REPOSITORY: &str = "tierce-bench/pushed";

fn name(stage: &Stage) -> String {
    stage.fixtures.target().borrow().name(REPOSITORY)
}

/// The large image in the tool's store, its layers as files and not as blobs.
fn build(stage: &Stage, tool: &dyn Tool) -> Result<()> {
    let from = stage.fixtures.large()?;
    let (context, _) = stage.fixtures.large_context()?;
    let tag = name(stage);
    let build = Task::Build { context: &context, tag: &tag, cache: true };
    let task = if tool.commands(&build).is_some() { build } else { Task::Prepare { from: &from } };
    perform(tool, &task).map(drop)
}

/// What was pushed is what went in: Tierce pulls it, which checks each layer, and reads it.
fn verify(stage: &Stage) -> Result<()> {
    let image = name(stage);
    let workshop = stage.fixtures.workshop();
    perform(workshop, &Task::Pull { image: &image })?;
    verify_large(stage, workshop, &image)?;
    perform(workshop, &Task::Remove { image: &image })?;
    perform(workshop, &Task::Prune).map(drop)
}

struct New;

impl Scenario for New {
    fn name(&self) -> &'static str {
        "push-new"
    }

    fn about(&self) -> &'static str {
        "push the same image as it was built, its layers not yet compressed"
    }

    fn target(&self) -> Target {
        Target { ratio: Some(6.0), size: Some(1.12), ..Target::default() }
    }

    fn peers(&self) -> &'static [&'static str] {
        &["docker", "buildah", "podman", "skopeo+umoci"]
    }

    fn prepare(&self, stage: &Stage) -> Result<()> {
        stage.fixtures.large().map(drop)
    }

    fn enter(&self, stage: &Stage, tool: &dyn Tool) -> Result<()> {
        build(stage, tool)
    }

    fn before(&self, stage: &Stage, tool: &dyn Tool, round: usize) -> Result<()> {
        stage.fixtures.target().borrow_mut().empty()?;
        if round > 0 && tool.keeps_compressed_layers() {
            perform(tool, &Task::Clear)?;
            build(stage, tool)?;
        }
        Ok(())
    }

    fn run(&self, stage: &Stage, tool: &dyn Tool) -> Result<Cost> {
        stage.time(tool, &Task::Push { image: &name(stage) })
    }

    fn verify(&self, stage: &Stage, _tool: &dyn Tool) -> Result<()> {
        verify(stage)
    }

    fn facts(&self, stage: &Stage) -> Result<Facts> {
        let mut facts = large_facts(stage)?;
        // The library holds what Tierce made of these layers, with the same encoder.
        let ours = facts.get("compressed").copied().unwrap_or_default();
        facts.insert("size of gzip -6".to_owned(), ours / gzip_6(stage)? as f64);
        Ok(facts)
    }

    fn limit(&self, probe: &Probe, facts: &Facts) -> Option<f64> {
        Some(limit::push(probe, load(facts)))
    }
}

/// The size that `gzip -6` gives the large image's layers.
fn gzip_6(stage: &Stage) -> Result<u64> {
    let address = stage.fixtures.library().address();
    let served = stage.fixtures.library().image("tierce-bench/large")?;
    std::thread::scope(|scope| {
        let layers: Vec<_> = served
            .layers
            .iter()
            .map(|(digest, _)| scope.spawn(move || recompressed(address, digest)))
            .collect();
        layers
            .into_iter()
            .map(|t| t.join().unwrap_or_else(|_| Err("gzip's reader panicked".to_owned())))
            .sum()
    })
}

fn recompressed(address: &str, digest: &str) -> Result<u64> {
    let path = format!("/v2/tierce-bench/large/blobs/{digest}");
    let mut connection = crate::bench::http::Connection::open(address)?;
    let shell = |program: &str| format!("cannot run {program}");
    let mut gzip = Command::new("sh")
        .args(["-c", "gzip -d | gzip -6"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("{}: {e}", shell("gzip")))?;
    let (Some(mut input), Some(mut output)) = (gzip.stdin.take(), gzip.stdout.take()) else {
        return Err("gzip has no pipes".to_owned());
    };
    let counter = std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        let mut count = 0;
        loop {
            match output.read(&mut buffer) {
                Ok(0) => return Ok(count),
                Ok(n) => count += n as u64,
                Err(e) => return Err(format!("cannot read from gzip: {e}")),
            }
        }
    });
    let mut written = Ok(());
    connection.body(&path, |bytes| {
        if written.is_ok() {
            written = std::io::Write::write_all(&mut input, bytes);
        }
    })?;
    written.map_err(|e| format!("cannot write to gzip: {e}"))?;
    drop(input);
    let count = counter.join().map_err(|_| "gzip's counter panicked".to_owned())??;
    let status = gzip.wait().map_err(|e| format!("cannot wait for gzip: {e}"))?;
    if status.success() { Ok(count) } else { Err(format!("gzip ended with {status}")) }
}

struct Unchanged;

impl Scenario for Unchanged {
    fn name(&self) -> &'static str {
        "push-unchanged"
    }

    fn about(&self) -> &'static str {
        "the same push again"
    }

    fn target(&self) -> Target {
        Target { ratio: Some(10.0), ..Target::default() }
    }

    fn peers(&self) -> &'static [&'static str] {
        &["docker", "buildah", "podman", "skopeo+umoci"]
    }

    fn prepare(&self, stage: &Stage) -> Result<()> {
        stage.fixtures.large()?;
        stage.fixtures.target().borrow_mut().empty()
    }

    fn enter(&self, stage: &Stage, tool: &dyn Tool) -> Result<()> {
        build(stage, tool)
    }

    /// All push to one name, and each compresses in its own way: what another pushed since is
    /// something new, so each pushes once more first.
    fn before(&self, stage: &Stage, tool: &dyn Tool, _round: usize) -> Result<()> {
        perform(tool, &Task::Push { image: &name(stage) }).map(drop)
    }

    fn run(&self, stage: &Stage, tool: &dyn Tool) -> Result<Cost> {
        stage.time(tool, &Task::Push { image: &name(stage) })
    }

    fn verify(&self, stage: &Stage, _tool: &dyn Tool) -> Result<()> {
        verify(stage)
    }

    fn limit(&self, probe: &Probe, _facts: &Facts) -> Option<f64> {
        Some(limit::processes(probe, 1.0))
    }
}
