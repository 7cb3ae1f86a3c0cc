//! How much a container may use: the options, and what is kept of them.

mod disks;

use runtime::{CpuSet, Limits};
use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::ui::quantity::parse_size;
pub(crate) use disks::{DiskConfig, Rate};

/// The least memory that docker lets a container have, in bytes.
const LEAST_MEMORY: u64 = 6 << 20;

/// How long a period of the processors is, in microseconds.
const PERIOD: f64 = 100_000.0;

// What `run` and `create` take about limits.
#[derive(Debug, clap::Args)]
pub(crate) struct LimitArgs {
    /// The most memory, as 512m
    #[arg(short, long, value_name = "SIZE", value_parser = parse_size)]
    memory: Option<u64>,
    /// The most memory and swap together; -1 for any amount
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    memory_swap: Option<String>,
    /// The memory to keep to when there is little
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    memory_reservation: Option<u64>,
    /// How many processors' time it may use, as 1.5
    #[arg(long, value_name = "NUMBER")]
    cpus: Option<f64>,
    /// Microseconds of processor time in each period
    #[arg(long, value_name = "MICROSECONDS", conflicts_with = "cpus")]
    cpu_quota: Option<u64>,
    /// Microseconds of a period
    #[arg(long, value_name = "MICROSECONDS", conflicts_with = "cpus")]
    cpu_period: Option<u64>,
    /// Its part of the processors when there are too few; others have 1024
    #[arg(short, long, value_name = "NUMBER")]
    cpu_shares: Option<u64>,
    /// Which processors it may use, as 0-2,5
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<CpuSet>,
    /// Which memory nodes it may use
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<CpuSet>,
    /// The most processes and threads; -1 for any number
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pids_limit: Option<i64>,
    /// How readily its memory is swapped out, from 0 to 100; -1 as the machine does
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true,
          value_parser = clap::value_parser!(i8).range(-1..=100))]
    memory_swappiness: Option<i8>,
    /// Have it wait for memory when there is none left, rather than end it
    #[arg(long)]
    oom_kill_disable: bool,
    #[command(flatten)]
    disks: disks::DiskArgs,
}

/// What is kept of limits. Nothing said, nothing limited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LimitsConfig {
    pub(crate) memory: Option<u64>,
    /// -1 for any amount.
    pub(crate) memory_swap: Option<i64>,
    pub(crate) memory_reservation: Option<u64>,
    pub(crate) cpu_quota: Option<u64>,
    pub(crate) cpu_period: Option<u64>,
    pub(crate) cpu_shares: Option<u64>,
    pub(crate) cpuset_cpus: Option<String>,
    pub(crate) cpuset_mems: Option<String>,
    /// `u64::MAX` for any number, where there was a limit before.
    pub(crate) pids: Option<u64>,
    pub(crate) swappiness: Option<u8>,
    pub(crate) oom_kill_disabled: bool,
    pub(crate) disk_weight: Option<u16>,
    pub(crate) disks: Vec<DiskConfig>,
}

impl LimitArgs {
    /// What the command line says of a new container; zero says nothing, as with docker.
    pub(crate) fn chosen(&self) -> Result<LimitsConfig, Failure> {
        let chosen = self.said()?;
        chosen.check()?;
        for (wanted, kind) in [(&self.cpuset_cpus, "cpu"), (&self.cpuset_mems, "node")] {
            let there = std::fs::read_to_string(format!("/sys/devices/system/{kind}/online"));
            let there = there.ok().and_then(|text| text.trim().parse::<CpuSet>().ok());
            if let (Some(wanted), Some(there)) = (wanted, there)
                && !wanted.is_within(&there)
            {
                let message = format!("of {wanted}, not every {kind} is there: there are {there}");
                return Err(Failure::new(message));
            }
        }
        Ok(chosen)
    }

    /// What it says of one that has limits already: also that there is none for processes.
    pub(crate) fn changes(&self) -> Result<LimitsConfig, Failure> {
        let mut said = self.said()?;
        if self.pids_limit.is_some_and(|pids| pids <= 0) {
            said.pids = Some(u64::MAX);
        }
        Ok(said)
    }

    fn said(&self) -> Result<LimitsConfig, Failure> {
        let memory = self.memory.filter(|memory| *memory > 0);
        if memory.is_some_and(|memory| memory < LEAST_MEMORY) {
            return Err(Failure::new("the memory limit is below the minimum of 6MB"));
        }
        let mut chosen = LimitsConfig {
            memory,
            memory_swap: self.swap()?,
            memory_reservation: self.memory_reservation.filter(|size| *size > 0),
            cpu_quota: self.cpu_quota.filter(|quota| *quota > 0),
            cpu_period: self.cpu_period.filter(|period| *period > 0),
            cpu_shares: self.cpu_shares.filter(|shares| *shares > 0),
            cpuset_cpus: self.cpuset_cpus.as_ref().map(CpuSet::to_string),
            cpuset_mems: self.cpuset_mems.as_ref().map(CpuSet::to_string),
            pids: self
                .pids_limit
                .and_then(|pids| u64::try_from(pids).ok())
                .filter(|pids| *pids > 0),
            swappiness: self.memory_swappiness.and_then(|number| u8::try_from(number).ok()),
            oom_kill_disabled: self.oom_kill_disable,
            disk_weight: self.disks.blkio_weight.filter(|weight| *weight > 0),
            disks: self.disks.chosen()?,
        };
        if let Some(cpus) = self.cpus.filter(|cpus| *cpus != 0.0) {
            let most = processors();
            if !(0.01..=f64::from(most)).contains(&cpus) {
                return Err(Failure::new(format!(
                    "{cpus} is no number of processors from 0.01 to {most}, which there are"
                )));
            }
            chosen.cpu_quota = Some((cpus * PERIOD) as u64);
            chosen.cpu_period = Some(PERIOD as u64);
        }
        Ok(chosen)
    }

