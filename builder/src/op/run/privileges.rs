//! How a RUN is confined.

use runtime::{CapabilitySet, Seccomp, SystemPaths};

use crate::op::Run;

/// What the process may do.
pub(super) struct Privileges {
    pub(super) capabilities: CapabilitySet,
    pub(super) seccomp: Seccomp,
    pub(super) no_new_privileges: bool,
    pub(super) system_paths: SystemPaths,
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
            }
        } else {
            Privileges {
                capabilities: CapabilitySet::DOCKER,
                seccomp: Seccomp::Default,
                no_new_privileges: true,
                system_paths: SystemPaths::Protected,
            }
        }
    }
}
