//! How a RUN is confined.

use std::fs;
use std::path::{Path, PathBuf};

use runtime::{CapabilitySet, Mount, MountSource, Seccomp, SystemPaths};

use crate::op::Run;

/// Devices that a process with all privileges finds, where the machine has them.
const DEVICES: &[&str] =
    &["/dev/cuse", "/dev/fuse", "/dev/kmsg", "/dev/kvm", "/dev/loop-control", "/dev/net/tun"];

/// What the process may do.
pub(super) struct Privileges {
    pub(super) capabilities: CapabilitySet,
    pub(super) seccomp: Seccomp,
    pub(super) no_new_privileges: bool,
    pub(super) system_paths: SystemPaths,
    /// Devices of the machine.
    pub(super) devices: Vec<Mount>,
}

impl Privileges {
    /// Those of a container, or all that the build itself has.
    pub(super) fn of(op: &Run) -> Privileges {
        if op.insecure {
            Privileges {
                capabilities: CapabilitySet::ALL,
                seccomp: Seccomp::Unconfined,
                no_new_privileges: false,
                system_paths: SystemPaths::Open,
                devices: devices(),
            }
        } else {
            Privileges {
                capabilities: op.settings.capabilities.unwrap_or(CapabilitySet::DOCKER),
                seccomp: Seccomp::Default,
                no_new_privileges: true,
                system_paths: SystemPaths::Protected,
                devices: Vec::new(),
            }
        }
    }
}

/// The machine's own nodes, at their own places.
fn devices() -> Vec<Mount> {
    let fixed = DEVICES.iter().map(PathBuf::from).filter(|path| path.exists());
    let bind = |path: PathBuf| {
        let source = MountSource::Bind(path.clone());
        Mount { target: path, source, read_only: false }
    };
    fixed.chain(loop_devices()).map(bind).collect()
}

/// `/dev/loop0` and so on. A machine whose `/dev` cannot be listed has none to give.
fn loop_devices() -> Vec<PathBuf> {
    let is_loop = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|name| name.strip_prefix("loop"));
        number.is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let entries = fs::read_dir("/dev").into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| is_loop(path)).collect()
}
