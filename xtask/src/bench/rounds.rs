//! The order of the runs: every tool in turn, again and again, each round starting with another.

use super::options::Options;
use super::results::{Row, Runs};
use super::scenario::{Scenario, Stage};
use super::tools::{Found, Tool};
use crate::step::Result;

/// After these rounds a tool that is far behind the best peer takes no further part.
const ROUNDS_FOR_ALL: usize = 2;
/// How far that is.
const FAR_BEHIND: f64 = 1.5;

/// Who takes part.
pub(crate) struct Entrants<'a> {
    /// Tierce.
    pub(crate) ours: &'a dyn Tool,
    /// The others, or why they do not.
    pub(crate) peers: &'a [Found],
}

/// A tool and its place in the row.
struct Entrant<'a> {
    name: &'static str,
    tool: &'a dyn Tool,
}

/// Measures a scenario; a failure of Tierce's, or of what all start from, is the row's own.
pub(crate) fn run(
    scenario: &dyn Scenario,
    stage: &Stage,
    entrants: &Entrants,
    options: &Options,
) -> Row {
    let mut row = Row { target: scenario.target(), ..Row::default() };
    if let Err(why) = measure(scenario, stage, entrants, options, &mut row) {
        println!("  {why}");
        row.failed = Some(why);
    }
    row
}

fn measure(
    scenario: &dyn Scenario,
    stage: &Stage,
    entrants: &Entrants,
    options: &Options,
    row: &mut Row,
) -> Result<()> {
    scenario.prepare(stage)?;
    let ours = Entrant { name: entrants.ours.name(), tool: entrants.ours };
    enter(scenario, stage, &ours)?;
    let mut taking_part = vec![ours];
    for (name, found) in entrants.peers.iter().filter(|(n, _)| scenario.peers().contains(n)) {
        if !options.wants_peer(name) {
            row.absent.insert((*name).to_owned(), "not asked for".to_owned());
            continue;
        }
        let entered = found.as_ref().map_err(Clone::clone).and_then(|tool| {
            let entrant = Entrant { name, tool: tool.as_ref() };
            enter(scenario, stage, &entrant).map(|()| entrant)
        });
        match entered {
            Ok(entrant) => taking_part.push(entrant),
            Err(why) => {
                println!("  {name} takes no part: {why}");
                row.absent.insert((*name).to_owned(), why);
            }
        }
    }
    for round in 0..options.pairs {
        rounds_of_all(scenario, stage, &mut taking_part, round, row)?;
        if round + 1 >= ROUNDS_FOR_ALL {
            taking_part.retain(|entrant| !is_far_behind(entrant.name, row));
        }
    }
    leave(&entrants.peers.iter().filter_map(|(_, f)| f.as_deref().ok()).collect::<Vec<_>>());
    leave(&[entrants.ours]);
    row.facts = scenario.facts(stage)?;
    row.limit = scenario.limit(&stage.probe, &row.facts);
    Ok(())
}

/// One round. A peer that fails has no times at all.
fn rounds_of_all(
    scenario: &dyn Scenario,
    stage: &Stage,
    taking_part: &mut Vec<Entrant>,
    round: usize,
    row: &mut Row,
) -> Result<()> {
    let count = taking_part.len();
    let mut fallen = Vec::new();
    for i in 0..count {
        let entrant = &taking_part[(i + round) % count];
        match once(scenario, stage, entrant, round) {
            Ok(cost) => {
                println!("  {} {}", entrant.name, super::report::seconds(cost.wall));
                let runs = row.tools.entry(entrant.name.to_owned()).or_insert_with(|| Runs {
                    version: entrant.tool.version().to_owned(),
                    runs: Vec::new(),
                });
                runs.runs.push(cost);
            }
            Err(why) if entrant.name == super::results::OURS => return Err(why),
            Err(why) => {
                println!("  {} falls out: {why}", entrant.name);
                row.tools.remove(entrant.name);
                row.absent.insert(entrant.name.to_owned(), why);
                fallen.push(entrant.name);
            }
        }
    }
    taking_part.retain(|entrant| !fallen.contains(&entrant.name));
    Ok(())
}

fn enter(scenario: &dyn Scenario, stage: &Stage, entrant: &Entrant) -> Result<()> {
    super::tools::perform(entrant.tool, &super::tools::Task::Clear)?;
    scenario.enter(stage, entrant.tool)
}

fn once(
    scenario: &dyn Scenario,
    stage: &Stage,
    entrant: &Entrant,
    round: usize,
) -> Result<super::measure::Cost> {
    scenario.before(stage, entrant.tool, round)?;
    let cost = scenario.run(stage, entrant.tool)?;
    if round == 0 {
        scenario.verify(stage, entrant.tool)?;
    }
    scenario.after(stage, entrant.tool)?;
    Ok(cost)
}

/// Gives the memory back; what cannot be removed is in nobody's way but the memory's.
fn leave(tools: &[&dyn Tool]) {
    for tool in tools {
        if let Err(why) = super::tools::perform(*tool, &super::tools::Task::Clear) {
            println!("  {}: {why}", tool.name());
        }
    }
}

fn is_far_behind(name: &str, row: &Row) -> bool {
    let best = row.best_peer().and_then(|(_, runs)| runs.wall());
    let own = row.tools.get(name).and_then(Runs::wall);
    name != super::results::OURS && best.zip(own).is_some_and(|(best, own)| own > FAR_BEHIND * best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::results::tests::row;

    #[test]
    fn only_a_peer_far_behind_the_best_one_stops() {
        let row =
            row(&[("tierce", &[9.0]), ("docker", &[1.0]), ("podman", &[1.4]), ("buildah", &[1.6])]);
        let behind: Vec<&str> = ["tierce", "docker", "podman", "buildah"]
            .into_iter()
            .filter(|name| is_far_behind(name, &row))
            .collect();
        assert_eq!(behind, ["buildah"]);
    }
}
