//! What was measured, and what it means.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::instructions::Count;
use super::measure::Cost;
use super::probe::Probe;
use super::statistics::{median, ratio};
use crate::step::Result;

/// Pairs below which a row is no proof.
pub(crate) const PAIRS: usize = 7;
/// Ours, among the tools.
pub(crate) const OURS: &str = "tierce";

/// What a row has to reach.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Target {
    /// Times faster than the best peer.
    pub(crate) ratio: Option<f64>,
    /// Times the limit that it may take.
    pub(crate) limit: Option<f64>,
    /// Seconds that it may take.
    pub(crate) seconds: Option<f64>,
    /// The compressed layers' size, as a multiple of `gzip -6`.
    pub(crate) size: Option<f64>,
}

/// One tool's runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Runs {
    /// What the tool says it is.
    pub(crate) version: String,
    /// Each run, in their order.
    pub(crate) runs: Vec<Cost>,
}

impl Runs {
    fn of(&self, part: impl Fn(&Cost) -> f64) -> Vec<f64> {
        self.runs.iter().map(part).collect()
    }

    /// Seconds of each run.
    pub(crate) fn walls(&self) -> Vec<f64> {
        self.of(|cost| cost.wall)
    }

    /// The middle of the times, in seconds.
    pub(crate) fn wall(&self) -> Option<f64> {
        median(&self.walls())
    }

    /// The middle of the processor's seconds.
    pub(crate) fn cpu(&self) -> Option<f64> {
        median(&self.of(|cost| cost.cpu))
    }

    /// The most memory of any run, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        self.runs.iter().map(|cost| cost.peak).max().unwrap_or_default()
    }
}

/// A scenario's outcome.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// What was measured: a commit, or a file.
    pub(crate) commit: String,
    /// When.
    pub(crate) date: String,
    /// What all data stood on.
    pub(crate) filesystem: String,
    /// What is to be reached.
    pub(crate) target: Target,
    /// The least time that the model of the limit allows, in seconds.
    pub(crate) limit: Option<f64>,
    /// The machine in that run.
    pub(crate) probe: Probe,
    /// Sizes and what else was found out.
    pub(crate) facts: BTreeMap<String, f64>,
    /// The tools' runs.
    pub(crate) tools: BTreeMap<String, Runs>,
    /// Tools that took no part, and why.
    pub(crate) absent: BTreeMap<String, String>,
    /// Why there is nothing.
    pub(crate) failed: Option<String>,
}

impl Row {
    /// Our runs.
    pub(crate) fn ours(&self) -> Option<&Runs> {
        self.tools.get(OURS)
    }

    /// The fastest of the others.
    pub(crate) fn best_peer(&self) -> Option<(&str, &Runs)> {
        self.tools
            .iter()
            .filter(|(name, _)| *name != OURS)
            .filter_map(|(name, runs)| Some((name.as_str(), runs, runs.wall()?)))
            .min_by(|a, b| a.2.total_cmp(&b.2))
            .map(|(name, runs, _)| (name, runs))
    }

    /// How many times longer the best peer takes.
    pub(crate) fn ratio(&self) -> Option<f64> {
        ratio(&self.best_peer()?.1.walls(), &self.ours()?.walls())
    }

    /// How many times the limit Tierce takes.
    pub(crate) fn of_limit(&self) -> Option<f64> {
        Some(self.ours()?.wall()? / self.limit?)
    }

    /// Where the row falls short of its target.
    pub(crate) fn misses(&self) -> Vec<String> {
        let mut misses = Vec::new();
        let Some(wall) = self.ours().and_then(Runs::wall) else {
            return vec!["not measured".to_owned()];
        };
        if let Some(target) = self.target.ratio {
            match self.ratio() {
                Some(ratio) if ratio < target => misses.push(format!("{ratio:.1}× of {target}×")),
                Some(_) => {}
                None => misses.push(format!("no peer to compare with, of {target}×")),
            }
        }
        if let (Some(target), Some(reached)) = (self.target.limit, self.of_limit())
            && reached > target
        {
            misses.push(format!("{reached:.2}× the limit, of {target}×"));
        }
        if let Some(target) = self.target.seconds
            && wall > target
        {
            misses.push(format!("{:.1} ms of {:.0} ms", wall * 1e3, target * 1e3));
        }
        if let (Some(target), Some(size)) = (self.target.size, self.facts.get("size of gzip -6"))
            && *size > target
        {
            misses.push(format!("{size:.3}× gzip -6, of {target}×"));
        }
        misses
    }

    /// How many pairs the comparison stands on.
    pub(crate) fn pairs(&self) -> usize {
        let ours = self.ours().map_or(0, |runs| runs.runs.len());
        self.best_peer().map_or(ours, |(_, runs)| runs.runs.len().min(ours))
    }
}

