//! Limits, and what is written where for them.

/// How much a container may use. Nothing said, nothing limited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// The most memory, in bytes.
    pub memory: Option<u64>,
    /// The most memory and swap together, in bytes; `Some(None)` for any amount. Twice the memory
    /// if only that is limited.
    pub memory_and_swap: Option<Option<u64>>,
    /// The memory that it is asked to keep to when there is little, in bytes.
    pub memory_reservation: Option<u64>,
    /// How long it may run in each period on all processors together, in microseconds.
    pub cpu_quota: Option<u64>,
    /// That period, in microseconds; a tenth of a second if there is none.
    pub cpu_period: Option<u64>,
    /// Its part of the processors when there are too few, 2 to 262144; others have 1024.
    pub cpu_shares: Option<u64>,
    /// Which processors it may use.
    pub cpus: Option<CpuSet>,
    /// Which memory nodes it may use.
    pub memory_nodes: Option<CpuSet>,
    /// The most processes and threads; `u64::MAX` for any number.
    pub processes: Option<u64>,
    /// How readily its memory is swapped out, 0 to 100.
    pub swappiness: Option<u8>,
    /// Whether it waits for memory when there is none left, and is not ended.
    pub waits_for_memory: bool,
    /// Its part of the disks when they are busy, 10 to 1000; others have 500.
    pub disk_weight: Option<u16>,
    /// What it may do with single disks.
    pub disks: Vec<DiskLimit>,
}

/// How fast a container may use one disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskLimit {
    /// Major and minor number of the device.
    pub device: (u32, u32),
    /// What is counted.
    pub rate: DiskRate,
    /// The most of it in a second; of a weight, the part.
    pub most: u64,
}

/// What is counted of a disk's use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskRate {
    /// Bytes that are read.
    ReadBytes,
    /// Bytes that are written.
    WrittenBytes,
    /// Reads.
    Reads,
    /// Writes.
    Writes,
    /// The part of this disk, 10 to 1000, in place of the one of all disks.
    Weight,
}

impl DiskRate {
    /// The file of version 1, and the key of version 2.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            DiskRate::ReadBytes => ("blkio.throttle.read_bps_device", "rbps"),
            DiskRate::WrittenBytes => ("blkio.throttle.write_bps_device", "wbps"),
            DiskRate::Reads => ("blkio.throttle.read_iops_device", "riops"),
            DiskRate::Writes => ("blkio.throttle.write_iops_device", "wiops"),
            DiskRate::Weight => ("blkio.weight_device", ""),
        }
    }
}

/// Numbers as the kernel lists them: `0-2,5`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuSet(String);

impl std::str::FromStr for CpuSet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse::<u16>().ok();
        let range = |part: &str| match part.split_once('-') {
            None => number(part).is_some(),
            Some((from, to)) => {
                matches!((number(from), number(to)), (Some(from), Some(to)) if from <= to)
            }
        };
        match text.split(',').all(range) {
            true => Ok(Self(text.to_owned())),
            false => Err(format!("`{text}` is no list of numbers such as 0-2,5")),
        }
    }
}

impl CpuSet {
    /// Whether all of these are among others.
    #[must_use]
    pub fn is_within(&self, others: &CpuSet) -> bool {
        let others: std::collections::BTreeSet<u16> = others.numbers().collect();
        self.numbers().all(|number| others.contains(&number))
    }

    fn numbers(&self) -> impl Iterator<Item = u16> + '_ {
        // Only such lists are ever read.
        let number = |text: &str| text.parse::<u16>().unwrap_or_default();
        self.0.split(',').flat_map(move |part| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            number(from)..=number(to)
        })
    }
}

impl std::fmt::Display for CpuSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// File, and what is written to it; what the parent has if that is nothing.
type Values = Vec<(&'static str, Option<String>)>;

/// One limit in the kernel's words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// What people call it.
    pub(super) limit: &'static str,
    /// Who keeps it.
    pub(super) controller: &'static str,
    /// Files of version 1.
    pub(super) legacy: Values,
    /// Files of version 2.
    pub(super) unified: Values,
    /// Which of the files must be there.
    pub(super) files: Files,
}

