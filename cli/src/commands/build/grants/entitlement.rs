//! `--allow`.

use std::str::FromStr;

/// What a Dockerfile may ask for beyond what every build has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entitlement {
    /// `network.host`: the machine's network in a build that has none.
    HostNetwork,
    /// `security.insecure`: all privileges of whoever builds.
    Insecure,
}

impl FromStr for Entitlement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "network.host" => Ok(Self::HostNetwork),
            "security.insecure" => Ok(Self::Insecure),
            _ => Err(format!(
                "unknown entitlement {text}; there are network.host and security.insecure"
            )),
        }
    }
}
