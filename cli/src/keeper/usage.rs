//! What the processes of a container are, and what they use (proc(5)).

use std::fs;

use runtime::ProcessStat;

use super::Keeper;
use super::door::failed;
use super::wire::{Reply, Usage};

impl Keeper {
    /// The ids of all processes.
    pub(super) fn processes(&self) -> Reply {
        self.with_processes(|_, processes| Reply::Processes(processes))
    }

    /// What they use.
    pub(super) fn usage(&self) -> Reply {
        self.with_processes(|init, processes| {
            let mut usage = Usage::default();
            processes.into_iter().for_each(|pid| add_process(&mut usage, pid));
            add_network(&mut usage, init);
            Reply::Usage(usage)
        })
    }

    fn with_processes(&self, answer: impl FnOnce(i32, Vec<i32>) -> Reply) -> Reply {
        let Some(init) = self.running() else { return failed("it is not running") };
        match init.inmates.all() {
            Ok(processes) => answer(init.pid, processes),
            Err(error) => failed(format!("cannot find its processes: {error}")),
        }
    }
}

/// Adds what a process uses, and used with those children that it has waited for. One that has
/// ended meanwhile adds nothing.
fn add_process(usage: &mut Usage, pid: i32) {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    if let Some(stat) = ProcessStat::of(pid) {
        // In user mode and in the kernel, its own and that of the children.
        let ticks: u64 = (14..=17).map(|field| stat.number(field)).sum();
        usage.processor += ticks * (1_000_000_000 / rustix::param::clock_ticks_per_second().max(1));
        usage.tasks += stat.number(20);
    }
    usage.memory += 1024 * value(&read("smaps_rollup"), "Pss:");
    let io = read("io");
    usage.read += value(&io, "read_bytes:");
    usage.written += value(&io, "write_bytes:");
}

/// Adds what went over the interfaces of a network of its own.
fn add_network(usage: &mut Usage, init: i32) {
    let network = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    if network(&init.to_string()) == network("self") {
        return;
    }
    let devices = fs::read_to_string(format!("/proc/{init}/net/dev")).unwrap_or_default();
    for (name, counts) in devices.lines().filter_map(|line| line.split_once(':')) {
        if name.trim() != "lo" {
            let counts: Vec<u64> = counts.split_ascii_whitespace().map(number).collect();
            usage.received += counts.first().copied().unwrap_or_default();
            usage.sent += counts.get(8).copied().unwrap_or_default();
        }
    }
}

/// The number behind a name at the beginning of a line.
fn value(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_ascii_whitespace().next()).map_or(0, number)
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let mut usage = Usage::default();
        add_process(&mut usage, i32::try_from(std::process::id()).unwrap());
        assert!(usage.memory > 4096, "{usage:?}");
        assert!(usage.tasks > 0, "{usage:?}");
    }
}