/// Which of the files of a setting must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Files {
    All,
    /// A kernel may be without.
    AnyNumber,
    /// The first that is there is written, and there must be one.
    First,
}

const PERIOD: u64 = 100_000;

/// What has to be written, in an order that the kernel takes.
pub(super) fn settings(limits: &Limits) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut add = |limit, controller, legacy: Values, unified: Values, files| {
        settings.push(Setting { limit, controller, legacy, unified, files });
    };
    let value = |value: u64| Some(value.to_string());
    if let Some(memory) = limits.memory {
        let legacy = vec![("memory.limit_in_bytes", value(memory))];
        add("memory", "memory", legacy, vec![("memory.max", value(memory))], Files::All);
        let total = limits.memory_and_swap.unwrap_or(Some(memory.saturating_mul(2)));
        let legacy = total.map_or_else(|| "-1".into(), |total| total.to_string());
        let swap =
            total.map_or_else(|| "max".into(), |total| (total.saturating_sub(memory)).to_string());
        let legacy = vec![("memory.memsw.limit_in_bytes", Some(legacy))];
        // A kernel may not count swap.
        add("swap", "memory", legacy, vec![("memory.swap.max", Some(swap))], Files::AnyNumber);
    }
    if let Some(reserved) = limits.memory_reservation {
        let legacy = vec![("memory.soft_limit_in_bytes", value(reserved))];
        add("reserved memory", "memory", legacy, vec![("memory.low", value(reserved))], Files::All);
    }
    if limits.cpu_quota.is_some() || limits.cpu_period.is_some() {
        let period = limits.cpu_period.unwrap_or(PERIOD);
        let quota = limits.cpu_quota.map(|quota| quota.to_string());
        let legacy = quota.clone().unwrap_or_else(|| "-1".into());
        let legacy = vec![("cpu.cfs_period_us", value(period)), ("cpu.cfs_quota_us", Some(legacy))];
        let max = format!("{} {period}", quota.unwrap_or_else(|| "max".into()));
        add("processor time", "cpu", legacy, vec![("cpu.max", Some(max))], Files::All);
    }
    if let Some(shares) = limits.cpu_shares {
        let shares = shares.clamp(2, 262_144);
        // The scale of version 2 goes from 1 to 10000.
        let weight = 1 + ((shares - 2) * 9999) / 262_142;
        let unified = vec![("cpu.weight", value(weight))];
        add("processor shares", "cpu", vec![("cpu.shares", value(shares))], unified, Files::All);
    }
    if limits.cpus.is_some() || limits.memory_nodes.is_some() {
        let cpus = limits.cpus.as_ref().map(CpuSet::to_string);
        let nodes = limits.memory_nodes.as_ref().map(CpuSet::to_string);
        let mut unified = vec![("cpuset.cpus", cpus.clone()), ("cpuset.mems", nodes.clone())];
        unified.retain(|(_, value)| value.is_some());
        let legacy = vec![("cpuset.cpus", cpus), ("cpuset.mems", nodes)];
        add("processors", "cpuset", legacy, unified, Files::All);
    }
    if let Some(processes) = limits.processes {
        let most = if processes == u64::MAX { "max".into() } else { processes.to_string() };
        let values = vec![("pids.max", Some(most))];
        add("processes", "pids", values.clone(), values, Files::All);
    }
    if let Some(swappiness) = limits.swappiness {
        let legacy = vec![("memory.swappiness", value(swappiness.into()))];
        add("swappiness", "memory", legacy, Vec::new(), Files::All);
    }
    if limits.waits_for_memory {
        let legacy = vec![("memory.oom_control", value(1))];
        add("the end of processes without memory", "memory", legacy, Vec::new(), Files::All);
    }
    disks(limits, add);
    settings
}

/// Version 1 calls its controller `blkio`, version 2 `io`: the names are told apart by
/// [`Setting::controller_of`].
const DISKS: &str = "blkio";

