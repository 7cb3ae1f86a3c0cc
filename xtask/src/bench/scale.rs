//! How cost grows: Tierce alone, at one size and at ten times that, and where things are many.

use std::path::PathBuf;

use super::corpus;
use super::fixtures::Fixtures;
use super::measure::Cost;
use super::results::Growth;
use super::scenario::Stage;
use super::statistics::median;
use super::tools::{Task, Tool, perform};
use crate::step::Result;

/// The small size; the large one is ten times that.
const FILES: u64 = 10_000;
const BYTES: u64 = 240_000_000;
/// How many times larger the large one is.
const TIMES: u32 = 10;
/// How often each is measured; the middle counts.
const RUNS: usize = 3;

const CONTAINER: &str = "tierce-bench-scale";
const IMAGE: &str = "tierce-bench/scale:1";

/// Something that grows.
struct Grows {
    name: &'static str,
    about: &'static str,
    /// Brings the store to where the measuring starts; the number is how many times larger.
    ready: fn(&Stage, &dyn Tool, u32) -> Result<()>,
    /// The measured part.
    run: fn(&Stage, &dyn Tool, u32) -> Result<Cost>,
    /// The sizes; for one alone there is nothing to compare with.
    sizes: &'static [u32],
}

const BOTH: &[u32] = &[1, TIMES];
const ONE: &[u32] = &[1];

/// What is measured.
fn all() -> Vec<Grows> {
    vec![
        Grows {
            name: "pull",
            about: "cold pull of 5 layers: 10,000 files, 240 MB, then 100,000 files, 2.4 GB",
            ready: |_, tool, _| clear(tool),
            run: |stage, tool, times| {
                stage.time(tool, &Task::Pull { image: &image(stage, times)? })
            },
            sizes: BOTH,
        },
        Grows {
            name: "copy",
            about: "cold build with five COPYs of the same files",
            ready: |stage, tool, times| image(stage, times).and_then(|_| clear(tool)),
            run: |stage, tool, times| build(stage, tool, &context(stage, times)?),
            sizes: BOTH,
        },
        Grows {
            name: "push",
            about: "push of what that built",
            ready: |stage, tool, times| {
                clear(tool)?;
                stage.fixtures.target().borrow_mut().empty()?;
                build(stage, tool, &context(stage, times)?)?;
                let name = stage.fixtures.target().borrow().name(IMAGE.trim_end_matches(":1"));
                perform(tool, &Task::Name { image: IMAGE, name: &name }).map(drop)
            },
            run: |stage, tool, _| {
                let name = stage.fixtures.target().borrow().name(IMAGE.trim_end_matches(":1"));
                stage.time(tool, &Task::Push { image: &name })
            },
            sizes: BOTH,
        },
        Grows {
            name: "diff",
            about: "diff of a container with 10,000, then 100,000 new files",
            ready: |stage, tool, times| keep(stage, tool, times),
            run: |stage, tool, _| stage.time(tool, &Task::Diff { name: CONTAINER }),
            sizes: BOTH,
        },
        Grows {
            name: "commit",
            about: "commit of the same container",
            ready: |stage, tool, times| keep(stage, tool, times),
            run: |stage, tool, _| stage.time(tool, &Task::Commit { name: CONTAINER, image: IMAGE }),
            sizes: BOTH,
        },
        Grows {
            name: "many-stages",
            about: "build of 500 stages, each on the one before, with 5,000 instructions",
            ready: |stage, tool, _| stages(stage).and_then(|()| pull_busybox(stage, tool)),
            run: |stage, tool, _| build(stage, tool, &stage.fixtures.folder("stages")?),
            sizes: ONE,
        },
        Grows {
            name: "many-files",
            about: "cold build with a COPY of 1,000,000 empty files",
            ready: |stage, tool, _| million(stage).and_then(|()| pull_busybox(stage, tool)),
            run: |stage, tool, _| build(stage, tool, &stage.fixtures.folder("million")?),
            sizes: ONE,
        },
        Grows {
            name: "many-files-again",
            about: "the same build again, with nothing changed",
            ready: |stage, tool, _| {
                million(stage)?;
                pull_busybox(stage, tool)?;
                build(stage, tool, &stage.fixtures.folder("million")?).map(drop)
            },
            run: |stage, tool, _| build(stage, tool, &stage.fixtures.folder("million")?),
            sizes: ONE,
        },
        Grows {
            name: "many-layers",
            about: "cold pull of an image of 120 layers, and a run of it",
            ready: |stage, tool, _| layers(stage).and_then(|_| clear(tool)),
            run: |stage, tool, _| {
                let image = layers(stage)?;
                let commands = [
                    tool.commands(&Task::Pull { image: &image }),
                    tool.commands(&Task::Run { image: &image, script: &["cat", "/f1", "/f100"] }),
                ];
                let commands: Vec<_> = commands.into_iter().flatten().flatten().collect();
                stage.measure.commands(&commands, &tool.daemons())
            },
            sizes: ONE,
        },
    ]
}

