//! Rules of the kernel's packet filter (nftables), as batches of requests: a batch takes effect as
//! a whole or not at all.

use super::Interface;
use super::message::Attributes;
use super::netlink::Request;

// What linux/netfilter/nf_tables.h and nfnetlink.h number, as far as it is used here.
const SUBSYSTEM: u16 = 10;
const NEW_TABLE: u16 = 0;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
const TABLE_NAME: u16 = 1;
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
const LIST_ELEMENT: u16 = 1;
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const VERDICT_REGISTER: u32 = 0;
const REGISTER: u32 = 1;
const META_IN_NAME: u32 = 6;
const META_OUT_NAME: u32 = 7;
const NETWORK_HEADER: u32 = 1;
const IPV4_SOURCE: u32 = 12;
const CT_STATE: u32 = 0;
/// Connections that are known, and what belongs to them, as the kernel has them in a register.
const ESTABLISHED_OR_RELATED: u32 = 2 | 4;

/// Where packets are looked at.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hook {
    /// What goes through the machine.
    Forward,
    /// What leaves it, where its source may be changed.
    Source,
}

/// How two things are to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Is {
    Equal,
    Other,
}

/// One condition, or what is done where all before it hold.
pub(super) struct Expression(Attributes);

impl Expression {
    fn new(name: &str, data: &Attributes) -> Self {
        Self(Attributes::default().text(EXPRESSION_NAME, name).nested(EXPRESSION_DATA, data))
    }

    fn compare(is: Is, value: &[u8]) -> Self {
        let operator = if is == Is::Equal { 0 } else { 1 };
        let value = Attributes::default().add(DATA_VALUE, value);
        Self::new("cmp", &Attributes::default().be(1, REGISTER).be(2, operator).nested(3, &value))
    }

    fn mask(mask: &[u8]) -> Self {
        let length = mask.len() as u32;
        let zero = Attributes::default().add(DATA_VALUE, &vec![0; mask.len()]);
        let mask = Attributes::default().add(DATA_VALUE, mask);
        let data = Attributes::default().be(1, REGISTER).be(2, REGISTER).be(3, length);
        Self::new("bitwise", &data.nested(4, &mask).nested(5, &zero))
    }

    fn interface(key: u32, is: Is, name: &[u8]) -> Vec<Self> {
        let load = Self::new("meta", &Attributes::default().be(1, REGISTER).be(2, key));
        vec![load, Self::compare(is, name)]
    }

    /// Whether a packet came in by an interface.
    pub(super) fn came_by(is: Is, interface: &str) -> Vec<Self> {
        Self::interface(META_IN_NAME, is, &padded(interface))
    }

    /// Whether it goes out by one.
    pub(super) fn leaves_by(is: Is, interface: &str) -> Vec<Self> {
        Self::interface(META_OUT_NAME, is, &padded(interface))
    }

    /// Whether it goes out by one whose name begins so.
    pub(super) fn leaves_by_one_of(is: Is, beginning: &str) -> Vec<Self> {
        Self::interface(META_OUT_NAME, is, beginning.as_bytes())
    }

    /// Whether its source is in a network.
    pub(super) fn is_from(network: Interface) -> Vec<Self> {
        let bits = u32::MAX.checked_shl(32 - u32::from(network.prefix)).unwrap_or(0);
        let address = u32::from(network.address) & bits;
        let place = Attributes::default().be(1, REGISTER).be(2, NETWORK_HEADER);
        let load = Self::new("payload", &place.be(3, IPV4_SOURCE).be(4, 4));
        let compare = Self::compare(Is::Equal, &address.to_be_bytes());
        vec![load, Self::mask(&bits.to_be_bytes()), compare]
    }

    /// Whether it is part of a connection that is known.
    pub(super) fn is_known() -> Vec<Self> {
        let load = Self::new("ct", &Attributes::default().be(1, REGISTER).be(2, CT_STATE));
        let mask = Self::mask(&ESTABLISHED_OR_RELATED.to_ne_bytes());
        vec![load, mask, Self::compare(Is::Other, &[0; 4])]
    }

    /// Gives it the machine's own address as its source.
    pub(super) fn masquerade() -> Self {
        Self::new("masq", &Attributes::default())
    }

    /// Lets it through.
    pub(super) fn accept() -> Self {
        Self::verdict(1)
    }

    /// Drops it.
    pub(super) fn drop() -> Self {
        Self::verdict(0)
    }

    fn verdict(code: u32) -> Self {
        let verdict = Attributes::default().be(VERDICT_CODE, code);
        let data = Attributes::default().nested(DATA_VERDICT, &verdict);
        Self::new("immediate", &Attributes::default().be(1, VERDICT_REGISTER).nested(2, &data))
    }
}

