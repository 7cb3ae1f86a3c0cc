//! What a tool's daemons take, by the kernel's count.
//!
//! A daemon works for its command lines in processes that are none of their children. Those are
//! found by name, with all that hangs below them; time is the growth of their counts.

use std::collections::{BTreeMap, BTreeSet};

use super::measure::Cost;
use crate::step::Result;

/// Programs that work for a tool, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Daemons {
    names: Vec<&'static str>,
    pids: Vec<u32>,
}

/// What the kernel says of one process.
#[derive(Debug, PartialEq)]
struct Process {
    pid: u32,
    parent: u32,
    name: String,
    /// Clock ticks of the process and of its children that have ended.
    ticks: u64,
}

/// Processor time by process, in seconds.
#[derive(Debug, Default)]
pub(crate) struct Sample(BTreeMap<u32, f64>);

/// What the daemons took.
pub(crate) struct Share {
    cpu: f64,
    peak: u64,
}

impl Share {
    /// The cost of a command with its daemons' share.
    pub(crate) fn added_to(&self, cost: Cost) -> Cost {
        Cost { cpu: cost.cpu + self.cpu, peak: cost.peak.max(self.peak), ..cost }
    }
}

impl Daemons {
    /// All programs of these names.
    pub(crate) fn named(names: &[&'static str]) -> Self {
        Daemons { names: names.to_vec(), pids: Vec::new() }
    }

    /// One process.
    pub(crate) fn process(pid: u32) -> Self {
        Daemons { names: Vec::new(), pids: vec![pid] }
    }

    /// Reads the counts, and sets the peaks back.
    pub(crate) fn sample(&self) -> Result<Sample> {
        let sample = self.counts()?;
        for pid in sample.0.keys() {
            // A process that has ended meanwhile has no peak any more.
            let _ = std::fs::write(format!("/proc/{pid}/clear_refs"), "5");
        }
        Ok(sample)
    }

    /// What was taken since.
    pub(crate) fn since(&self, before: &Sample) -> Result<Share> {
        let after = self.counts()?;
        let cpu = after
            .0
            .iter()
            .map(|(pid, now)| (now - before.0.get(pid).copied().unwrap_or_default()).max(0.0))
            .sum();
        let peak = after.0.keys().filter_map(|pid| peak(*pid)).max().unwrap_or_default();
        Ok(Share { cpu, peak })
    }

    fn counts(&self) -> Result<Sample> {
        if self.names.is_empty() && self.pids.is_empty() {
            return Ok(Sample::default());
        }
        let processes = processes()?;
        let tree = tree(&processes, |p| {
            self.pids.contains(&p.pid) || self.names.contains(&p.name.as_str())
        });
        Ok(Sample(
            processes.iter().filter(|p| tree.contains(&p.pid)).map(|p| (p.pid, time(p))).collect(),
        ))
    }
}

/// The time of a process in seconds; a tick is coarse, but daemons take many.
fn time(process: &Process) -> f64 {
    process.ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// The chosen processes and all below them.
fn tree(processes: &[Process], chosen: impl Fn(&Process) -> bool) -> BTreeSet<u32> {
    let mut tree: BTreeSet<u32> = processes.iter().filter(|p| chosen(p)).map(|p| p.pid).collect();
    loop {
        let before = tree.len();
        let below: Vec<u32> =
            processes.iter().filter(|p| tree.contains(&p.parent)).map(|p| p.pid).collect();
        tree.extend(below);
        if tree.len() == before {
            return tree;
        }
    }
}

fn processes() -> Result<Vec<Process>> {
    let entries = std::fs::read_dir("/proc").map_err(|e| format!("cannot read /proc: {e}"))?;
    Ok(entries
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            // It may end while the others are read.
            parse(pid, &std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
        })
        .collect())
}

/// Reads a line of `/proc/PID/stat`; the name may hold anything, parentheses and blanks too.
fn parse(pid: u32, stat: &str) -> Option<Process> {
    let (_, rest) = stat.split_once('(')?;
    let (name, rest) = rest.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |i: usize| fields.get(i)?.parse::<u64>().ok();
    Some(Process {
        pid,
        parent: u32::try_from(number(1)?).ok()?,
        name: name.to_owned(),
        ticks: (11..=14).map(number).sum::<Option<u64>>()?,
    })
}

fn peak(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_is_read() {
        let line = "7 (a) b) S 3 7 7 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 5";
        let process = parse(7, line).unwrap();
        assert_eq!(process, Process { pid: 7, parent: 3, name: "a) b".to_owned(), ticks: 100 });
    }

    #[test]
    fn what_hangs_below_a_daemon_belongs_to_it() {
        let process =
            |pid, parent, name: &str| Process { pid, parent, name: name.to_owned(), ticks: 0 };
        let all = [
            process(1, 0, "init"),
            process(9, 5, "runc"),
            process(5, 1, "dockerd"),
            process(6, 1, "x"),
        ];
        let found = tree(&all, |p| p.name == "dockerd");
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [5, 9]);
    }

    #[test]
    fn this_process_has_a_peak_and_a_time() {
        let me = Daemons::process(std::process::id());
        let before = me.sample().unwrap();
        assert_eq!(before.0.len(), 1);
        assert!(me.since(&before).unwrap().peak > 100_000);
    }
}
