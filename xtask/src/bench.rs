//! `cargo xtask bench`: Tierce beside its peers, and beside what the machine can do.

mod arena;
mod corpus;
mod daemon;
mod fixtures;
mod http;
mod limit;
mod measure;
mod options;
mod probe;
mod proxy;
mod registry;
mod report;
mod results;
mod rounds;
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
use results::{Results, Row};
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
    if let Some(unknown) =
        options.scenarios.iter().find(|name| !scenarios.iter().any(|s| s.name() == *name))
    {
        return Err(format!("there is no scenario `{unknown}`; `--list` names them"));
    }
    match options.mode {
        Mode::Help => println!("{USAGE}"),
        Mode::List => {
            for scenario in &scenarios {
                println!("{:18} {}", scenario.name(), scenario.about());
            }
        }
        Mode::Report => report(&options, &scenarios, &Results::default())?,
        Mode::Compare => compare(&options, &scenarios)?,
        Mode::Scale => return Err("`--scale` has nothing to measure".to_owned()),
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
            commit: commit()?,
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
        probe: probe::probe(arena.join("probe"), &busybox)?,
    })
}

/// Merges new rows into the results, and makes table and plot of all.
fn report(options: &Options, scenarios: &[Box<dyn Scenario>], newer: &Results) -> Result<()> {
    std::fs::create_dir_all(&options.out)
        .map_err(|e| format!("cannot create {}: {e}", options.out.display()))?;
    let file = options.out.join("performance.json");
    let mut results = Results::read(&file)?;
    results.merge(newer.clone());
    results.write(&file)?;
    let names: Vec<(&str, &str)> = scenarios.iter().map(|s| (s.name(), s.about())).collect();
    let document = options.out.join("performance.md");
    let text = std::fs::read_to_string(&document)
        .unwrap_or_else(|_| include_str!("bench/report/empty.md").to_owned());
    let generated = format!(
        "{}\n{}",
        report::table::table(&results, &names),
        report::table::details(&results, &names)
    );
    let text = report::table::insert(&text, &generated)?;
    std::fs::write(&document, text)
        .map_err(|e| format!("cannot write {}: {e}", document.display()))?;
    for (name, _) in names.iter().filter(|(name, _)| newer.rows.contains_key(*name)) {
        let table = report::table::table(&results, &[(name, "")]);
        println!("{}", table.lines().last().unwrap_or_default());
    }
    Ok(())
}

fn commit() -> Result<String> {
    let mut git = Command::new("git");
    git.current_dir(workspace()).args(["rev-parse", "--short=12", "HEAD"]);
    Ok(output(&mut git)?.trim().to_owned())
}

fn date() -> Result<String> {
    Ok(output(Command::new("date").args(["-u", "+%FT%TZ"]))?.trim().to_owned())
}
