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
    /// The most processes and threads.
    pub processes: Option<u64>,
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
    /// Whether a kernel may be without such files.
    pub(super) optional: bool,
}

const PERIOD: u64 = 100_000;

/// What has to be written, in an order that the kernel takes.
pub(super) fn settings(limits: &Limits) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut add = |limit, controller, legacy: Values, unified: Values, optional| {
        settings.push(Setting { limit, controller, legacy, unified, optional });
    };
    let value = |value: u64| Some(value.to_string());
    if let Some(memory) = limits.memory {
        let legacy = vec![("memory.limit_in_bytes", value(memory))];
        add("memory", "memory", legacy, vec![("memory.max", value(memory))], false);
        let total = limits.memory_and_swap.unwrap_or(Some(memory.saturating_mul(2)));
        let legacy = total.map_or_else(|| "-1".into(), |total| total.to_string());
        let swap =
            total.map_or_else(|| "max".into(), |total| (total.saturating_sub(memory)).to_string());
        let legacy = vec![("memory.memsw.limit_in_bytes", Some(legacy))];
        // A kernel may not count swap.
        add("swap", "memory", legacy, vec![("memory.swap.max", Some(swap))], true);
    }
    if let Some(reserved) = limits.memory_reservation {
        let legacy = vec![("memory.soft_limit_in_bytes", value(reserved))];
        add("reserved memory", "memory", legacy, vec![("memory.low", value(reserved))], false);
    }
    if limits.cpu_quota.is_some() || limits.cpu_period.is_some() {
        let period = limits.cpu_period.unwrap_or(PERIOD);
        let quota = limits.cpu_quota.map(|quota| quota.to_string());
        let legacy = quota.clone().unwrap_or_else(|| "-1".into());
        let legacy = vec![("cpu.cfs_period_us", value(period)), ("cpu.cfs_quota_us", Some(legacy))];
        let max = format!("{} {period}", quota.unwrap_or_else(|| "max".into()));
        add("processor time", "cpu", legacy, vec![("cpu.max", Some(max))], false);
    }
    if let Some(shares) = limits.cpu_shares {
        let shares = shares.clamp(2, 262_144);
        // The scale of version 2 goes from 1 to 10000.
        let weight = 1 + ((shares - 2) * 9999) / 262_142;
        let unified = vec![("cpu.weight", value(weight))];
        add("processor shares", "cpu", vec![("cpu.shares", value(shares))], unified, false);
    }
    if limits.cpus.is_some() || limits.memory_nodes.is_some() {
        let cpus = limits.cpus.as_ref().map(CpuSet::to_string);
        let nodes = limits.memory_nodes.as_ref().map(CpuSet::to_string);
        let mut unified = vec![("cpuset.cpus", cpus.clone()), ("cpuset.mems", nodes.clone())];
        unified.retain(|(_, value)| value.is_some());
        let legacy = vec![("cpuset.cpus", cpus), ("cpuset.mems", nodes)];
        add("processors", "cpuset", legacy, unified, false);
    }
    if let Some(processes) = limits.processes {
        let values = vec![("pids.max", value(processes))];
        add("processes", "pids", values.clone(), values, false);
    }
    settings
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
