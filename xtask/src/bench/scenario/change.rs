//! Containers that changed something: what, and as an image.

use super::{Facts, Scenario, Stage, same};
use crate::bench::limit;
use crate::bench::measure::Cost;
use crate::bench::probe::Probe;
use crate::bench::results::Target;
use crate::bench::tools::{Task, Tool, perform};
use crate::step::Result;

/// The scenarios of this family.
pub(super) fn scenarios() -> Vec<Box<dyn Scenario>> {
    let all = [(Kind::Diff, TEN_THOUSAND), (Kind::Commit, TEN_THOUSAND)]
        .into_iter()
        .chain([(Kind::Diff, HUNDRED), (Kind::Commit, HUNDRED)]);
    all.map(|(kind, change)| -> Box<dyn Scenario> { Box::new(Changed { kind, change }) }).collect()
}

const CONTAINER: &str = "tierce-bench-changed";
const IMAGE: &str = "tierce-bench/committed:1";

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Diff,
    Commit,
}

/// What a container does to its files.
#[derive(Clone, Copy)]
struct Change {
    /// How many it changes.
    count: u32,
    /// A shell's words for it.
    script: &'static str,
    /// What counts the changed files in an image.
    counted: &'static str,
    /// Whether the image is the one with many files.
    many: bool,
}

const TEN_THOUSAND: Change = Change {
    count: 10_000,
    script: "mkdir /new; i=0; while [ $i -lt 10000 ]; do echo file $i > /new/$i; i=$((i+1)); done",
    counted: "cat /new/* | grep -c '^file '",
    many: false,
};

const HUNDRED: Change = Change {
    count: 100,
    // A file need not end in a line's end.
    script: "i=0; while [ $i -lt 100 ]; do printf '\\nchanged here\\n' >> /files/small/$i/$((i*250)); \
             i=$((i+1)); done",
    counted: "find /files -type f | xargs grep -l '^changed here$' | wc -l",
    many: true,
};

struct Changed {
    kind: Kind,
    change: Change,
}

impl Changed {
    fn image(&self, stage: &Stage) -> Result<String> {
        if self.change.many { stage.fixtures.many() } else { stage.fixtures.busybox() }
    }

    /// Has a container that did its changes and ended.
    fn keep(&self, stage: &Stage, tool: &dyn Tool) -> Result<()> {
        let image = self.image(stage)?;
        let script = ["sh", "-ec", self.change.script];
        perform(tool, &Task::Keep { image: &image, name: CONTAINER, script: &script }).map(drop)
    }

    /// Each changed file has a line of its own; folders on the way have others.
    fn verify_diff(&self, stage: &Stage, tool: &dyn Tool) -> Result<()> {
        let said = perform(tool, &Task::Diff { name: CONTAINER })?;
        let (letter, below) =
            if self.change.many { ('C', "/files/small/") } else { ('A', "/new/") };
        let files = said
            .lines()
            .filter(|line| line.starts_with(letter) && line.contains(below))
            .filter(|line| !self.change.many || line.matches('/').count() == 4)
            .count();
        let listed = stage.measure.printed()?;
        same(tool, &listed.lines().count().to_string(), &said.lines().count().to_string())?;
        same(tool, &files.to_string(), &self.change.count.to_string())
    }

    fn verify_commit(&self, tool: &dyn Tool) -> Result<()> {
        let script = ["sh", "-ec", self.change.counted];
        let said = perform(tool, &Task::Run { image: IMAGE, script: &script })?;
        same(tool, &said, &self.change.count.to_string())
    }
}

impl Scenario for Changed {
    fn name(&self) -> &'static str {
        match (self.kind, self.change.many) {
            (Kind::Diff, false) => "diff-10k",
            (Kind::Commit, false) => "commit-10k",
            (Kind::Diff, true) => "diff-100",
            (Kind::Commit, true) => "commit-100",
        }
    }

    fn about(&self) -> &'static str {
        match (self.kind, self.change.many) {
            (Kind::Diff, false) => "diff of a container with 10,000 new files",
            (Kind::Commit, false) => "commit of the same container",
            (Kind::Diff, true) => "diff of 100 changes over an image of 130,000 files",
            (Kind::Commit, true) => "commit of the same 100 changes",
        }
    }

    fn target(&self) -> Target {
        let ratio = match (self.kind, self.change.many) {
            (Kind::Diff, false) => 20.0,
            (Kind::Commit, false) => 9.0,
            (_, true) => 50.0,
        };
        Target { ratio: Some(ratio), ..Target::default() }
    }

    fn peers(&self) -> &'static [&'static str] {
        &["docker", "podman"]
    }

    fn prepare(&self, stage: &Stage) -> Result<()> {
        self.image(stage).map(drop)
    }

    fn enter(&self, stage: &Stage, tool: &dyn Tool) -> Result<()> {
        perform(tool, &Task::Pull { image: &self.image(stage)? })?;
        self.keep(stage, tool)
    }

    /// Each commit is of a container that was never committed, and nothing of the last one is left.
    fn before(&self, stage: &Stage, tool: &dyn Tool, round: usize) -> Result<()> {
        if self.kind == Kind::Diff || round == 0 {
            return Ok(());
        }
        perform(tool, &Task::Remove { image: IMAGE })?;
        perform(tool, &Task::Forget { name: CONTAINER })?;
        perform(tool, &Task::Prune)?;
        self.keep(stage, tool)
    }

    fn run(&self, stage: &Stage, tool: &dyn Tool) -> Result<Cost> {
        match self.kind {
            Kind::Diff => stage.time(tool, &Task::Diff { name: CONTAINER }),
            Kind::Commit => stage.time(tool, &Task::Commit { name: CONTAINER, image: IMAGE }),
        }
    }

    fn verify(&self, stage: &Stage, tool: &dyn Tool) -> Result<()> {
        match self.kind {
            Kind::Diff => self.verify_diff(stage, tool),
            Kind::Commit => self.verify_commit(tool),
        }
    }

    fn facts(&self, _stage: &Stage) -> Result<Facts> {
        let changes = f64::from(self.change.count);
        // In a tar each small file is a header and a block.
        let bytes = changes * 1024.0;
        Ok(Facts::from([("changes".to_owned(), changes), ("bytes".to_owned(), bytes)]))
    }

    fn limit(&self, probe: &Probe, facts: &Facts) -> Option<f64> {
        let of = |name: &str| facts.get(name).copied();
        match self.kind {
            Kind::Diff => Some(limit::diff(probe, of("changes")?)),
            Kind::Commit => Some(limit::commit(probe, of("changes")?, of("bytes")?)),
        }
    }
}