/// The names.
pub(crate) fn names() -> Vec<(&'static str, &'static str)> {
    all().iter().map(|grows| (grows.name, grows.about)).collect()
}

/// Measures what is wanted, and passes each result on.
pub(crate) fn run(
    stage: &Stage,
    tool: &dyn Tool,
    wanted: impl Fn(&str) -> bool,
    mut each: impl FnMut(&str, Growth) -> Result<()>,
) -> Result<()> {
    for grows in all().iter().filter(|grows| wanted(grows.name)) {
        println!("{}: {}", grows.name, grows.about);
        let mut growth =
            Growth { about: grows.about.to_owned(), times: f64::from(TIMES), ..Growth::default() };
        match measure(grows, stage, tool) {
            Ok(costs) => {
                growth.large = costs.last().copied();
                growth.once = if costs.len() > 1 { costs.first().copied() } else { None };
            }
            Err(why) => growth.failed = Some(why),
        }
        clear(tool)?;
        each(grows.name, growth)?;
    }
    Ok(())
}

fn measure(grows: &Grows, stage: &Stage, tool: &dyn Tool) -> Result<Vec<Cost>> {
    let mut costs = Vec::new();
    for times in grows.sizes {
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            (grows.ready)(stage, tool, *times)?;
            runs.push((grows.run)(stage, tool, *times)?);
        }
        costs.push(middle(&runs)?);
    }
    Ok(costs)
}

fn middle(runs: &[Cost]) -> Result<Cost> {
    let of = |part: fn(&Cost) -> f64| {
        median(&runs.iter().map(part).collect::<Vec<_>>()).ok_or("nothing was measured")
    };
    Ok(Cost {
        wall: of(|cost| cost.wall)?,
        cpu: of(|cost| cost.cpu)?,
        peak: runs.iter().map(|cost| cost.peak).max().unwrap_or_default(),
    })
}

fn clear(tool: &dyn Tool) -> Result<()> {
    perform(tool, &Task::Clear).map(drop)
}

fn pull_busybox(stage: &Stage, tool: &dyn Tool) -> Result<()> {
    clear(tool)?;
    perform(tool, &Task::Pull { image: &stage.fixtures.busybox()? }).map(drop)
}

fn build(stage: &Stage, tool: &dyn Tool, context: &PathBuf) -> Result<Cost> {
    stage.time(tool, &Task::Build { context, tag: IMAGE, cache: true })
}

fn context(stage: &Stage, times: u32) -> Result<PathBuf> {
    let context = stage.fixtures.folder(&format!("scale-{times}"))?;
    if !context.join("Dockerfile").exists() {
        let folders: Vec<PathBuf> = (1..=5).map(|i| context.join(format!("l{i}"))).collect();
        corpus::layers(&folders, FILES * u64::from(times), BYTES * u64::from(times))?;
        let copies: String = (1..=5).map(|i| format!("COPY l{i} /\n")).collect();
        corpus::write(&context.join("Dockerfile"), format!("FROM scratch\n{copies}").as_bytes())?;
    }
    Ok(context)
}

