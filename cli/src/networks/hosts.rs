//! `/etc/hosts` of containers on a network: by it they find each other's names.
//!
//! The file is the machine's, below the container's directory, and shown in the container: so it
//! can be written while the container runs.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use layerfs::Store;

use super::Endpoint;

const BEGINNING: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";

/// The most that is read of a file that its container can write, in bytes.
const MOST: u64 = 1 << 20;

/// Where a container's file is.
pub(super) fn path(container_dir: &Path) -> PathBuf {
    container_dir.join("hosts")
}

/// What a container sees that joins others; `given` are lines of the user's.
pub(super) fn content(own: &Endpoint, hostname: &str, given: &str, others: &[Endpoint]) -> String {
    let names = own.names.join(" ");
    let mut text = format!("{BEGINNING}{given}{}\t{hostname} {names}\n", own.address);
    others.iter().for_each(|other| text += &line(other));
    text
}

fn line(endpoint: &Endpoint) -> String {
    let mut line = String::new();
    let _ = writeln!(line, "{}\t{}", endpoint.address, endpoint.names.join(" "));
    line
}

/// Tells a container of another one. One that has just gone need not know.
pub(super) fn learn(store: &Store, container: &str, of: &Endpoint) {
    change(store, container, |text| text + &line(of));
}

/// Has a container forget an address.
pub(super) fn forget(store: &Store, container: &str, address: Ipv4Addr) {
    let gone = format!("{address}\t");
    change(store, container, |text| {
        text.lines()
            .filter(|line| !line.starts_with(&gone))
            .fold(String::new(), |text, line| text + line + "\n")
    });
}

fn change(store: &Store, container: &str, change: impl FnOnce(String) -> String) {
    let Ok(container) = store.container(container) else { return };
    let path = path(&container.dir);
    // In place: the container has this very file mounted.
    let is_ours = fs::symlink_metadata(&path).is_ok_and(|m| m.is_file() && m.len() < MOST);
    let changed = match fs::read_to_string(&path) {
        Ok(text) if is_ours => fs::write(&path, change(text)),
        _ => return,
    };
    if let Err(error) = changed {
        tracing::warn!(path = %path.display(), %error, "a container does not learn of a change");
    }
}
