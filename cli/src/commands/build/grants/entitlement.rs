//! `--allow`.

use std::str::FromStr;

/// What a Dockerfile may ask for beyond what every build has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entitlement {
    /// `network.host`: the machine's network in a build that has none.
    HostNetwork,
    /// `security.insecure`: all privileges of whoever builds.
    Insecure,
    /// `device[=NAME]`: the devices of that name, or all.
    Device(Option<String>),
}

impl FromStr for Entitlement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "network.host" => Ok(Self::HostNetwork),
            "security.insecure" => Ok(Self::Insecure),
            "device" => Ok(Self::Device(None)),
            _ => match text.strip_prefix("device=") {
                Some(name) if !name.is_empty() && !name.contains(',') => {
                    Ok(Self::Device(Some(name.to_owned())))
                }
                _ => Err(format!(
                    "unknown entitlement {text}; there are network.host, security.insecure and \
                     device[=NAME]"
                )),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entitlements_are_dockers() {
        let device = |name: &str| Entitlement::Device(Some(name.to_owned()));
        for (text, expected) in [
            ("network.host", Entitlement::HostNetwork),
            ("security.insecure", Entitlement::Insecure),
            ("device", Entitlement::Device(None)),
            ("device=vendor.com/gpu=0", device("vendor.com/gpu=0")),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in ["", "network", "network.host=1", "device=", "device=a/b,alias=c"] {
            assert!(text.parse::<Entitlement>().is_err(), "{text}");
        }
    }
}
