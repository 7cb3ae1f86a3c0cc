//! `--publish [[IP:]HOST_PORT:]PORT[/PROTOCOL]`: ports of the machine that lead to a container's.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

/// One port that leads to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Published {
    pub(crate) ip: IpAddr,
    /// 0 for any that is free.
    pub(crate) host: u16,
    pub(crate) container: u16,
    pub(crate) protocol: Protocol,
}

/// What a port is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        }
    }
}

/// A value of `-p`: a range has several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublishFlag(pub(crate) Vec<Published>);

impl std::str::FromStr for PublishFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<PublishFlag, String> {
        let (ports, protocol) = protocol(text)?;
        let (before, container) = ports.rsplit_once(':').unwrap_or(("", ports));
        // An address of version 6 stands in brackets, and has colons of its own.
        let (ip, host) = match before.rsplit_once(':') {
            Some((ip, host)) if !before.ends_with(']') => (ip, host),
            _ if before.contains(['.', '[']) => (before, ""),
            _ => ("", before),
        };
        let ip = match ip.trim_start_matches('[').trim_end_matches(']') {
            "" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            ip => ip.parse().map_err(|_| format!("`{ip}` is no address"))?,
        };
        let containers = range(container)?;
        let hosts = match host {
            "" => vec![0; containers.len()],
            host => range(host)?,
        };
        if hosts.len() != containers.len() {
            return Err("both ranges must have as many ports".into());
        }
        let pairs = hosts.into_iter().zip(containers);
        Ok(PublishFlag(
            pairs.map(|(host, container)| Published { ip, host, container, protocol }).collect(),
        ))
    }
}

/// Ports as `docker ps` has them: `0.0.0.0:8080->80/tcp`.
pub(crate) fn shown(ports: &[Published]) -> String {
    let one = |port: &Published| {
        let place = std::net::SocketAddr::from((port.ip, port.host));
        format!("{place}->{}/{}", port.container, port.protocol.as_str())
    };
    ports.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// `80/tcp` as its parts.
pub(crate) fn protocol(text: &str) -> Result<(&str, Protocol), String> {
    match text.split_once('/') {
        None | Some((_, "tcp")) => Ok((text.split('/').next().unwrap_or(text), Protocol::Tcp)),
        Some((ports, "udp")) => Ok((ports, Protocol::Udp)),
        Some((_, other)) => Err(format!("unknown protocol `{other}`: tcp or udp")),
    }
}

/// `80` or `80-89`.
pub(crate) fn range(text: &str) -> Result<Vec<u16>, String> {
    let port = |text: &str| {
        text.parse().ok().filter(|port| *port > 0).ok_or_else(|| format!("`{text}` is no port"))
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (u16, u16) = (port(first)?, port(last)?);
    if first > last {
        return Err(format!("`{text}` is no range of ports"));
    }
    Ok((first..=last).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, u16, u16)> {
        let flag: PublishFlag = text.parse().unwrap();
        flag.0.iter().map(|p| (p.ip.to_string(), p.host, p.container)).collect()
    }

    #[test]
    fn addresses_and_ports_stand_before_the_containers() {
        let any = "0.0.0.0".to_owned();
        assert_eq!(read("80"), [(any.clone(), 0, 80)]);
        assert_eq!(read("8080:80/udp"), [(any.clone(), 8080, 80)]);
        assert_eq!(read("127.0.0.1:8080:80"), [("127.0.0.1".to_owned(), 8080, 80)]);
        assert_eq!(read("127.0.0.1::80"), [("127.0.0.1".to_owned(), 0, 80)]);
        assert_eq!(read("[::1]:8080:80"), [("::1".to_owned(), 8080, 80)]);
        assert_eq!(read("81-82:91-92"), [(any.clone(), 81, 91), (any, 82, 92)]);
        for text in ["", "a", "0", "80:", "80/icmp", "1.2.3:80:80", "80-70", "1-2:3", "70000"] {
            assert!(text.parse::<PublishFlag>().is_err(), "{text}");
        }
    }
}
