//! How much a container may use: the options, and what is kept of them.

use runtime::{CpuSet, Limits};
use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::ui::quantity::parse_size;

/// The least memory that docker lets a container have, in bytes.
const LEAST_MEMORY: u64 = 6 << 20;

/// How long a period of the processors is, in microseconds.
const PERIOD: f64 = 100_000.0;

/// What `run` and `create` take about limits.
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
    pub(crate) pids: Option<u64>,
}

impl LimitArgs {
    /// What the command line says; zero says nothing, as with docker.
    pub(crate) fn chosen(&self) -> Result<LimitsConfig, Failure> {
        let memory = self.memory.filter(|memory| *memory > 0);
        if memory.is_some_and(|memory| memory < LEAST_MEMORY) {
            return Err(Failure::new("the memory limit is below the minimum of 6MB"));
        }
        let mut chosen = LimitsConfig {
            memory,
            memory_swap: self.swap(memory)?,
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
        };
        if let Some(cpus) = self.cpus.filter(|cpus| *cpus != 0.0) {
            if !(0.01..=4096.0).contains(&cpus) {
                return Err(Failure::new(format!(
                    "{cpus} is no number of processors from 0.01 on"
                )));
            }
            chosen.cpu_quota = Some((cpus * PERIOD) as u64);
            chosen.cpu_period = Some(PERIOD as u64);
        }
        Ok(chosen)
    }

    fn swap(&self, memory: Option<u64>) -> Result<Option<i64>, Failure> {
        let swap = match self.memory_swap.as_deref() {
            None => return Ok(None),
            Some("-1") => return Ok(Some(-1)),
            Some(text) => parse_size(text).map_err(Failure::new)?,
        };
        match (swap, memory) {
            (0, _) => Ok(None),
            (_, None) => Err(Failure::new("--memory-swap goes with --memory")),
            (swap, Some(memory)) if swap < memory => Err(Failure::new(
                "--memory-swap counts memory and swap: it cannot be below --memory",
            )),
            (swap, Some(_)) => Ok(i64::try_from(swap).ok()),
        }
    }
}

impl LimitsConfig {
    /// The limits as the runtime takes them.
    pub(crate) fn to_limits(&self) -> Limits {
        let set = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok());
        Limits {
            memory: self.memory,
            memory_and_swap: self.memory_swap.map(|swap| u64::try_from(swap).ok()),
            memory_reservation: self.memory_reservation,
            cpu_quota: self.cpu_quota,
            cpu_period: self.cpu_period,
            cpu_shares: self.cpu_shares,
            cpus: set(&self.cpuset_cpus),
            memory_nodes: set(&self.cpuset_mems),
            processes: self.pids,
        }
    }
}
