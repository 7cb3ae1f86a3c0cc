//! pasta, of the package passt. It knows of no pipe: a process of ours ends it with one.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use runtime::network::in_namespace;

use super::{INTERFACE, Program, Started, passed};
use crate::error::Failure;

/// Our own program, also when another has taken its place on the disk.
const OURSELVES: &str = "/proc/self/exe";
/// How long it may take until there is a way out.
const PATIENCE: Duration = Duration::from_secs(10);
/// What it is to be called there, and what leads on: as slirp4netns has them.
const ADDRESSES: [&str; 6] =
    ["--address", "10.0.2.100", "--netmask", "24", "--gateway", "10.0.2.2"];

/// Opens the way out of a namespace.
pub(super) fn open(path: &Path, namespace: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
    let (is_over, stop) = io::pipe()?;
    let inherited = passed(namespace)?;
    let mut command = Command::new(OURSELVES);
    command
        .args(["guard", "--"])
        .arg(path)
        .args(["--foreground", "--quiet", "--ipv4-only", "--config-net", "--netns-only"])
        .args(ADDRESSES)
        .args(["--mtu", "65520", "--ns-ifname", INTERFACE])
        // Neither side has ports of the other, and the machine's loopback is the machine's.
        .args(["-t", "none", "-u", "none", "-T", "none", "-U", "none", "--no-map-gw"])
        .args(["--no-dhcp", "--no-ndp", "--no-dhcpv6", "--no-ra"])
        .arg("--netns")
        .arg(format!("/proc/self/fd/{}", inherited.as_raw_fd()));
    let mut started = Started::start(command, is_over.into())?;
    drop(inherited);
    let end = Instant::now() + PATIENCE;
    while !has_way_out(namespace)? {
        if started.child.try_wait()?.is_some() {
            return Err(started.failure(Program::Pasta));
        }
        if Instant::now() > end {
            // It goes with the pipe.
            drop(stop);
            started.leave()?;
            return Err(Failure::new("pasta has not opened a way out in ten seconds"));
        }
        thread::sleep(Duration::from_millis(2));
    }
    started.leave()?;
    Ok(stop.into())
}

/// Whether a route leads everywhere from a namespace.
fn has_way_out(namespace: BorrowedFd<'_>) -> io::Result<bool> {
    let routes = || std::fs::read_to_string("/proc/thread-self/net/route");
    let routes = in_namespace(namespace.as_fd(), routes)?;
    Ok(routes.lines().skip(1).any(|line| line.split_whitespace().nth(1) == Some("00000000")))
}
