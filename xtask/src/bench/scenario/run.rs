//! Containers: start, run, remove.

use super::{Facts, Scenario, Stage};
use crate::bench::limit;
use crate::bench::measure::Cost;
use crate::bench::probe::Probe;
use crate::bench::results::Target;
use crate::bench::tools::{Task, Tool, perform};
use crate::step::Result;

/// The scenarios of this family.
pub(super) fn scenarios() -> Vec<Box<dyn Scenario>> {
    vec![Box::new(RunRm)]
}

struct RunRm;

impl Scenario for RunRm {
    fn name(&self) -> &'static str {
        "run-rm"
    }

    fn about(&self) -> &'static str {
        "`run --rm busybox true`, without a network"
    }

    fn target(&self) -> Target {
        Target { ratio: Some(15.0), seconds: Some(0.015), ..Target::default() }
    }

    fn peers(&self) -> &'static [&'static str] {
        &["docker", "podman"]
    }

    fn prepare(&self, stage: &Stage) -> Result<()> {
        stage.fixtures.busybox().map(drop)
    }

    fn enter(&self, stage: &Stage, tool: &dyn Tool) -> Result<()> {
        let image = stage.fixtures.busybox()?;
        perform(tool, &Task::Pull { image: &image }).map(drop)
    }

    fn run(&self, stage: &Stage, tool: &dyn Tool) -> Result<Cost> {
        let image = stage.fixtures.busybox()?;
        stage.time(tool, &Task::Run { image: &image, script: &["true"] })
    }

    fn verify(&self, stage: &Stage, tool: &dyn Tool) -> Result<()> {
        let image = stage.fixtures.busybox()?;
        let said = perform(tool, &Task::Run { image: &image, script: &["echo", "ran"] })?;
        if said.trim() == "ran" { Ok(()) } else { Err(format!("the container said `{said}`")) }
    }

    fn limit(&self, probe: &Probe, _facts: &Facts) -> Option<f64> {
        Some(limit::processes(probe, 1.0))
    }
}
