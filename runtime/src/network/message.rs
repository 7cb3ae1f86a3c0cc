//! Requests in the kernel's form: a fixed part, and attributes that may hold attributes.

use std::net::Ipv4Addr;
use std::os::fd::RawFd;

use super::Interface;
use super::netlink::Request;

/// `VETH_INFO_PEER` of linux/veth.h.
const VETH_INFO_PEER: u16 = 1;

/// Of linux/if_link.h: containers of one interface reach each other.
const IFLA_MACVLAN_MODE: u16 = 1;
const MACVLAN_MODE_BRIDGE: u32 = 4;

const CREATE: u16 = libc::NLM_F_CREATE as u16 | libc::NLM_F_EXCL as u16;

/// Attributes one after the other.
#[derive(Default)]
pub(super) struct Attributes(Vec<u8>);

impl Attributes {
    /// All of them, as the kernel reads them.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Adds one; what follows begins at a multiple of four.
    pub(super) fn add(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub(super) fn text(self, kind: u16, text: &str) -> Self {
        let ended: Vec<u8> = text.bytes().chain([0]).collect();
        self.add(kind, &ended)
    }

    fn number(self, kind: u16, number: u32) -> Self {
        self.add(kind, &number.to_ne_bytes())
    }

    fn within(self, kind: u16, attributes: &Attributes) -> Self {
        self.add(kind, &attributes.0)
    }

    /// Attributes in one that says that it holds some.
    pub(super) fn nested(self, kind: u16, attributes: &Attributes) -> Self {
        self.within(kind | libc::NLA_F_NESTED as u16, attributes)
    }

    /// A number with its highest byte first.
    pub(super) fn be(self, kind: u16, number: u32) -> Self {
        self.add(kind, &number.to_be_bytes())
    }
}

/// `struct ifinfomsg` with these flags for an interface.
fn link(index: u32, flags: i32) -> Vec<u8> {
    let mut body = vec![0; 4];
    body.extend(index.to_ne_bytes());
    body.extend(flags.to_ne_bytes());
    body.extend(flags.to_ne_bytes());
    body
}

/// A new interface.
pub(super) struct NewLink(Vec<u8>);

impl NewLink {
    pub(super) fn bridge(name: &str) -> Self {
        let info = Attributes::default().text(libc::IFLA_INFO_KIND, "bridge");
        Self::with(
            &Attributes::default().text(libc::IFLA_IFNAME, name).within(libc::IFLA_LINKINFO, &info),
        )
    }

    /// Two connected ones: `outside` on the bridge `master`, `inside` in a namespace.
    pub(super) fn pair(
        outside: &str,
        inside: &str,
        link_address: [u8; 6],
        namespace: RawFd,
        master: u32,
    ) -> Self {
        let inside = Attributes::default()
            .text(libc::IFLA_IFNAME, inside)
            .add(libc::IFLA_ADDRESS, &link_address)
            .number(libc::IFLA_NET_NS_FD, namespace.cast_unsigned());
        let peer = Attributes([link(0, 0), inside.0].concat());
        let data = Attributes::default().within(VETH_INFO_PEER, &peer);
        let info = Attributes::default()
            .text(libc::IFLA_INFO_KIND, "veth")
            .within(libc::IFLA_INFO_DATA, &data);
        Self::with(
            &Attributes::default()
                .text(libc::IFLA_IFNAME, outside)
                .number(libc::IFLA_MASTER, master)
                .within(libc::IFLA_LINKINFO, &info),
        )
    }

    /// One more interface on the link of one of the machine's, in a namespace.
    pub(super) fn macvlan(
        inside: &str,
        link_address: [u8; 6],
        namespace: RawFd,
        parent: u32,
    ) -> Self {
        let data = Attributes::default().number(IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE);
        let info = Attributes::default()
            .text(libc::IFLA_INFO_KIND, "macvlan")
            .within(libc::IFLA_INFO_DATA, &data);
        Self::with(
            &Attributes::default()
                .text(libc::IFLA_IFNAME, inside)
                .add(libc::IFLA_ADDRESS, &link_address)
                .number(libc::IFLA_LINK, parent)
                .number(libc::IFLA_NET_NS_FD, namespace.cast_unsigned())
                .within(libc::IFLA_LINKINFO, &info),
        )
    }

