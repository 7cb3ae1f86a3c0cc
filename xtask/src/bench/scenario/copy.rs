//! COPY of a large context: cold, unchanged, with one file changed.

use std::cell::Cell;
use std::path::PathBuf;

use super::{Facts, Scenario, Stage, load, same, tree_in};
use crate::bench::corpus::{self, Size};
use crate::bench::limit::{self, Load};
use crate::bench::measure::Cost;
use crate::bench::probe::Probe;
use crate::bench::results::Target;
use crate::bench::tools::{Task, Tool, perform};
use crate::step::Result;

/// The scenarios of this family.
pub(super) fn scenarios() -> Vec<Box<dyn Scenario>> {
    let limits: [(Kind, Limit); 3] = [
        (Kind::Cold, limit::copy),
        (Kind::Unchanged, limit::look),
        (Kind::OneChanged, limit::copy_again),
    ];
    let copy = |(kind, limit)| -> Box<dyn Scenario> {
        Box::new(Copy { kind, limit, size: Cell::default(), version: Cell::default() })
    };
    limits.into_iter().map(copy).collect()
}

const IMAGE: &str = "tierce-bench/copy:1";

/// A model of the least time.
type Limit = fn(&Probe, Load) -> f64;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Cold,
    Unchanged,
    OneChanged,
}

struct Copy {
    kind: Kind,
    limit: Limit,
    size: Cell<Size>,
    version: Cell<u64>,
}

impl Copy {
    fn context(stage: &Stage) -> Result<PathBuf> {
        stage.fixtures.folder("copy")
    }

    fn build(stage: &Stage, tool: &dyn Tool) -> Result<()> {
        let context = Self::context(stage)?;
        perform(tool, &Task::Build { context: &context, tag: IMAGE, cache: true }).map(drop)
    }
}

impl Scenario for Copy {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Cold => "copy-cold",
            Kind::Unchanged => "copy-unchanged",
            Kind::OneChanged => "copy-one-changed",
        }
    }

    fn about(&self) -> &'static str {
        match self.kind {
            Kind::Cold => "COPY of 20,000 small files and 500 MB, with an empty cache",
            Kind::Unchanged => "the same COPY again",
            Kind::OneChanged => "the same COPY with one file changed",
        }
    }

    fn target(&self) -> Target {
        let ratio = match self.kind {
            Kind::Cold => 8.0,
            Kind::Unchanged => 15.0,
            Kind::OneChanged => 10.0,
        };
        Target { ratio: Some(ratio), ..Target::default() }
    }

    fn peers(&self) -> &'static [&'static str] {
        &["docker", "buildah"]
    }

    fn prepare(&self, stage: &Stage) -> Result<()> {
        let context = Self::context(stage)?;
        let recipe = format!("FROM {}\nCOPY data /data\n", stage.fixtures.busybox()?);
        corpus::write(&context.join("Dockerfile"), recipe.as_bytes())?;
        self.size.set(corpus::mixed(&context.join("data"), 20_000, 5, 100_000_000)?);
        Ok(())
    }

    fn enter(&self, stage: &Stage, tool: &dyn Tool) -> Result<()> {
        perform(tool, &Task::Pull { image: &stage.fixtures.busybox()? })?;
        if self.kind == Kind::Cold { Ok(()) } else { Self::build(stage, tool) }
    }

    fn before(&self, stage: &Stage, tool: &dyn Tool, round: usize) -> Result<()> {
        match self.kind {
            Kind::Cold if round > 0 => {
                perform(tool, &Task::Clear)?;
                self.enter(stage, tool)
            }
            // Each run of each tool finds one file that it has not seen.
            Kind::OneChanged => {
                self.version.set(self.version.get() + 1);
                let text = format!("version {}\n", self.version.get());
                let file = Self::context(stage)?.join("data/small/0/0");
                std::fs::write(&file, text)
                    .map_err(|e| format!("cannot write {}: {e}", file.display()))
            }
            Kind::Cold | Kind::Unchanged => Ok(()),
        }
    }

    fn run(&self, stage: &Stage, tool: &dyn Tool) -> Result<Cost> {
        let context = Self::context(stage)?;
        stage.time(tool, &Task::Build { context: &context, tag: IMAGE, cache: true })
    }

    fn verify(&self, stage: &Stage, tool: &dyn Tool) -> Result<()> {
        let expected = stage.fixtures.tree(&Self::context(stage)?.join("data"))?;
        same(tool, &tree_in(tool, IMAGE, "/data")?, &expected)
    }

    fn after(&self, _stage: &Stage, tool: &dyn Tool) -> Result<()> {
        if self.kind == Kind::Cold { perform(tool, &Task::Clear).map(drop) } else { Ok(()) }
    }

    fn facts(&self, _stage: &Stage) -> Result<Facts> {
        Ok(Facts::from([
            ("uncompressed".to_owned(), self.size.get().bytes as f64),
            ("files".to_owned(), self.size.get().files as f64),
        ]))
    }

    fn limit(&self, probe: &Probe, facts: &Facts) -> Option<f64> {
        Some((self.limit)(probe, load(facts)))
    }
}