fn disks(limits: &Limits, mut add: impl FnMut(&'static str, &'static str, Values, Values, Files)) {
    if let Some(weight) = limits.disk_weight {
        let value = |value: u64| Some(value.to_string());
        let weight = u64::from(weight);
        let legacy = vec![("blkio.bfq.weight", value(weight)), ("blkio.weight", value(weight))];
        let scaled = Some(format!("default {}", scaled(weight)));
        let unified = vec![("io.bfq.weight", value(weight)), ("io.weight", scaled)];
        add("the part of disks", DISKS, legacy, unified, Files::First);
    }
    for DiskLimit { device: (major, minor), rate, most } in &limits.disks {
        let (file, key) = rate.names();
        let device = format!("{major}:{minor}");
        let legacy = Some(format!("{device} {most}"));
        match rate {
            DiskRate::Weight => {
                let legacy = vec![("blkio.bfq.weight_device", legacy.clone()), (file, legacy)];
                let plain = Some(format!("{device} {most}"));
                let scaled = Some(format!("{device} {}", scaled(*most)));
                let unified = vec![("io.bfq.weight", plain), ("io.weight", scaled)];
                add("the part of a disk", DISKS, legacy, unified, Files::First);
            }
            _ => {
                let unified = vec![("io.max", Some(format!("{device} {key}={most}")))];
                add("the use of a disk", DISKS, vec![(file, legacy)], unified, Files::All);
            }
        }
    }
}

/// A weight of 10 to 1000 on the scale of version 2, which goes from 1 to 10000.
fn scaled(weight: u64) -> u64 {
    1 + (weight.clamp(10, 1000) - 10) * 9999 / 990
}

impl Setting {
    /// Who keeps it in version 2.
    pub(super) fn controller_of(&self, unified: bool) -> &'static str {
        match self.controller {
            DISKS if unified => "io",
            controller => controller,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_said_is_nothing_written() {
        assert_eq!(settings(&Limits::default()), []);
    }

    #[test]
    fn shares_become_weights_on_the_other_scale() {
        for (shares, weight) in [(2, "1"), (1024, "39"), (262_144, "10000"), (1, "1")] {
            let limits = Limits { cpu_shares: Some(shares), ..Limits::default() };
            assert_eq!(settings(&limits)[0].unified, [("cpu.weight", Some(weight.to_owned()))]);
        }
    }

    #[test]
    fn disks_are_limited_in_the_words_of_either_version() {
        let disk = DiskLimit { device: (8, 16), rate: DiskRate::Writes, most: 5 };
        let limits = Limits { disk_weight: Some(500), disks: vec![disk], ..Limits::default() };
        let [weight, rate] = &settings(&limits)[..] else { panic!("two settings") };
        assert_eq!(weight.unified[1], ("io.weight", Some("default 4950".to_owned())));
        assert_eq!(weight.files, Files::First);
        let legacy = ("blkio.throttle.write_iops_device", Some("8:16 5".to_owned()));
        assert_eq!(rate.legacy, [legacy]);
        assert_eq!(rate.unified, [("io.max", Some("8:16 wiops=5".to_owned()))]);
        assert_eq!((rate.controller_of(false), rate.controller_of(true)), ("blkio", "io"));
    }

    #[test]
    fn any_number_of_processes_is_a_word() {
        let limits = Limits { processes: Some(u64::MAX), ..Limits::default() };
        assert_eq!(settings(&limits)[0].unified, [("pids.max", Some("max".to_owned()))]);
    }

    #[test]
    fn swap_is_counted_with_the_memory_in_version_1_and_alone_in_version_2() {
        let limits =
            Limits { memory: Some(100), memory_and_swap: Some(Some(150)), ..Limits::default() };
        let swap = &settings(&limits)[1];
        assert_eq!(swap.legacy, [("memory.memsw.limit_in_bytes", Some("150".to_owned()))]);
        assert_eq!(swap.unified, [("memory.swap.max", Some("50".to_owned()))]);
    }

    #[test]
    fn lists_of_processors_are_numbers_and_ranges() {
        assert_eq!("0-2,5".parse::<CpuSet>().unwrap().to_string(), "0-2,5");
        for text in ["", "a", "2-1", "0,,1", "-1", "0-"] {
            assert!(text.parse::<CpuSet>().is_err(), "{text}");
        }
    }
}
