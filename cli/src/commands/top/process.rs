//! What `/proc` says of a process (proc_pid_stat(5)) and of the machine.

use std::collections::HashMap;
use std::fs;
use std::io;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use runtime::ProcessStat;

/// A process of the machine.
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) name: String,
    pub(super) args: String,
    pub(super) state: String,
    /// The number of its terminal; 0 if it has none.
    pub(super) terminal: u64,
    pub(super) nice: String,
    pub(super) threads: u64,
    /// Time on processors, in ticks.
    ticks: u64,
    /// When it started, in ticks since the machine did.
    start: u64,
    /// In bytes.
    pub(super) virtual_size: u64,
    /// In pages.
    resident: u64,
}

impl Process {
    /// Reads what there is; `None` if the process has gone.
    pub(super) fn read(pid: i32) -> Option<Process> {
        let stat = ProcessStat::of(pid)?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let args = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let id = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            // Real, then effective.
            line.split_ascii_whitespace().nth(1)?.parse().ok()
        };
        let args: Vec<_> = args
            .split(|byte| *byte == 0)
            .filter(|word| !word.is_empty())
            .map(String::from_utf8_lossy)
            .collect();
        Some(Process {
            pid,
            parent: stat.parent(),
            uid: id("Uid:")?,
            gid: id("Gid:")?,
            args: if args.is_empty() { format!("[{}]", stat.name) } else { args.join(" ") },
            state: stat.field(3).to_owned(),
            terminal: stat.number(7),
            nice: stat.field(19).to_owned(),
            threads: stat.number(20),
            ticks: stat.number(14) + stat.number(15),
            start: stat.number(22),
            virtual_size: stat.number(23),
            resident: stat.number(24),
            name: stat.name,
        })
    }

    /// Time on processors in seconds.
    pub(super) fn busy(&self, machine: &Machine) -> u64 {
        self.ticks / machine.ticks
    }

    /// How long it has been there, in seconds.
    pub(super) fn age(&self, machine: &Machine) -> u64 {
        machine.uptime.saturating_sub(self.start / machine.ticks)
    }

    /// When it started.
    pub(super) fn started(&self, machine: &Machine) -> Zoned {
        let age = SignedDuration::from_secs(self.age(machine).cast_signed());
        let then = machine.now.checked_sub(age).unwrap_or(machine.now);
        then.to_zoned(TimeZone::system())
    }

    /// The share of one processor that it had all its life, in percent.
    pub(super) fn share(&self, machine: &Machine) -> f64 {
        let age = self.age(machine);
        if age == 0 { 0.0 } else { 100.0 * self.busy(machine) as f64 / age as f64 }
    }

    /// Memory that is there, in KiB.
    pub(super) fn resident(&self) -> u64 {
        self.resident * (rustix::param::page_size() as u64 / 1024)
    }
}

/// What all processes have in common.
pub(super) struct Machine {
    pub(super) now: Timestamp,
    /// Seconds since it started.
    uptime: u64,
    /// So many are a second.
    ticks: u64,
    /// In KiB.
    pub(super) memory: u64,
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Machine {
    pub(super) fn look() -> io::Result<Machine> {
        let uptime = fs::read_to_string("/proc/uptime")?;
        let uptime = uptime.split('.').next().and_then(|seconds| seconds.parse().ok());
        let memory = fs::read_to_string("/proc/meminfo")?;
        let memory = memory.split_ascii_whitespace().nth(1).and_then(|size| size.parse().ok());
        Ok(Machine {
            now: Timestamp::now(),
            uptime: uptime.unwrap_or_default(),
            ticks: rustix::param::clock_ticks_per_second().max(1),
            memory: memory.unwrap_or_default(),
            users: names("/etc/passwd"),
            groups: names("/etc/group"),
        })
    }

    /// The machine's name for a user.
    pub(super) fn user(&self, uid: u32) -> String {
        self.users.get(&uid).cloned().unwrap_or_else(|| uid.to_string())
    }

    /// The machine's name for a group.
    pub(super) fn group(&self, gid: u32) -> String {
        self.groups.get(&gid).cloned().unwrap_or_else(|| gid.to_string())
    }
}

/// The names in a file of accounts: the first field, and the id in the third.
fn names(file: &str) -> HashMap<u32, String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let name = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        Some((fields.nth(1)?.parse().ok()?, name))
    };
    text.lines().filter_map(name).collect()
}
