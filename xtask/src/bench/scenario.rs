//! What is measured: for each scenario what is made ready, what is timed, and what must have come
//! out of it.

mod build;
mod change;
mod copy;
mod load;
mod pull;
mod push;
mod run;
mod serve;

use std::collections::BTreeMap;

use super::fixtures::Fixtures;
use super::limit::Load;
use super::measure::{Cost, Measure};
use super::probe::Probe;
use super::results::Target;
use super::tools::{Task, Tool, perform};
use crate::step::Result;

/// What scenarios work with.
pub(crate) struct Stage {
    /// Images and files.
    pub(crate) fixtures: Fixtures,
    /// The stopwatch.
    pub(crate) measure: Measure,
    /// The machine's limits.
    pub(crate) probe: Probe,
}

impl Stage {
    /// Measures a task.
    pub(crate) fn time(&self, tool: &dyn Tool, task: &Task) -> Result<Cost> {
        let commands = tool
            .commands(task)
            .ok_or_else(|| format!("{} has nothing for {task:?}", tool.name()))?;
        self.measure.commands(&commands, &tool.daemons())
    }
}

/// Sizes and what else a scenario finds out.
pub(crate) type Facts = BTreeMap<String, f64>;

/// One scenario; the methods stand in the order in which they are called.
pub(crate) trait Scenario {
    /// Its name.
    fn name(&self) -> &'static str;

    /// What is timed, in a line.
    fn about(&self) -> &'static str;

    /// What is to be reached.
    fn target(&self) -> Target;

    /// The peers that do such a thing.
    fn peers(&self) -> &'static [&'static str];

    /// Makes ready what all tools start from.
    fn prepare(&self, stage: &Stage) -> Result<()>;

    /// Brings a tool to where its rounds start from.
    fn enter(&self, stage: &Stage, tool: &dyn Tool) -> Result<()>;

    /// Brings a tool to where each round starts from.
    fn before(&self, _stage: &Stage, _tool: &dyn Tool, _round: usize) -> Result<()> {
        Ok(())
    }

    /// The timed part.
    fn run(&self, stage: &Stage, tool: &dyn Tool) -> Result<Cost>;

    /// Checks what the first round left: a tool whose result is wrong has no time.
    fn verify(&self, stage: &Stage, tool: &dyn Tool) -> Result<()>;

    /// Leaves each round so that another tool has the memory.
    fn after(&self, _stage: &Stage, _tool: &dyn Tool) -> Result<()> {
        Ok(())
    }

    /// What is known when all rounds are over.
    fn facts(&self, _stage: &Stage) -> Result<Facts> {
        Ok(Facts::new())
    }

    /// The least time, by the limit's model.
    fn limit(&self, probe: &Probe, facts: &Facts) -> Option<f64>;
}

/// All of them, in the tables' order.
pub(crate) fn all() -> Vec<Box<dyn Scenario>> {
    let mut all = Vec::new();
    all.extend(pull::scenarios());
    all.extend(push::scenarios());
    all.extend(build::scenarios());
    all.extend(copy::scenarios());
    all.extend(run::scenarios());
    all.extend(change::scenarios());
    all.extend(serve::scenarios());
    all.extend(load::scenarios());
    all
}

/// The load that facts speak of.
fn load(facts: &Facts) -> Load {
    let of = |name: &str| facts.get(name).copied().unwrap_or_default();
    Load { compressed: of("compressed"), uncompressed: of("uncompressed"), files: of("files") }
}

/// Fails unless two descriptions of a tree are the same.
fn same(tool: &dyn Tool, found: &str, expected: &str) -> Result<()> {
    if found.trim() == expected.trim() && !found.trim().is_empty() {
        return Ok(());
    }
    Err(format!(
        "{}'s files are not the ones that went in: {found} in place of {expected}",
        tool.name()
    ))
}

/// The folder `folder` of an image, as a container of the tool sees it.
fn tree_in(tool: &dyn Tool, image: &str, folder: &str) -> Result<String> {
    let script = Fixtures::tree_script(folder);
    perform(tool, &Task::Run { image, script: &["/bin/busybox", "sh", "-ec", &script] })
}
