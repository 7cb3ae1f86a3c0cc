//! Builds whose steps are small: what a build costs beside its work.

use super::{Facts, Scenario, Stage, same};
use crate::bench::corpus;
use crate::bench::limit::{self, Load};
use crate::bench::measure::Cost;
use crate::bench::probe::Probe;
use crate::bench::proxy::Proxy;
use crate::bench::results::Target;
use crate::bench::tools::{Task, Tool, perform};
use crate::step::Result;

/// The scenarios of this family.
pub(super) fn scenarios() -> Vec<Box<dyn Scenario>> {
    vec![
        Box::new(Build {
            name: "build-noop",
            about: "build 10 instructions again, with nothing changed",
            target: Target { ratio: Some(20.0), seconds: Some(0.030), ..Target::default() },
            recipe: NOOP,
            base: Base::Here,
            cache: true,
            script: "cat out installed",
            says: "main\nlock",
            limit: |probe| limit::look(probe, Load { files: 2.0, ..Load::default() }),
        }),
        Box::new(Build {
            name: "metadata-only",
            about: "build ENV, LABEL and CMD on the large image, which is in the registry alone",
            target: Target { ratio: Some(10.0), ..Target::default() },
            recipe: METADATA,
            base: Base::Remote,
            cache: true,
            script: "echo $A",
            says: "1",
            limit: |probe| limit::processes(probe, 1.0),
        }),
        Box::new(Build {
            name: "run-true-10",
            about: "10 × `RUN true`, without a cache",
            // At most 8 ms a step.
            target: Target { ratio: Some(25.0), seconds: Some(0.080), ..Target::default() },
            recipe: RUN_TRUE,
            base: Base::Here,
            cache: false,
            script: "echo ran",
            says: "ran",
            limit: |probe| limit::processes(probe, 11.0),
        }),
        Box::new(Build {
            name: "stages-sleep",
            about: "three stages of `sleep 2` that do not wait for each other, without a cache",
            target: Target { seconds: Some(2.1), ..Target::default() },
            recipe: STAGES,
            base: Base::Here,
            cache: false,
            script: "cat /1 /2 /3",
            says: "1\n2\n3",
            limit: |probe| 2.0 + limit::processes(probe, 2.0),
        }),
    ]
}

const NOOP: &str = "FROM {base}\nENV A=1\nWORKDIR /app\nCOPY lock .\nRUN cp lock installed\n\
                    COPY src src\nRUN cat src/main > out\nLABEL b=2\nUSER 1000\n\
                    CMD [\"cat\", \"out\"]\n";
const METADATA: &str = "FROM {base}\nENV A=1\nLABEL b=2\nEXPOSE 80\nCMD [\"/bin/sh\"]\n";
const RUN_TRUE: &str = "FROM {base}\nRUN true\nRUN true\nRUN true\nRUN true\nRUN true\nRUN true\n\
                        RUN true\nRUN true\nRUN true\nRUN true\n";
const STAGES: &str = "FROM {base} AS a\nRUN sleep 2; echo 1 > /1\nFROM {base} AS b\n\
                      RUN sleep 2; echo 2 > /2\nFROM {base} AS c\nRUN sleep 2; echo 3 > /3\n\
                      FROM {base}\nCOPY --from=a /1 /\nCOPY --from=b /2 /\nCOPY --from=c /3 /\n";

/// Metadata are a few documents; more than this would be layers.
const DOCUMENTS: u64 = 1 << 20;

/// What a Dockerfile starts from.
#[derive(Clone, Copy, PartialEq)]
enum Base {
    /// busybox, in the tool's store.
    Here,
    /// The large image, which has to be asked for.
    Remote,
}

struct Build {
    name: &'static str,
    about: &'static str,
    target: Target,
    recipe: &'static str,
    base: Base,
    cache: bool,
    script: &'static str,
    says: &'static str,
    limit: fn(&Probe) -> f64,
}

impl Build {
    fn tag(&self) -> String {
        format!("tierce-bench/{}:1", self.name)
    }

    fn base(&self, stage: &Stage) -> Result<String> {
        match self.base {
            Base::Here => stage.fixtures.busybox(),
            Base::Remote => stage.fixtures.large(),
        }
    }

    /// Builds once more through a proxy that counts what the registry sends.
    fn count_fetched(&self, stage: &Stage, tool: &dyn Tool) -> Result<u64> {
        let proxy = Proxy::start(stage.fixtures.library().address())?;
        let context = stage.fixtures.folder("counted")?;
        let base = self.base(stage)?;
        let base = base.replace(stage.fixtures.library().address(), proxy.address());
        let recipe = self.recipe.replace("{base}", &base);
        corpus::write(&context.join("Dockerfile"), recipe.as_bytes())?;
        perform(tool, &Task::Clear)?;
        perform(tool, &Task::Build { context: &context, tag: &self.tag(), cache: true })?;
        Ok(proxy.received())
    }
}

impl Scenario for Build {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn target(&self) -> Target {
        self.target
    }

    fn peers(&self) -> &'static [&'static str] {
        &["docker", "buildah"]
    }

    fn prepare(&self, stage: &Stage) -> Result<()> {
        let context = stage.fixtures.folder(self.name)?;
        corpus::write(&context.join("src/main"), b"main\n")?;
        corpus::write(&context.join("lock"), b"lock\n")?;
        let recipe = self.recipe.replace("{base}", &self.base(stage)?);
        corpus::write(&context.join("Dockerfile"), recipe.as_bytes())
    }

    fn enter(&self, stage: &Stage, tool: &dyn Tool) -> Result<()> {
        if self.base == Base::Remote {
            return Ok(());
        }
        perform(tool, &Task::Pull { image: &self.base(stage)? })?;
        let context = stage.fixtures.folder(self.name)?;
        if !self.cache {
            return Ok(());
        }
        perform(tool, &Task::Build { context: &context, tag: &self.tag(), cache: true }).map(drop)
    }

    fn before(&self, _stage: &Stage, tool: &dyn Tool, _round: usize) -> Result<()> {
        if self.base == Base::Remote { perform(tool, &Task::Clear).map(drop) } else { Ok(()) }
    }

    fn run(&self, stage: &Stage, tool: &dyn Tool) -> Result<Cost> {
        let context = stage.fixtures.folder(self.name)?;
        let tag = self.tag();
        stage.time(tool, &Task::Build { context: &context, tag: &tag, cache: self.cache })
    }

    fn verify(&self, stage: &Stage, tool: &dyn Tool) -> Result<()> {
        let script = ["/bin/sh", "-c", self.script];
        let said = perform(tool, &Task::Run { image: &self.tag(), script: &script })?;
        same(tool, &said, self.says)?;
        if self.base == Base::Remote && tool.name() == crate::bench::results::OURS {
            let fetched = self.count_fetched(stage, tool)?;
            if fetched > DOCUMENTS {
                return Err(format!("{fetched} bytes were fetched: layers were among them"));
            }
        }
        Ok(())
    }

    fn after(&self, _stage: &Stage, tool: &dyn Tool) -> Result<()> {
        if self.base == Base::Remote { perform(tool, &Task::Clear).map(drop) } else { Ok(()) }
    }

    fn limit(&self, probe: &Probe, _facts: &Facts) -> Option<f64> {
        Some((self.limit)(probe))
    }
}
