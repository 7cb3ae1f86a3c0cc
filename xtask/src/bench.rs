//! `cargo xtask bench`: Tierce beside its peers, and beside what the machine can do.

mod arena;
mod corpus;
mod daemon;
mod fixtures;
mod http;
mod instructions;
mod limit;
mod measure;
mod options;
mod probe;
mod proxy;
mod registry;
mod report;
mod results;
mod rounds;
mod scale;
mod scenario;
mod statistics;
mod tools;

use std::path::Path;
use std::process::Command;

use arena::Arena;
use fixtures::Fixtures;
use measure::Measure;
pub(crate) use measure::supervise;
use options::{Mode, Options, USAGE};
use results::{Growth, Results, Row};
use scenario::{Scenario, Stage};
use tools::Tierce;

use crate::cargo::{build_tierce, target_dir, workspace};
use crate::packages::{self, Program};
use crate::step::{Result, output};

/// Without these nothing can be measured.
const PROGRAMS: &[Program] = &[
    Program { name: "docker-registry", package: "docker-registry" },
    Program { name: "busybox", package: "busybox-static" },
    Program { name: "gzip", package: "gzip" },
];

/// The command's entry.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let options = Options::parse(args)?;
    let scenarios = scenario::all();
    let known: Vec<&str> = match options.mode {
        Mode::Scale => scale::names().iter().map(|(name, _)| *name).collect(),
        _ => scenarios.iter().map(|s| s.name()).collect(),
    };
    if let Some(unknown) = options.scenarios.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("there is no scenario `{unknown}`; `--list` names them"));
    }
    match options.mode {
        Mode::Help => println!("{USAGE}"),
        Mode::List => {
            for scenario in &scenarios {
                println!("{:18} {}", scenario.name(), scenario.about());
            }
            println!("\nwith --scale:");
            for (name, about) in scale::names() {
                println!("{name:18} {about}");
            }
        }
        Mode::Report => report(&options, &scenarios, &Results::default())?,
        Mode::Compare => compare(&options, &scenarios)?,
        Mode::Scale => grow(&options, &scenarios)?,
        Mode::Instructions => count(&options, &scenarios)?,
    }
    Ok(())
}

/// Measures the scenarios that were asked for, one after the other; after each the results are
/// written, so that a run that is cut short loses one row.
fn compare(options: &Options, scenarios: &[Box<dyn Scenario>]) -> Result<()> {
    let (arena, binary) = ready(options)?;
    let ours = Tierce::new(&binary, arena.join("tierce"))?;
    let peers = tools::peers(&options.via, &arena)?;
    let stage = stage(&arena, &binary)?;
    let mut missed = Vec::new();
    for scenario in scenarios.iter().filter(|s| options.wants(s.name())) {
        println!("{}: {}", scenario.name(), scenario.about());
        let entrants = rounds::Entrants { ours: &ours, peers: &peers };
        let row = rounds::run(scenario.as_ref(), &stage, &entrants, options);
        let row = Row {
            commit: measured(options)?,
            date: date()?,
            filesystem: arena.filesystem().to_owned(),
            probe: stage.probe.clone(),
            ..row
        };
        if let Some(why) = &row.failed {
            missed.push(format!("{}: did not run: {why}", scenario.name()));
        }
        missed.extend(row.misses().iter().map(|miss| format!("{}: {miss}", scenario.name())));
        let rows = [(scenario.name().to_owned(), row)].into();
        report(options, scenarios, &Results { rows, ..Results::default() })?;
    }
    for miss in missed {
        println!("missed: {miss}");
    }
    Ok(())
}

/// Measures how cost grows; each result is written at once.
fn grow(options: &Options, scenarios: &[Box<dyn Scenario>]) -> Result<()> {
    let (arena, binary) = ready(options)?;
    let ours = Tierce::new(&binary, arena.join("tierce"))?;
    let stage = stage(&arena, &binary)?;
    scale::run(
        &stage,
        &ours,
        |name| options.wants(name),
        |name, growth| {
            let growth = Growth { commit: measured(options)?, date: date()?, ..growth };
            let growth = [(name.to_owned(), growth)].into();
            report(options, scenarios, &Results { growth, ..Results::default() })
        },
    )
}

/// Counts instructions.
fn count(options: &Options, scenarios: &[Box<dyn Scenario>]) -> Result<()> {
    let (arena, binary) = ready(options)?;
    let ours = Tierce::new(&binary, arena.join("tierce"))?;
    let mut counts = instructions::count(&ours, &arena.folder("instructions")?)?;
    for count in counts.values_mut() {
        (count.commit, count.date) = (measured(options)?, date()?);
    }
    report(options, scenarios, &Results { instructions: counts, ..Results::default() })
}

/// The folder for all data, and the program.
fn ready(options: &Options) -> Result<(Arena, std::path::PathBuf)> {
    packages::ensure(PROGRAMS)?;
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => build_tierce("dist")?,
    };
    let parent = options.dir.as_deref().unwrap_or(Path::new("/dev/shm"));
    Ok((Arena::new(parent)?, binary))
}

fn stage(arena: &Arena, binary: &Path) -> Result<Stage> {
    let busybox = packages::busybox(&target_dir())?;
    Ok(Stage {
        fixtures: Fixtures::new(arena, binary, &busybox)?,
        measure: Measure::new(&arena.folder("measure")?),
        probe: probe::probe(&arena.join("probe"), &busybox)?,
    })
}

/// Writes new results down, and shows them.
fn report(options: &Options, scenarios: &[Box<dyn Scenario>], newer: &Results) -> Result<()> {
    let names: Vec<(&str, &str)> = scenarios.iter().map(|s| (s.name(), s.about())).collect();
    report::write(&options.out, newer, &names, &scale::names())?;
    for name in newer.rows.keys() {
        let table = report::table::table(newer, &[(name, "")]);
        println!("{}", table.lines().nth(2).unwrap_or_default());
    }
    if !newer.instructions.is_empty() {
        println!("{}", report::table::instructions(newer));
    }
    for name in newer.growth.keys() {
        let table = report::table::growth(newer, &[(name, "")]);
        println!("{}", table.lines().nth(2).unwrap_or_default());
    }
    Ok(())
}

/// What was measured: the commit that was built for it, or a given file by its hash.
fn measured(options: &Options) -> Result<String> {
    if let Some(binary) = &options.binary {
        let said = output(Command::new("sha256sum").arg(binary))?;
        return Ok(format!("a binary with SHA-256 {}", said.get(..16).unwrap_or_default()));
    }
    let mut git = Command::new("git");
    git.current_dir(workspace()).args(["describe", "--always", "--dirty", "--abbrev=12"]);
    Ok(output(&mut git)?.trim().to_owned())
}

fn date() -> Result<String> {
    Ok(output(Command::new("date").args(["-u", "+%FT%TZ"]))?.trim().to_owned())
}