/// A name as the kernel compares it: to the last of its 16 bytes.
fn padded(interface: &str) -> Vec<u8> {
    let mut name = interface.as_bytes().to_vec();
    name.resize(libc::IFNAMSIZ, 0);
    name
}

/// One request of a batch.
pub(super) struct Rule {
    kind: u16,
    flags: i32,
    body: Vec<u8>,
}

impl Rule {
    fn new(kind: u16, flags: i32, attributes: &Attributes) -> Self {
        Self { kind: SUBSYSTEM << 8 | kind, flags, body: with_head(libc::AF_INET, 0, attributes) }
    }

    /// Before the first.
    pub(super) fn begin() -> Self {
        Self::edge(BATCH_BEGIN)
    }

    /// After the last.
    pub(super) fn end() -> Self {
        Self::edge(BATCH_END)
    }

    fn edge(kind: u16) -> Self {
        let body = with_head(libc::AF_UNSPEC, SUBSYSTEM, &Attributes::default());
        Self { kind, flags: 0, body }
    }

    /// A table, unless it is there.
    pub(super) fn table(name: &str) -> Self {
        let name = Attributes::default().text(TABLE_NAME, name);
        Self::new(NEW_TABLE, libc::NLM_F_CREATE, &name)
    }

    /// Removes a table, which is there.
    pub(super) fn remove_table(name: &str) -> Self {
        Self::new(DELETE_TABLE, 0, &Attributes::default().text(TABLE_NAME, name))
    }

    /// A chain that lets through what none of its rules drops.
    pub(super) fn chain(table: &str, name: &str, hook: Hook) -> Self {
        // Priorities as the usual tools have them, so that both see a packet in the usual order.
        let (number, priority, kind) = match hook {
            Hook::Forward => (libc::NF_INET_FORWARD, 0, "filter"),
            Hook::Source => (libc::NF_INET_POST_ROUTING, 100, "nat"),
        };
        let hook = Attributes::default()
            .be(HOOK_NUMBER, number.cast_unsigned())
            .be(HOOK_PRIORITY, priority);
        let attributes = Attributes::default()
            .text(CHAIN_TABLE, table)
            .text(CHAIN_NAME, name)
            .nested(CHAIN_HOOK, &hook)
            .text(CHAIN_TYPE, kind);
        Self::new(NEW_CHAIN, libc::NLM_F_CREATE, &attributes)
    }

    /// A rule at the end of a chain.
    pub(super) fn append(table: &str, chain: &str, expressions: &[Expression]) -> Self {
        let list = expressions
            .iter()
            .fold(Attributes::default(), |list, one| list.nested(LIST_ELEMENT, &one.0));
        let attributes = Attributes::default()
            .text(RULE_TABLE, table)
            .text(RULE_CHAIN, chain)
            .nested(RULE_EXPRESSIONS, &list);
        Self::new(NEW_RULE, libc::NLM_F_CREATE | libc::NLM_F_APPEND, &attributes)
    }
}

/// `struct nfgenmsg`, and what follows it.
fn with_head(family: i32, resource: u16, attributes: &Attributes) -> Vec<u8> {
    let mut body = vec![family as u8, 0];
    body.extend(resource.to_be_bytes());
    body.extend(attributes.bytes());
    body
}

impl Request for Rule {
    fn kind(&self) -> u16 {
        self.kind
    }
    fn flags(&self) -> u16 {
        self.flags as u16
    }
    fn body(&self) -> Vec<u8> {
        self.body.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn names_are_compared_whole_or_by_their_beginning() {
        assert_eq!(padded("eth0"), b"eth0\0\0\0\0\0\0\0\0\0\0\0\0");
        let [_, compare] = &Expression::leaves_by_one_of(Is::Equal, "tc-")[..] else {
            panic!("two expressions")
        };
        let bytes = compare.0.bytes();
        assert!(bytes.windows(4).any(|four| four == b"tc-\0"), "{bytes:?}");
        assert!(bytes.windows(2).any(|length| length == 7u16.to_ne_bytes()), "{bytes:?}");
    }

    #[test]
    fn a_network_is_its_address_without_the_bits_of_the_machine() {
        let network = Interface { address: Ipv4Addr::new(10, 1, 2, 3), prefix: 24 };
        let parts = Expression::is_from(network);
        let has = |part: &Expression, bytes: &[u8]| part.0.bytes().windows(4).any(|w| w == bytes);
        assert!(has(&parts[1], &[255, 255, 255, 0]) && has(&parts[2], &[10, 1, 2, 0]));
    }
}
