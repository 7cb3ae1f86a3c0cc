//! `--network NAME`, or with what the container has there:
//! `--network name=NAME,alias=OTHER,ip=ADDRESS,mac-address=ADDRESS`.

use std::net::Ipv4Addr;
use std::str::FromStr;

use super::NetworkChoice;
use super::mac::MacAddress;

/// A value of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetworkFlag {
    pub(crate) network: NetworkChoice,
    pub(crate) aliases: Vec<String>,
    pub(crate) address: Option<Ipv4Addr>,
    pub(crate) mac: Option<MacAddress>,
}

impl FromStr for NetworkFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<NetworkFlag, String> {
        if !text.contains('=') {
            return Ok(NetworkFlag::plain(text.parse()?));
        }
        let mut flag = NetworkFlag::plain(NetworkChoice::None);
        let mut name = None;
        for field in text.split(',') {
            let (key, value) =
                field.split_once('=').ok_or_else(|| format!("`{field}` is no KEY=VALUE"))?;
            match key {
                "name" => name = Some(value),
                "alias" => flag.aliases.push(value.to_owned()),
                "ip" => {
                    let address = value.parse().map_err(|_| format!("`{value}` is no address"))?;
                    flag.address = Some(address);
                }
                "mac-address" => flag.mac = Some(value.parse()?),
                _ => {
                    let known = "name, alias, ip and mac-address";
                    return Err(format!("there is no `{key}` of a network: there are {known}"));
                }
            }
        }
        flag.network = name.ok_or("it has no name=")?.parse()?;
        Ok(flag)
    }
}

impl NetworkFlag {
    fn plain(network: NetworkChoice) -> NetworkFlag {
        NetworkFlag { network, aliases: Vec::new(), address: None, mac: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_may_come_with_what_the_container_has_there() {
        let flag: NetworkFlag = "name=lan,alias=a,alias=b,ip=10.0.0.2".parse().unwrap();
        assert_eq!(flag.network, NetworkChoice::Named("lan".into()));
        assert_eq!(flag.aliases, ["a", "b"]);
        assert_eq!(flag.address, Some(Ipv4Addr::new(10, 0, 0, 2)));
        let host = NetworkFlag::plain(NetworkChoice::Host);
        assert_eq!("host".parse(), Ok(host));
        for text in ["alias=a", "name=lan,ip=x", "name=lan,gw-priority=1", "name=lan,x"] {
            assert!(text.parse::<NetworkFlag>().is_err(), "{text}");
        }
    }
}
