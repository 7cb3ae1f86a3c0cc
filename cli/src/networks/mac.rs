//! Addresses that interfaces have on their links.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use runtime::network::link_address;
use serde::{Deserialize, Serialize};

/// One of them: `02:42:ac:11:00:02`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct MacAddress([u8; 6]);

impl MacAddress {
    /// What an interface has that has this address and was given no other.
    pub(crate) fn by_default(address: Ipv4Addr) -> MacAddress {
        MacAddress(link_address(address))
    }

    /// As the kernel takes it.
    pub(crate) fn bytes(self) -> [u8; 6] {
        self.0
    }
}

impl FromStr for MacAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<MacAddress, String> {
        let byte = |part: &str| match part.len() {
            2 => u8::from_str_radix(part, 16).ok(),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = text.split([':', '-']).map(byte).collect();
        let bytes: Option<[u8; 6]> = bytes.and_then(|bytes| bytes.try_into().ok());
        match bytes {
            // Its lowest bit says that an address means several interfaces.
            Some(bytes) if bytes[0] & 1 == 0 && bytes != [0; 6] => Ok(MacAddress(bytes)),
            Some(_) => Err(format!("`{text}` is no address of a single interface")),
            None => Err(format!("`{text}` is no address such as 02:42:ac:11:00:02")),
        }
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl TryFrom<String> for MacAddress {
    type Error = String;

    fn try_from(text: String) -> Result<MacAddress, String> {
        text.parse()
    }
}

impl From<MacAddress> for String {
    fn from(address: MacAddress) -> String {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for text in ["02:42:ac:11:00:02", "02-42-AC-11-00-02"] {
            assert_eq!(text.parse::<MacAddress>().unwrap().to_string(), "02:42:ac:11:00:02");
        }
        for text in
            ["", "zz", "02:42:ac:11:00", "01:00:5e:00:00:01", "00:00:00:00:00:00", "2:4:a:1:0:2"]
        {
            assert!(text.parse::<MacAddress>().is_err(), "{text}");
        }
    }
}