/// How cost grows with size.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Growth {
    /// What was measured: a commit, or a file.
    pub(crate) commit: String,
    /// When.
    pub(crate) date: String,
    /// What was done.
    pub(crate) about: String,
    /// At the size of the comparison, if it was measured there too.
    pub(crate) once: Option<Cost>,
    /// At the large size.
    pub(crate) large: Option<Cost>,
    /// How many times larger.
    pub(crate) times: f64,
    /// Why there is nothing.
    pub(crate) failed: Option<String>,
}

/// All rows that were ever measured and not measured again since.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Results {
    /// By scenario.
    pub(crate) rows: BTreeMap<String, Row>,
    /// By what grew.
    #[serde(default)]
    pub(crate) growth: BTreeMap<String, Growth>,
    /// By command.
    #[serde(default)]
    pub(crate) instructions: BTreeMap<String, Count>,
}

impl Results {
    /// Reads a file; nothing, if there is none yet.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text)
                .map_err(|e| format!("cannot understand {}: {e}", path.display())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Results::default()),
            Err(e) => Err(format!("cannot read {}: {e}", path.display())),
        }
    }

    /// Takes rows over the ones of their names; what failed does not displace what was measured.
    pub(crate) fn merge(&mut self, newer: Results) {
        for (name, row) in newer.rows {
            let keep = row.failed.is_some()
                && self.rows.get(&name).is_some_and(|old| old.failed.is_none());
            if !keep {
                self.rows.insert(name, row);
            }
        }
        for (name, growth) in newer.growth {
            let keep = growth.failed.is_some()
                && self.growth.get(&name).is_some_and(|old| old.failed.is_none());
            if !keep {
                self.growth.insert(name, growth);
            }
        }
        self.instructions.extend(newer.instructions);
    }

    /// Writes the file.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(|e| e.to_string())? + "\n";
        std::fs::write(path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A row in which each tool took some times.
    pub(crate) fn row(tools: &[(&str, &[f64])]) -> Row {
        let runs = |walls: &[f64]| Runs {
            version: "1.0".to_owned(),
            runs: walls
                .iter()
                .map(|wall| Cost { wall: *wall, cpu: *wall, peak: 1 << 20 })
                .collect(),
        };
        Row {
            tools: tools.iter().map(|(name, walls)| ((*name).to_owned(), runs(walls))).collect(),
            ..Row::default()
        }
    }

    #[test]
    fn the_best_peer_is_the_fastest_of_the_others() {
        let row = row(&[("tierce", &[1.0, 1.0]), ("docker", &[9.0, 7.0]), ("podman", &[6.0, 6.0])]);
        assert_eq!(row.best_peer().map(|(name, _)| name), Some("podman"));
        assert_eq!(row.ratio(), Some(6.0));
        assert_eq!(row.pairs(), 2);
    }

    #[test]
    fn a_row_says_each_target_that_it_misses() {
        let mut row = row(&[("tierce", &[0.02]), ("docker", &[0.1])]);
        row.limit = Some(0.01);
        row.facts.insert("size of gzip -6".to_owned(), 1.2);
        row.target =
            Target { ratio: Some(8.0), limit: Some(1.5), seconds: Some(0.015), size: Some(1.12) };
        assert_eq!(
            row.misses(),
            [
                "5.0× of 8×",
                "2.00× the limit, of 1.5×",
                "20.0 ms of 15 ms",
                "1.200× gzip -6, of 1.12×"
            ]
        );
        row.target =
            Target { ratio: Some(5.0), limit: Some(2.0), seconds: Some(0.02), size: Some(1.2) };
        assert_eq!(row.misses(), Vec::<String>::new());
    }

    #[test]
    fn a_target_without_a_peer_is_missed() {
        let mut row = row(&[("tierce", &[0.02])]);
        row.target.ratio = Some(8.0);
        assert_eq!(row.misses(), ["no peer to compare with, of 8×"]);
    }

    #[test]
    fn merging_replaces_what_was_measured_again_and_keeps_the_rest() {
        let results = |rows: &[(&str, Row)]| Results {
            rows: rows.iter().map(|(name, row)| ((*name).to_owned(), row.clone())).collect(),
            ..Results::default()
        };
        let (old, new) = (row(&[("tierce", &[2.0])]), row(&[("tierce", &[1.0])]));
        let failed = Row { failed: Some("no docker".to_owned()), ..Row::default() };
        let mut all = results(&[("a", old.clone()), ("b", old.clone())]);
        all.merge(results(&[("a", new.clone()), ("b", failed.clone()), ("c", failed.clone())]));
        assert_eq!(all, results(&[("a", new), ("b", old), ("c", failed)]));
    }
}
