//! Which of the kernel's own files a container does not get at: Docker's defaults.

use std::path::Path;

use crate::plan::Step;
use crate::spec::SystemPaths;

/// Hidden: they say much about the machine, or let it be changed.
pub(crate) const MASKED: &[&str] = &[
    "proc/acpi",
    "proc/asound",
    "proc/interrupts",
    "proc/kcore",
    "proc/keys",
    "proc/latency_stats",
    "proc/sched_debug",
    "proc/scsi",
    "proc/timer_list",
    "proc/timer_stats",
    "sys/devices/virtual/powercap",
    "sys/firmware",
];

/// Readable only.
pub(crate) const READ_ONLY: &[&str] =
    &["proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"];

/// What of the kernel's files is hidden from a container, and what can only be read in it: paths in
/// the container.
pub fn system_paths(choice: SystemPaths) -> (Vec<String>, Vec<String>) {
    let absolute = |paths: &[&str]| paths.iter().map(|path| format!("/{path}")).collect();
    match choice {
        SystemPaths::Protected => (absolute(MASKED), absolute(READ_ONLY)),
        SystemPaths::Open => (Vec::new(), Vec::new()),
    }
}

/// Hidden where the processor has them: a side channel to what others compute.
pub(crate) fn thermal_throttle() -> impl Iterator<Item = String> {
    (0..)
        .map(|cpu: u32| format!("sys/devices/system/cpu/cpu{cpu}/thermal_throttle"))
        .take_while(|path| Path::new("/").join(path).exists())
}

/// Settings of a network namespace that Docker relaxes: nothing in it is worth protecting from
/// the container, which is alone in it.
pub(crate) fn own_network_settings() -> Vec<Step> {
    [
        (c"proc/sys/net/ipv4/ip_unprivileged_port_start", c"0"),
        (c"proc/sys/net/ipv4/ping_group_range", c"0 2147483647"),
    ]
    .map(|(path, value)| Step::Setting { path: path.into(), value: value.into(), required: false })
    .into()
}