fn image(stage: &Stage, times: u32) -> Result<String> {
    published(stage, &context(stage, times)?, &format!("tierce-bench/scale-{times}"))
}

/// An image in the library; its context tells whether it is there.
fn published(stage: &Stage, context: &std::path::Path, repository: &str) -> Result<String> {
    let mark = context.with_extension("published");
    if !mark.exists() {
        stage.fixtures.publish(context, repository)?;
        corpus::write(&mark, b"")?;
    }
    Ok(stage.fixtures.library().name(repository))
}

fn keep(stage: &Stage, tool: &dyn Tool, times: u32) -> Result<()> {
    pull_busybox(stage, tool)?;
    let image = stage.fixtures.busybox()?;
    let script = format!(
        "mkdir /new; i=0; while [ $i -lt {} ]; do echo $i > /new/$i; i=$((i+1)); done",
        FILES * u64::from(times)
    );
    let script = ["sh", "-ec", script.as_str()];
    perform(tool, &Task::Keep { image: &image, name: CONTAINER, script: &script }).map(drop)
}

fn stages(stage: &Stage) -> Result<()> {
    let context = stage.fixtures.folder("stages")?;
    corpus::write(&context.join("f"), b"f\n")?;
    corpus::write(&context.join("Dockerfile"), stages_recipe(&stage.fixtures.busybox()?).as_bytes())
}

/// 500 stages of ten instructions.
fn stages_recipe(base: &str) -> String {
    let metadata: String = (0..8).map(|i| format!("ENV V{i}=1\n")).collect();
    (0..500)
        .map(|i| match i {
            0 => format!("FROM {base} AS s0\nCOPY f /f0\n{metadata}"),
            // Under another name each time: the same COPY would be found in the cache.
            _ => format!("FROM {base} AS s{i}\nCOPY --from=s{0} /f{0} /f{i}\n{metadata}", i - 1),
        })
        .collect()
}

fn million(stage: &Stage) -> Result<()> {
    let context = stage.fixtures.folder("million")?;
    if context.join("Dockerfile").exists() {
        return Ok(());
    }
    for i in 0..1_000_000 {
        corpus::write(&context.join(format!("data/{}/{i}", i / 1000)), b"")?;
    }
    let recipe = format!("FROM {}\nCOPY data /data\n", stage.fixtures.busybox()?);
    corpus::write(&context.join("Dockerfile"), recipe.as_bytes())
}

/// The base has two layers; the rest are one file each.
fn layers(stage: &Stage) -> Result<String> {
    let context = stage.fixtures.folder("layers")?;
    if !context.join("Dockerfile").exists() {
        corpus::write(&context.join("f"), b"f\n")?;
        let base = stage.fixtures.busybox()?;
        let served = stage.fixtures.library().image(Fixtures::BUSYBOX)?;
        let copies: String =
            (1..=120 - served.layers.len()).map(|i| format!("COPY f /f{i}\n")).collect();
        corpus::write(&context.join("Dockerfile"), format!("FROM {base}\n{copies}").as_bytes())?;
    }
    published(stage, &context, "tierce-bench/layers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stages_have_as_many_instructions_as_is_said() {
        let recipe = stages_recipe("base");
        assert_eq!(recipe.lines().filter(|line| line.starts_with("FROM ")).count(), 500);
        assert_eq!(recipe.lines().count(), 5000);
    }

    #[test]
    fn the_middle_run_counts_and_the_highest_peak() {
        let run = |wall, peak| Cost { wall, cpu: wall, peak };
        let middle = middle(&[run(3.0, 5), run(1.0, 9), run(2.0, 1)]);
        assert_eq!(middle, Ok(run(2.0, 9)));
    }
}
