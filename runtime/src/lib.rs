//! Runs a process on a snapshot: namespaces, mounts, capabilities, seccomp.
//!
//! [`spawn`] takes a [`Spec`] and gives a [`Container`]. It works in three steps, a file each:
//!
//! 1. `prepare` turns the specification into a [plan](crate::plan): every path resolved inside
//!    the root, every file system of the parent's side already made, every string built.
//! 2. `container` clones the process into its namespaces from a keeper thread, which stays until
//!    the container has ended.
//! 3. `child` walks the plan in the new process. That process is a copy of one thread of a
//!    program with many, so it may neither allocate nor lock; all it does is make system calls
//!    and, should one fail, report which step that was.
//!
//! [`userns`] makes an ordinary user root in a namespace of its own, before any of this.
//! [`user`] resolves `USER` and `--chown` against the image's own files.

mod capability;
mod cgroup;
mod child;
mod confinement;
mod container;
mod device;
mod error;
mod fixture;
mod freeze;
mod init;
mod inmates;
mod interpreter;
pub mod network;
mod plan;
mod prepare;
mod process_stat;
mod reaper;
mod root_tree;
mod seccomp;
mod signal;
mod spec;
mod stub;
mod sys;
mod system_path;
pub mod user;
pub mod userns;
mod warden;
mod window;

pub use capability::{Capability, CapabilitySet, UnknownCapability};
pub use cgroup::{CpuSet, DiskLimit, DiskRate, LaterGroups, Limits, change_limits};
pub use confinement::Confinement;
pub use container::{Container, ExitStatus, Killer, join, run, spawn};
pub use device::memory_tree;
pub use error::Error;
pub use freeze::Freezer;
pub use inmates::Inmates;
pub use process_stat::ProcessStat;
pub use seccomp::{
    SeccompAction, SeccompComparison, SeccompCondition, SeccompProfile, SeccompRule,
};
pub use signal::{Signal, UnknownSignal};
pub use spec::{
    BindFlags, Chroot, FileContent, GroupsSeen, Join, Limit, Mount, MountSource, Namespace,
    Namespaces, Network, Process, Propagation, ProvidedFile, Resource, Rootfs, Seccomp, Spec,
    Stdio, Stream, SystemPaths, Tmpfs,
};
pub use system_path::system_paths;
pub use user::User;

/// Keeps what this process was started with, beyond its standard input, output and error, from the
/// programs that it starts: somebody may wait for the last who has a pipe or a lock.
///
/// # Errors
/// If the kernel has no `close_range(2)` that does it.
pub fn hand_nothing_on() -> std::io::Result<()> {
    const FIRST: u32 = 3;
    sys::close_from(FIRST, false).map_err(Into::into)
}
