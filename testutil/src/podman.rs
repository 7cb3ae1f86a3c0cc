//! podman, with a store of its own and what a sandboxed machine lets it do.

use std::process::Command;

use crate::{Peer, Scratch};

/// How podman keeps layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodmanStorage {
    /// As plain directories with all of a tree: readable without a mount.
    Directories,
    /// As overlays.
    Overlay,
}

impl PodmanStorage {
    fn driver(self) -> &'static str {
        match self {
            PodmanStorage::Directories => "vfs",
            PodmanStorage::Overlay => "overlay",
        }
    }
}

/// Starts podman where its runtime works: crun refuses machines that have both versions of control
/// groups, so the second one goes out of sight.
const WRAPPER: &str = "if mountpoint -q /sys/fs/cgroup/unified; then \
                       umount -l /sys/fs/cgroup/unified; fi; exec podman \"$@\"";

/// podman with its store in `home`.
pub fn podman(home: &Scratch, storage: PodmanStorage) -> Command {
    // It is looked for here, since what starts it says less when it is missing.
    drop(Peer::command("podman"));
    let mut command = Peer::command("unshare");
    command
        .args(["--mount", "--propagation", "private", "sh", "-c", WRAPPER, "podman"])
        .arg("--root")
        .arg(home.join("podman"))
        .arg("--runroot")
        .arg(home.join("podman-run"))
        .args(["--storage-driver", storage.driver()])
        .args(["--cgroup-manager", "cgroupfs", "--log-level", "error"])
        .env("HOME", home.path());
    command
}

/// Options of `podman run` for machines without control groups of our own, a network to make, or
/// the right to raise limits.
pub const PODMAN_RUN: &[&str] = &[
    "run",
    "--rm",
    "--network=host",
    "--cgroups=disabled",
    "--ulimit=nofile=1024:1024",
    "--ulimit=nproc=1024:1024",
];