    fn swap(&self) -> Result<Option<i64>, Failure> {
        match self.memory_swap.as_deref() {
            None => Ok(None),
            Some("-1") => Ok(Some(-1)),
            Some(text) => {
                let swap = parse_size(text).map_err(Failure::new)?;
                Ok(i64::try_from(swap).ok().filter(|swap| *swap > 0))
            }
        }
    }
}

/// How many processors there are for us.
fn processors() -> u32 {
    let ours = rustix::thread::sched_getaffinity(None);
    ours.map_or(u32::MAX, |ours| ours.count().max(1))
}

impl LimitsConfig {
    /// Refuses what cannot be together.
    fn check(&self) -> Result<(), Failure> {
        if self.memory_reservation.is_some_and(|reserved| reserved < LEAST_MEMORY) {
            return Err(Failure::new("the memory reservation is below the minimum of 6MB"));
        }
        if self.memory.is_some_and(|memory| self.memory_reservation > Some(memory)) {
            return Err(Failure::new("--memory-reservation cannot be above --memory"));
        }
        if self.cpu_period.is_some_and(|period| !(1_000..=1_000_000).contains(&period)) {
            return Err(Failure::new("--cpu-period is from 1000, a millisecond, to 1000000"));
        }
        if self.cpu_quota.is_some_and(|quota| quota < 1_000) {
            return Err(Failure::new("--cpu-quota is 1000, a millisecond, or more"));
        }
        match (self.memory_swap.and_then(|swap| u64::try_from(swap).ok()), self.memory) {
            (Some(_), None) => Err(Failure::new("--memory-swap goes with --memory")),
            (Some(swap), Some(memory)) if swap < memory => Err(Failure::new(
                "--memory-swap counts memory and swap: it cannot be below --memory",
            )),
            _ => Ok(()),
        }
    }

    /// These with what is said in place of what was.
    pub(crate) fn changed(&self, said: &LimitsConfig) -> Result<LimitsConfig, Failure> {
        let mut disks = self.disks.clone();
        disks.retain(|old| {
            let is_same = |new: &DiskConfig| (&new.device, new.rate) == (&old.device, old.rate);
            !said.disks.iter().any(is_same)
        });
        disks.extend_from_slice(&said.disks);
        let changed = LimitsConfig {
            memory: said.memory.or(self.memory),
            memory_swap: said.memory_swap.or(self.memory_swap),
            memory_reservation: said.memory_reservation.or(self.memory_reservation),
            cpu_quota: said.cpu_quota.or(self.cpu_quota),
            cpu_period: said.cpu_period.or(self.cpu_period),
            cpu_shares: said.cpu_shares.or(self.cpu_shares),
            cpuset_cpus: said.cpuset_cpus.clone().or_else(|| self.cpuset_cpus.clone()),
            cpuset_mems: said.cpuset_mems.clone().or_else(|| self.cpuset_mems.clone()),
            pids: said.pids.or(self.pids),
            swappiness: said.swappiness.or(self.swappiness),
            oom_kill_disabled: said.oom_kill_disabled || self.oom_kill_disabled,
            disk_weight: said.disk_weight.or(self.disk_weight),
            disks,
        };
        changed.check()?;
        Ok(changed)
    }

    /// What of these is otherwise than before. What is kept by the same files of the kernel comes
    /// together.
    pub(crate) fn since(&self, before: &LimitsConfig) -> LimitsConfig {
        let mut changes = self.clone();
        if (self.memory, self.memory_swap) == (before.memory, before.memory_swap) {
            (changes.memory, changes.memory_swap) = (None, None);
        }
        if (self.cpu_quota, self.cpu_period) == (before.cpu_quota, before.cpu_period) {
            (changes.cpu_quota, changes.cpu_period) = (None, None);
        }
        if (&self.cpuset_cpus, &self.cpuset_mems) == (&before.cpuset_cpus, &before.cpuset_mems) {
            (changes.cpuset_cpus, changes.cpuset_mems) = (None, None);
        }
        changes.memory_reservation =
            changes.memory_reservation.filter(|new| Some(*new) != before.memory_reservation);
        changes.cpu_shares = changes.cpu_shares.filter(|new| Some(*new) != before.cpu_shares);
        changes.pids = changes.pids.filter(|new| Some(*new) != before.pids);
        changes.swappiness = changes.swappiness.filter(|new| Some(*new) != before.swappiness);
        changes.oom_kill_disabled &= !before.oom_kill_disabled;
        changes.disk_weight = changes.disk_weight.filter(|new| Some(*new) != before.disk_weight);
        changes.disks.retain(|disk| !before.disks.contains(disk));
        changes
    }

    /// The limits as the runtime takes them.
    pub(crate) fn to_limits(&self) -> Result<Limits, Failure> {
        let set = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok());
        Ok(Limits {
            memory: self.memory,
            memory_and_swap: self.memory_swap.map(|swap| u64::try_from(swap).ok()),
            memory_reservation: self.memory_reservation,
            cpu_quota: self.cpu_quota,
            cpu_period: self.cpu_period,
            cpu_shares: self.cpu_shares,
            cpus: set(&self.cpuset_cpus),
            memory_nodes: set(&self.cpuset_mems),
            processes: self.pids,
            swappiness: self.swappiness,
            waits_for_memory: self.oom_kill_disabled,
            disk_weight: self.disk_weight,
            disks: self.disks.iter().map(DiskConfig::to_limit).collect::<Result<_, _>>()?,
        })
    }
}
