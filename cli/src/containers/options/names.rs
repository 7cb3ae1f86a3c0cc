//! Whom a container knows by name: `--add-host`, `--dns`, …

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

// What the command line says of it, and what is kept of that.
#[derive(Debug, Clone, Default, clap::Args, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Names {
    /// Know a host by name
    #[arg(long, value_name = "NAME:ADDRESS", value_parser = host)]
    pub(crate) add_host: Vec<(String, IpAddr)>,
    /// Ask this server for names
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) dns: Vec<IpAddr>,
    /// Look for short names in this domain
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) dns_search: Vec<String>,
    /// Set an option of the resolver
    #[arg(long, visible_alias = "dns-opt", value_name = "OPTION")]
    pub(crate) dns_option: Vec<String>,
}

/// Reads a name and its address.
pub(crate) fn host(text: &str) -> Result<(String, IpAddr), String> {
    // An address may have colons itself, and stand in brackets.
    let (name, address) = text.split_once([':', '=']).unwrap_or_default();
    if name.is_empty() {
        return Err("a host is written as NAME:ADDRESS".into());
    }
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let address = address.parse().map_err(|_| format!("`{address}` is no address"))?;
    Ok((name.to_owned(), address))
}

impl Names {
    /// `/etc/resolv.conf`, made from the machine's.
    pub(crate) fn resolv_conf(&self, machine: Vec<u8>) -> Vec<u8> {
        let replaced = [
            ("nameserver", self.dns.is_empty()),
            ("search", self.dns_search.is_empty()),
            ("options", self.dns_option.is_empty()),
        ];
        if replaced.iter().all(|(_, keep)| *keep) {
            return machine;
        }
        let machine = String::from_utf8_lossy(&machine).into_owned();
        let kept = machine.lines().filter(|line| {
            let word = line.split_whitespace().next().unwrap_or_default();
            !replaced.iter().any(|(name, keep)| !keep && *name == word)
        });
        let mut lines: Vec<String> = self.dns.iter().map(|ip| format!("nameserver {ip}")).collect();
        if !self.dns_search.is_empty() && self.dns_search != ["."] {
            lines.push(format!("search {}", self.dns_search.join(" ")));
        }
        if !self.dns_option.is_empty() {
            lines.push(format!("options {}", self.dns_option.join(" ")));
        }
        lines.extend(kept.map(str::to_owned));
        (lines.join("\n") + "\n").into_bytes()
    }

    /// `/etc/resolv.conf` of a container that has a name server of its own, which asks the others.
    pub(crate) fn resolv_conf_for(&self, server: Ipv4Addr, machine: Vec<u8>) -> Vec<u8> {
        let names = Names { dns: vec![server.into()], ..self.clone() };
        let mut conf = String::from_utf8_lossy(&names.resolv_conf(machine)).into_owned();
        if !conf.contains("ndots:") {
            // It knows names without a dot.
            conf += "options ndots:0\n";
        }
        conf.into_bytes()
    }

    /// Lines for `/etc/hosts`.
    pub(crate) fn hosts(&self) -> String {
        self.add_host.iter().map(|(name, address)| format!("{address}\t{name}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_replaces_what_the_machine_says() {
        let names = Names {
            dns: vec!["1.2.3.4".parse().unwrap()],
            dns_search: vec!["a.b".into()],
            ..Names::default()
        };
        let machine = b"nameserver 9.9.9.9\nsearch x\noptions ndots:2\n".to_vec();
        let conf = String::from_utf8(names.resolv_conf(machine.clone())).unwrap();
        assert_eq!(conf, "nameserver 1.2.3.4\nsearch a.b\noptions ndots:2\n");
        assert_eq!(Names::default().resolv_conf(machine.clone()), machine);
        let own = names.resolv_conf_for(Ipv4Addr::new(127, 0, 0, 11), machine);
        let expected = "nameserver 127.0.0.11\nsearch a.b\noptions ndots:2\n";
        assert_eq!(String::from_utf8(own).unwrap(), expected);
    }

    #[test]
    fn hosts_have_addresses_of_both_kinds() {
        for (text, address) in [("a:1.2.3.4", "1.2.3.4"), ("a:::1", "::1"), ("a=[::1]", "::1")] {
            assert_eq!(host(text), Ok(("a".into(), address.parse().unwrap())), "{text}");
        }
        assert!(host("a").is_err() && host(":127.0.0.1").is_err());
        assert!(host("a:b").is_err());
    }
}
