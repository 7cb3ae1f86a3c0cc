//! Ranges of addresses.

use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A range of addresses: `172.30.0.0/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Subnet {
    first: u32,
    prefix: u8,
}

impl Subnet {
    fn mask(self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0)
    }

    /// How many bits its addresses have in common.
    pub(crate) fn prefix(self) -> u8 {
        self.prefix
    }

    /// The addresses that somebody may have, without the first and the last.
    pub(crate) fn addresses(self) -> impl Iterator<Item = Ipv4Addr> {
        (self.first + 1..self.first | !self.mask()).map(Ipv4Addr::from)
    }

    /// All of its addresses.
    pub(super) fn all(self) -> impl Iterator<Item = Ipv4Addr> {
        (self.first..=self.first | !self.mask()).map(Ipv4Addr::from)
    }

    /// Whether an address is the first or the last, which nobody has.
    pub(super) fn is_end(self, address: Ipv4Addr) -> bool {
        let address = u32::from(address);
        address == self.first || address == self.first | !self.mask()
    }

    pub(crate) fn contains(self, address: Ipv4Addr) -> bool {
        u32::from(address) & self.mask() == self.first
    }

    /// Whether another range is a part of this one.
    pub(super) fn holds(self, other: Subnet) -> bool {
        other.prefix >= self.prefix && self.contains(Ipv4Addr::from(other.first))
    }

    pub(super) fn overlaps(self, other: Subnet) -> bool {
        let mask = self.mask() & other.mask();
        self.first & mask == other.first & mask
    }

    /// A range that overlaps none of those.
    pub(crate) fn free(taken: &[Subnet]) -> Option<Subnet> {
        let choices =
            (18..32).map(|second| (172, second)).chain((64..128).map(|second| (10, second)));
        choices
            .map(|(first, second)| Subnet {
                first: u32::from(Ipv4Addr::new(first, second, 0, 0)),
                prefix: 16,
            })
            .find(|choice| !taken.iter().any(|taken| taken.overlaps(*choice)))
    }

    /// The ranges that the machine has routes to, those to everywhere excepted.
    pub(crate) fn routed() -> Vec<Subnet> {
        routes(&std::fs::read_to_string("/proc/net/route").unwrap_or_default())
    }
}

/// `/proc/net/route`: destination and mask are the second and the eighth field, in hexadecimal
/// and with the bytes as they stand in memory.
fn routes(table: &str) -> Vec<Subnet> {
    let number = |text: &str| u32::from_str_radix(text, 16).ok().map(u32::from_be);
    let route = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (first, mask) = (number(fields.get(1)?)?, number(fields.get(7)?)?);
        let prefix = u8::try_from(mask.leading_ones()).ok().filter(|prefix| *prefix > 0)?;
        Some(Subnet { first, prefix })
    };
    table.lines().skip(1).filter_map(route).collect()
}

impl FromStr for Subnet {
    type Err = String;

    fn from_str(text: &str) -> Result<Subnet, String> {
        let invalid = || format!("`{text}` is no range of addresses such as 172.30.0.0/16");
        let (address, prefix) = text.split_once('/').ok_or_else(invalid)?;
        let address: Ipv4Addr = address.parse().map_err(|_| invalid())?;
        let prefix = prefix.parse().ok().filter(|prefix| (8..=30).contains(prefix));
        let subnet = Subnet { first: u32::from(address), prefix: prefix.ok_or_else(invalid)? };
        match subnet.first & !subnet.mask() {
            0 => Ok(subnet),
            _ => Err(format!("`{text}` does not begin with its first address")),
        }
    }
}

impl TryFrom<String> for Subnet {
    type Error = String;

    fn try_from(text: String) -> Result<Subnet, String> {
        text.parse()
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> String {
        format!("{}/{}", Ipv4Addr::from(subnet.first), subnet.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_range_overlaps_no_other() {
        let taken = ["172.18.0.0/16".parse().unwrap(), "172.16.0.0/14".parse().unwrap()];
        assert_eq!(String::from(Subnet::free(&taken).unwrap()), "172.20.0.0/16");
    }

    #[test]
    fn ends_of_a_range_are_nobodys() {
        let subnet: Subnet = "10.0.0.4/30".parse().unwrap();
        let all: Vec<String> = subnet.addresses().map(|address| address.to_string()).collect();
        assert_eq!(all, ["10.0.0.5", "10.0.0.6"]);
        for text in ["10.0.0.1/30", "10.0.0.0", "10.0.0.0/31", "10.0.0/8", "a/16"] {
            assert!(text.parse::<Subnet>().is_err(), "{text}");
        }
    }

    #[test]
    fn routes_are_read_as_the_kernel_prints_them() {
        let table = "Iface Destination Gateway Flags RefCnt Use Metric Mask\n\
                     eth0 00000000 0100A8C0 0003 0 0 0 00000000\n\
                     eth0 0000A8C0 00000000 0001 0 0 0 0000FFFF\n";
        assert_eq!(routes(table), ["192.168.0.0/16".parse().unwrap()]);
    }
}