    fn with(attributes: &Attributes) -> Self {
        Self([&link(0, 0)[..], &attributes.0].concat())
    }
}

impl Request for NewLink {
    fn kind(&self) -> u16 {
        libc::RTM_NEWLINK
    }
    fn flags(&self) -> u16 {
        CREATE
    }
    fn body(&self) -> Vec<u8> {
        self.0.clone()
    }
}

/// Brings an interface up.
pub(super) struct Up {
    pub(super) index: u32,
}

impl Request for Up {
    fn kind(&self) -> u16 {
        libc::RTM_NEWLINK
    }
    fn flags(&self) -> u16 {
        0
    }
    fn body(&self) -> Vec<u8> {
        link(self.index, libc::IFF_UP)
    }
}

/// Removes an interface.
pub(super) struct RemoveLink {
    pub(super) index: u32,
}

impl Request for RemoveLink {
    fn kind(&self) -> u16 {
        libc::RTM_DELLINK
    }
    fn flags(&self) -> u16 {
        0
    }
    fn body(&self) -> Vec<u8> {
        link(self.index, 0)
    }
}

/// Gives an interface an address.
pub(super) struct Address {
    pub(super) index: u32,
    pub(super) interface: Interface,
}

impl Request for Address {
    fn kind(&self) -> u16 {
        libc::RTM_NEWADDR
    }
    fn flags(&self) -> u16 {
        CREATE
    }
    fn body(&self) -> Vec<u8> {
        let Interface { address, prefix } = self.interface;
        let mask = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
        let broadcast = Ipv4Addr::from(u32::from(address) | mask);
        // `struct ifaddrmsg`: family, prefix, flags, scope, index.
        let mut body = vec![libc::AF_INET as u8, prefix, 0, libc::RT_SCOPE_UNIVERSE];
        body.extend(self.index.to_ne_bytes());
        let attributes = Attributes::default()
            .add(libc::IFA_LOCAL, &address.octets())
            .add(libc::IFA_ADDRESS, &address.octets())
            .add(libc::IFA_BROADCAST, &broadcast.octets());
        body.extend(attributes.0);
        body
    }
}

/// Sends what goes anywhere else through a gateway.
pub(super) struct Route {
    pub(super) gateway: Ipv4Addr,
    pub(super) index: u32,
}

impl Request for Route {
    fn kind(&self) -> u16 {
        libc::RTM_NEWROUTE
    }
    fn flags(&self) -> u16 {
        CREATE
    }
    fn body(&self) -> Vec<u8> {
        // `struct rtmsg`: family, destination's and source's length, type of service, table,
        // protocol, scope, type, flags.
        let mut body = vec![
            libc::AF_INET as u8,
            0,
            0,
            0,
            libc::RT_TABLE_MAIN,
            libc::RTPROT_BOOT,
            libc::RT_SCOPE_UNIVERSE,
            libc::RTN_UNICAST,
        ];
        body.extend([0; 4]);
        let attributes = Attributes::default()
            .add(libc::RTA_GATEWAY, &self.gateway.octets())
            .number(libc::RTA_OIF, self.index);
        body.extend(attributes.0);
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_begin_at_multiples_of_four_and_say_their_own_length() {
        let attributes = Attributes::default().text(3, "lo").number(5, 1);
        let one = 1u32.to_ne_bytes();
        let mut expected = [7u16.to_ne_bytes(), 3u16.to_ne_bytes()].concat();
        expected.extend(b"lo\0\0");
        expected.extend([8u16.to_ne_bytes(), 5u16.to_ne_bytes()].concat());
        expected.extend(one);
        assert_eq!(attributes.0, expected);
    }

    #[test]
    fn the_last_address_of_a_network_is_for_all() {
        let interface = Interface { address: Ipv4Addr::new(10, 1, 2, 3), prefix: 16 };
        let body = Address { index: 1, interface }.body();
        assert!(body.ends_with(&[10, 1, 255, 255]));
    }
}
