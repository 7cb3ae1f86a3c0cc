//! Builds in which nothing, little or everything is to be done.

use super::{Facts, Scenario, Stage};
use crate::bench::corpus;
use crate::bench::limit::{self, Load};
use crate::bench::measure::Cost;
use crate::bench::probe::Probe;
use crate::bench::results::Target;
use crate::bench::tools::{Task, Tool, perform};
use crate::step::Result;

/// The scenarios of this family.
pub(super) fn scenarios() -> Vec<Box<dyn Scenario>> {
    vec![Box::new(Noop)]
}

struct Noop;

const NOOP: &str = "tierce-bench/noop:1";

impl Scenario for Noop {
    fn name(&self) -> &'static str {
        "build-noop"
    }

    fn about(&self) -> &'static str {
        "build 10 instructions again, with nothing changed"
    }

    fn target(&self) -> Target {
        Target { ratio: Some(20.0), seconds: Some(0.030), ..Target::default() }
    }

    fn peers(&self) -> &'static [&'static str] {
        &["docker", "buildah"]
    }

    fn prepare(&self, stage: &Stage) -> Result<()> {
        let context = stage.fixtures.folder("noop")?;
        corpus::write(&context.join("src/main"), b"main\n")?;
        corpus::write(&context.join("lock"), b"lock\n")?;
        let recipe = format!(
            "FROM {}\nENV A=1\nWORKDIR /app\nCOPY lock .\nRUN cp lock installed\nCOPY src src\n\
             RUN cat src/main > out\nLABEL b=2\nUSER 1000\nCMD [\"cat\", \"out\"]\n",
            stage.fixtures.busybox()?
        );
        corpus::write(&context.join("Dockerfile"), recipe.as_bytes())
    }

    fn enter(&self, stage: &Stage, tool: &dyn Tool) -> Result<()> {
        let context = stage.fixtures.folder("noop")?;
        perform(tool, &Task::Build { context: &context, tag: NOOP, cache: true }).map(drop)
    }

    fn run(&self, stage: &Stage, tool: &dyn Tool) -> Result<Cost> {
        let context = stage.fixtures.folder("noop")?;
        stage.time(tool, &Task::Build { context: &context, tag: NOOP, cache: true })
    }

    fn verify(&self, _stage: &Stage, tool: &dyn Tool) -> Result<()> {
        let said = perform(tool, &Task::Run { image: NOOP, script: &["cat", "out", "installed"] })?;
        super::same(tool, &said, "main\nlock")
    }

    fn limit(&self, probe: &Probe, _facts: &Facts) -> Option<f64> {
        Some(limit::look(probe, Load { files: 2.0, ..Load::default() }))
    }
}
