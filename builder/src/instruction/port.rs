//! The port specifications of `EXPOSE`.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// The ports that one word of `EXPOSE` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExposedPorts {
    /// The container's ports.
    pub ports: RangeInclusive<u16>,
    /// Their protocol.
    pub protocol: Protocol,
    /// Whether the protocol was written in lower case, or not at all.
    pub lower_case: bool,
    /// Whether an address or a host's port stood before them, which is dropped.
    pub with_host: bool,
}

/// A protocol of the transport layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `tcp`, the default.
    Tcp,
    /// `udp`.
    Udp,
    /// `sctp`.
    Sctp,
}

/// A word of `EXPOSE` that names no port.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PortError {
    /// What stands for a port or a range is none.
    #[error("`{0}` names no port: write `port[-port][/tcp|udp|sctp]` with ports up to 65535")]
    Port(String),
    /// The protocol is unknown.
    #[error("`{0}` has an unknown protocol: tcp, udp and sctp are known")]
    Protocol(String),
    /// What stands for an address is none.
    #[error("`{0}` begins with what is no IP address")]
    Address(String),
    /// The host's and the container's range differ in length.
    #[error("`{0}` maps ranges of different lengths")]
    Ranges(String),
}

impl ExposedPorts {
    /// The keys of the config's `ExposedPorts`: `8080/tcp`.
    pub fn keys(&self) -> impl Iterator<Item = String> + use<> {
        let protocol = self.protocol;
        self.ports.clone().map(move |port| format!("{port}/{protocol}"))
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// Reads `[[ip:]host-port:]port[-port][/protocol]`.
///
/// # Errors
/// See [`PortError`].
pub fn parse_port(word: &str) -> Result<ExposedPorts, PortError> {
    let (host, container) = word.rsplit_once(':').map_or((None, word), |(h, c)| (Some(h), c));
    let (range, protocol) = container.split_once('/').unwrap_or((container, ""));
    let ports = parse_range(range).ok_or_else(|| PortError::Port(word.to_owned()))?;
    let parsed = match protocol.to_ascii_lowercase().as_str() {
        "" | "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => return Err(PortError::Protocol(word.to_owned())),
    };
    if let Some(host) = host {
        check_host(word, host, &ports)?;
    }
    let lower_case = !protocol.contains(|c: char| c.is_ascii_uppercase());
    Ok(ExposedPorts {
        ports,
        protocol: parsed,
        lower_case,
        with_host: host.is_some_and(|host| host.chars().any(|c| c != ':')),
    })
}

/// Checks the part before the container's port, though nothing comes of it.
fn check_host(word: &str, host: &str, ports: &RangeInclusive<u16>) -> Result<(), PortError> {
    let (address, host_port) = host.rsplit_once(':').unwrap_or(("", host));
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = bare.unwrap_or(address);
    if !address.is_empty() && address.parse::<IpAddr>().is_err() {
        return Err(PortError::Address(word.to_owned()));
    }
    if host_port.is_empty() {
        return Ok(());
    }
    let host_ports = parse_range(host_port).ok_or_else(|| PortError::Port(word.to_owned()))?;
    if ports.len() != 1 && ports.len() != host_ports.len() {
        return Err(PortError::Ranges(word.to_owned()));
    }
    Ok(())
}

fn parse_range(text: &str) -> Option<RangeInclusive<u16>> {
    let number = |text: &str| text.parse::<u16>().ok();
    let Some((start, end)) = text.split_once('-') else {
        return number(text).map(|port| port..=port);
    };
    let (start, end) = (number(start)?, number(end)?);
    (start <= end).then_some(start..=end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_become_keys_of_the_config() {
        for (word, keys) in [
            ("80", "80/tcp"),
            ("80/", "80/tcp"),
            ("53/UDP", "53/udp"),
            ("8000-8002/sctp", "8000/sctp 8001/sctp 8002/sctp"),
            ("127.0.0.1:8080:80", "80/tcp"),
            ("[::1]:8080:80", "80/tcp"),
            ("::1:8080:80", "80/tcp"),
            ("9000-9001:80-81", "80/tcp 81/tcp"),
            ("127.0.0.1::80", "80/tcp"),
            ("65535", "65535/tcp"),
        ] {
            let ports = parse_port(word).expect(word);
            assert_eq!(ports.keys().collect::<Vec<_>>().join(" "), keys, "{word}");
        }
    }

    #[test]
    fn what_names_no_port_is_refused() {
        for wrong in ["", "x", "65536", "2-1", "80/http", "a.b:80:80", "1-3:80-81", "-1", "/tcp"] {
            assert!(parse_port(wrong).is_err(), "{wrong}");
        }
    }
}
