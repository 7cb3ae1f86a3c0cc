//! Which name servers containers ask that do not share the machine's network.

use std::net::IpAddr;

/// Where systemd-resolved, which listens on loopback, writes whom it asks itself.
pub(crate) const BEHIND: &str = "/run/systemd/resolve/resolv.conf";

/// Whom docker's containers ask where nobody else can be asked.
const PUBLIC: &str = "nameserver 8.8.8.8\nnameserver 8.8.4.4\n";

/// The machine's `/etc/resolv.conf` for such a container: a server on the machine's loopback is
/// not there for it. `behind` is what [`BEHIND`] says, if it is there.
pub(crate) fn reachable(machine: &str, behind: Option<&str>) -> String {
    let is_on_loopback = |line: &&str| server(line).is_some_and(|address| address.is_loopback());
    let conf = match behind {
        Some(behind) if machine.lines().any(|line| is_on_loopback(&line)) => behind,
        _ => machine,
    };
    let kept = conf.lines().filter(|line| !is_on_loopback(line));
    let mut text = kept.fold(String::new(), |text, line| text + line + "\n");
    if !text.lines().any(|line| server(line).is_some()) {
        text += PUBLIC;
    }
    text
}

/// The servers that a `resolv.conf` names.
pub(crate) fn all(conf: &str) -> Vec<IpAddr> {
    conf.lines().filter_map(server).collect()
}

/// The server that a line names.
fn server(line: &str) -> Option<IpAddr> {
    let mut words = line.split_whitespace();
    (words.next() == Some("nameserver")).then(|| words.next())??.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_on_loopback_are_replaced_by_those_behind_them() {
        let kept = "nameserver 10.0.0.1\nsearch a.b\n";
        assert_eq!(reachable(kept, Some("nameserver 9.9.9.9\n")), kept);
        let local = "nameserver 127.0.0.53\nsearch a.b\n";
        assert_eq!(reachable(local, Some("nameserver 9.9.9.9\n")), "nameserver 9.9.9.9\n");
        assert_eq!(reachable(local, None), format!("search a.b\n{PUBLIC}"));
        let both = "nameserver ::1\nnameserver 10.0.0.1\n";
        assert_eq!(reachable(both, None), "nameserver 10.0.0.1\n");
    }
}
