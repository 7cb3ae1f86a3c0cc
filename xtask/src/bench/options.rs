//! What `cargo xtask bench` is told.

use std::path::PathBuf;

use crate::cargo::workspace;
use crate::step::Result;

/// How it is used.
pub(crate) const USAGE: &str = "usage: cargo xtask bench [SCENARIO…] [OPTIONS]

  --via PREFIX    put these words before each peer's command (`--via \"peers run\"`)
  --pairs N       runs of Tierce and of the best peer (7)
  --peer NAME     compare with this peer only; may be given several times; `none` for none
  --binary FILE   the `tierce` to measure, in place of one built now
  --dir DIR       a folder on a memory-backed file system for all data (a fresh one in /dev/shm)
  --out DIR       where performance.json, .md and .svg are (docs)
  --scale         ten times the size, for Tierce alone
  --instructions  how many instructions the shortest commands execute
  --report        measure nothing: make the table and the plot again from performance.json
  --list          the scenarios";

/// The arguments, understood.
#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    /// The scenarios asked for; all, if none is named.
    pub(crate) scenarios: Vec<String>,
    /// The words before each peer's command.
    pub(crate) via: Vec<String>,
    /// How often Tierce and the best peer run.
    pub(crate) pairs: usize,
    /// The peers asked for; all, if none is named.
    pub(crate) peers: Vec<String>,
    /// The program to measure.
    pub(crate) binary: Option<PathBuf>,
    /// Where the data go.
    pub(crate) dir: Option<PathBuf>,
    /// Where the results go.
    pub(crate) out: PathBuf,
    /// What is to be done.
    pub(crate) mode: Mode,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mode {
    /// Compare with the peers.
    Compare,
    /// Measure how cost grows with size.
    Scale,
    /// Count the instructions of short commands.
    Instructions,
    /// Make table and plot anew.
    Report,
    /// Name the scenarios.
    List,
    /// Tell how it is used.
    Help,
}

impl Options {
    /// Understands the arguments.
    pub(crate) fn parse(args: &[String]) -> Result<Self> {
        let mut options = Options {
            scenarios: Vec::new(),
            via: Vec::new(),
            pairs: 7,
            peers: Vec::new(),
            binary: None,
            dir: None,
            out: workspace().join("docs"),
            mode: Mode::Compare,
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().cloned().ok_or_else(|| format!("`{arg}` needs a value"));
            match arg.as_str() {
                "--via" => options.via = value()?.split_whitespace().map(str::to_owned).collect(),
                "--pairs" => options.pairs = pairs(&value()?)?,
                "--peer" => options.peers.push(value()?),
                "--binary" => options.binary = Some(absolute(&value()?)?),
                "--dir" => options.dir = Some(absolute(&value()?)?),
                "--out" => options.out = absolute(&value()?)?,
                "--scale" => options.mode = Mode::Scale,
                "--instructions" => options.mode = Mode::Instructions,
                "--report" => options.mode = Mode::Report,
                "--list" => options.mode = Mode::List,
                "--help" | "-h" => options.mode = Mode::Help,
                other if other.starts_with('-') => {
                    return Err(format!("`bench` does not know `{other}`\n\n{USAGE}"));
                }
                scenario => options.scenarios.push(scenario.to_owned()),
            }
        }
        Ok(options)
    }

    /// Whether a scenario was asked for.
    pub(crate) fn wants(&self, scenario: &str) -> bool {
        self.scenarios.is_empty() || self.scenarios.iter().any(|s| s == scenario)
    }

    /// Whether a peer was asked for.
    pub(crate) fn wants_peer(&self, peer: &str) -> bool {
        self.peers.is_empty() || self.peers.iter().any(|p| p == peer)
    }
}

fn pairs(value: &str) -> Result<usize> {
    value
        .parse()
        .ok()
        .filter(|n| (1..=1000).contains(n))
        .ok_or_else(|| format!("`--pairs {value}`: not a number from 1 to 1000"))
}

fn absolute(path: &str) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|e| format!("cannot resolve {path}: {e}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options> {
        Options::parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn scenarios_and_options_mix() {
        let options = parse("run-rm --pairs 3 pull-cold --peer docker --dir /dev/shm/x").unwrap();
        assert_eq!(options.scenarios, ["run-rm", "pull-cold"]);
        assert_eq!(options.pairs, 3);
        assert_eq!(options.dir, Some("/dev/shm/x".into()));
        assert!(options.wants("run-rm") && !options.wants("push-new"));
        assert!(options.wants_peer("docker") && !options.wants_peer("podman"));
    }

    #[test]
    fn a_prefix_is_words() {
        let args = ["--via".to_owned(), "../peers run".to_owned()];
        assert_eq!(Options::parse(&args).unwrap().via, ["../peers", "run"]);
    }

    #[test]
    fn what_is_not_known_or_not_a_number_is_refused() {
        assert!(parse("--fast").unwrap_err().contains("`--fast`"));
        assert!(parse("--pairs 0").unwrap_err().contains("--pairs 0"));
        assert!(parse("--pairs").unwrap_err().contains("needs a value"));
    }
}
