//! Pulls: cold, with one layer changed, with nothing changed.

use super::{Facts, Scenario, Stage, load, same, tree_in};
use crate::bench::corpus::Size;
use crate::bench::limit;
use crate::bench::measure::Cost;
use crate::bench::probe::Probe;
use crate::bench::results::Target;
use crate::bench::tools::{Task, Tool, perform};
use crate::step::Result;

/// The scenarios of this family.
pub(super) fn scenarios() -> Vec<Box<dyn Scenario>> {
    vec![Box::new(Cold), Box::new(OneChanged), Box::new(Unchanged)]
}

/// The large image's sizes: what crosses the network, and what is unpacked.
pub(super) fn large_facts(stage: &Stage) -> Result<Facts> {
    stage.fixtures.large()?;
    let served = stage.fixtures.library().image("tierce-bench/large")?;
    let compressed: u64 = served.layers.iter().map(|(_, size)| size).sum();
    let (_, size) = stage.fixtures.large_context()?;
    Ok(facts(compressed, size, served.layers.len()))
}

fn facts(compressed: u64, size: Size, layers: usize) -> Facts {
    Facts::from([
        ("compressed".to_owned(), compressed as f64),
        ("uncompressed".to_owned(), size.bytes as f64),
        ("files".to_owned(), size.files as f64),
        ("layers".to_owned(), layers as f64),
    ])
}

/// The image's files are those that went into it.
pub(super) fn verify_large(stage: &Stage, tool: &dyn Tool, image: &str) -> Result<()> {
    let (context, _) = stage.fixtures.large_context()?;
    // One folder that only the last layer has, and one of each layer's: the names tell.
    let found = tree_in(tool, image, "/usr")?;
    let merged = stage.fixtures.merged(&context)?;
    same(tool, &found, &merged)
}

struct Cold;

impl Scenario for Cold {
    fn name(&self) -> &'static str {
        "pull-cold"
    }

    fn about(&self) -> &'static str {
        "pull and unpack 5 layers, 1.3 GB, 54,000 files into an empty store"
    }

    fn target(&self) -> Target {
        Target { ratio: Some(8.0), limit: Some(1.5), ..Target::default() }
    }

    fn peers(&self) -> &'static [&'static str] {
        &["docker", "buildah", "podman", "skopeo+umoci"]
    }

    fn prepare(&self, stage: &Stage) -> Result<()> {
        stage.fixtures.large().map(drop)
    }

    fn enter(&self, _stage: &Stage, _tool: &dyn Tool) -> Result<()> {
        Ok(())
    }

    fn before(&self, _stage: &Stage, tool: &dyn Tool, _round: usize) -> Result<()> {
        perform(tool, &Task::Clear).map(drop)
    }

    fn run(&self, stage: &Stage, tool: &dyn Tool) -> Result<Cost> {
        stage.time(tool, &Task::Pull { image: &stage.fixtures.large()? })
    }

    fn verify(&self, stage: &Stage, tool: &dyn Tool) -> Result<()> {
        verify_large(stage, tool, &stage.fixtures.large()?)
    }

    fn after(&self, _stage: &Stage, tool: &dyn Tool) -> Result<()> {
        perform(tool, &Task::Clear).map(drop)
    }

    fn facts(&self, stage: &Stage) -> Result<Facts> {
        large_facts(stage)
    }

    fn limit(&self, probe: &Probe, facts: &Facts) -> Option<f64> {
        Some(limit::pull(probe, load(facts)))
    }
}

struct OneChanged;

impl Scenario for OneChanged {
    fn name(&self) -> &'static str {
        "pull-one-changed"
    }

    fn about(&self) -> &'static str {
        "the same image with one of its layers changed, the others here"
    }

    fn target(&self) -> Target {
        Target { ratio: Some(10.0), ..Target::default() }
    }

    fn peers(&self) -> &'static [&'static str] {
        &["docker", "buildah", "podman"]
    }

    fn prepare(&self, stage: &Stage) -> Result<()> {
        stage.fixtures.changed().map(drop)
    }

    fn enter(&self, stage: &Stage, tool: &dyn Tool) -> Result<()> {
        perform(tool, &Task::Pull { image: &stage.fixtures.large()? }).map(drop)
    }

    fn before(&self, stage: &Stage, tool: &dyn Tool, round: usize) -> Result<()> {
        if round > 0 {
            perform(tool, &Task::Remove { image: &stage.fixtures.changed()? })?;
            perform(tool, &Task::Prune)?;
        }
        Ok(())
    }

    fn run(&self, stage: &Stage, tool: &dyn Tool) -> Result<Cost> {
        stage.time(tool, &Task::Pull { image: &stage.fixtures.changed()? })
    }

    fn verify(&self, stage: &Stage, tool: &dyn Tool) -> Result<()> {
        let image = stage.fixtures.changed()?;
        verify_large(stage, tool, &image)?;
        let said = perform(
            tool,
            &Task::Run { image: &image, script: &["/bin/busybox", "cat", "/changed"] },
        )?;
        same(tool, &said, "changed")
    }

    fn facts(&self, stage: &Stage) -> Result<Facts> {
        let served = stage.fixtures.library().image("tierce-bench/changed")?;
        let (_, size) = stage.fixtures.large_context()?;
        let compressed = served.layers.last().map_or(0, |(_, size)| *size);
        let fifth = Size { files: size.files / 5, bytes: size.bytes / 5 };
        Ok(facts(compressed, fifth, 1))
    }

    fn limit(&self, probe: &Probe, facts: &Facts) -> Option<f64> {
        Some(limit::pull(probe, load(facts)))
    }
}

struct Unchanged;

impl Scenario for Unchanged {
    fn name(&self) -> &'static str {
        "pull-unchanged"
    }

    fn about(&self) -> &'static str {
        "the same image again, with nothing changed"
    }

    fn target(&self) -> Target {
        Target { ratio: Some(10.0), ..Target::default() }
    }

    fn peers(&self) -> &'static [&'static str] {
        &["docker", "buildah", "podman"]
    }

    fn prepare(&self, stage: &Stage) -> Result<()> {
        stage.fixtures.large().map(drop)
    }

    fn enter(&self, stage: &Stage, tool: &dyn Tool) -> Result<()> {
        perform(tool, &Task::Pull { image: &stage.fixtures.large()? }).map(drop)
    }

    fn run(&self, stage: &Stage, tool: &dyn Tool) -> Result<Cost> {
        stage.time(tool, &Task::Pull { image: &stage.fixtures.large()? })
    }

    fn verify(&self, stage: &Stage, tool: &dyn Tool) -> Result<()> {
        verify_large(stage, tool, &stage.fixtures.large()?)
    }

    fn limit(&self, probe: &Probe, _facts: &Facts) -> Option<f64> {
        Some(limit::processes(probe, 1.0))
    }
}
