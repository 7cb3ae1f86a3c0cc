//! As much of a message of the domain name system as it takes to answer for names of containers
//! (RFC 1035, section 4).

use std::net::Ipv4Addr;

/// Where the questions begin.
const HEADER: usize = 12;
/// How long an answer may be believed, in seconds, as docker has it.
const TTL: u32 = 600;

const A: u16 = 1;
const PTR: u16 = 12;
const INTERNET: u16 = 1;

/// A message that asks one question.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query<'a> {
    message: &'a [u8],
    /// Where the question ends.
    end: usize,
    /// The name, in lower case, without the last dot.
    pub(super) name: String,
    kind: u16,
}

/// What is wanted of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Its addresses.
    Address,
    /// The name that an address has.
    Name(Ipv4Addr),
    /// Something that containers do not have.
    Other,
}

/// How an answer can end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Good = 0,
    /// Nobody who could be asked has answered.
    Failed = 2,
}

impl<'a> Query<'a> {
    /// Reads one; nothing for what is none, or asks otherwise than everybody does.
    pub(super) fn read(message: &'a [u8]) -> Option<Query<'a>> {
        let short =
            |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
        let (flags, questions) = (short(2)?, short(4)?);
        // An answer, another operation than a query, or several questions.
        if flags & 0xf800 != 0 || questions != 1 {
            return None;
        }
        let (mut at, mut name) = (HEADER, String::new());
        loop {
            let length = usize::from(*message.get(at)?);
            if length == 0 {
                break;
            }
            // Longer ones are pointers, which the first name of a message has no use for.
            if length > 63 || name.len() + length > 255 {
                return None;
            }
            let label = message.get(at + 1..at + 1 + length)?;
            if !name.is_empty() {
                name.push('.');
            }
            name.push_str(&String::from_utf8_lossy(label).to_lowercase());
            at += 1 + length;
        }
        let (kind, class) = (short(at + 1)?, short(at + 3)?);
        (class == INTERNET).then_some(Query { message, end: at + 5, name, kind })
    }

    /// What it wants.
    pub(super) fn wanted(&self) -> Wanted {
        match self.kind {
            A => Wanted::Address,
            PTR => reversed(&self.name).map_or(Wanted::Other, Wanted::Name),
            _ => Wanted::Other,
        }
    }

    /// An answer with these addresses.
    pub(super) fn addresses(&self, addresses: &[Ipv4Addr]) -> Vec<u8> {
        let records = addresses.iter().map(|address| address.octets().to_vec());
        self.answer(Outcome::Good, A, records.collect())
    }

    /// An answer with a name.
    pub(super) fn named(&self, name: &str) -> Vec<u8> {
        let mut record = Vec::new();
        for label in name.split('.').filter(|label| !label.is_empty()) {
            let label = label.as_bytes();
            let label = &label[..label.len().min(63)];
            record.push(label.len() as u8);
            record.extend_from_slice(label);
        }
        record.push(0);
        self.answer(Outcome::Good, PTR, vec![record])
    }

    /// An answer without anything.
    pub(super) fn nothing(&self, outcome: Outcome) -> Vec<u8> {
        self.answer(outcome, A, Vec::new())
    }

    fn answer(&self, outcome: Outcome, kind: u16, records: Vec<Vec<u8>>) -> Vec<u8> {
        let asked = self.message.get(..self.end).unwrap_or_default();
        let mut answer = asked.to_vec();
        // An answer, with authority if it is ours, recursion as it was wished, and to be had.
        let wished = self.message.get(2).copied().unwrap_or_default() & 1;
        let ours = if outcome == Outcome::Good { 4 } else { 0 };
        let count = u16::try_from(records.len()).unwrap_or(0).to_be_bytes();
        let header =
            [0x80 | ours | wished, 0x80 | outcome as u8, 0, 1, count[0], count[1], 0, 0, 0, 0];
        if let Some(place) = answer.get_mut(2..HEADER) {
            place.copy_from_slice(&header);
        }
        for record in records {
            // The name is that of the question.
            answer.extend_from_slice(&[0xc0, HEADER as u8]);
            answer.extend_from_slice(&kind.to_be_bytes());
            answer.extend_from_slice(&INTERNET.to_be_bytes());
            answer.extend_from_slice(&TTL.to_be_bytes());
            answer.extend_from_slice(&u16::try_from(record.len()).unwrap_or(0).to_be_bytes());
            answer.extend_from_slice(&record);
        }
        answer
    }
}

/// The address that a name below `in-addr.arpa` stands for.
fn reversed(name: &str) -> Option<Ipv4Addr> {
    let mut parts = name.strip_suffix(".in-addr.arpa")?.split('.').rev();
    let mut octet = || parts.next()?.parse::<u8>().ok();
    let address = Ipv4Addr::new(octet()?, octet()?, octet()?, octet()?);
    parts.next().is_none().then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(name: &str, kind: u16) -> Vec<u8> {
        let mut message = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
        for label in name.split('.') {
            message.push(label.len() as u8);
            message.extend_from_slice(label.as_bytes());
        }
        message.push(0);
        message.extend_from_slice(&kind.to_be_bytes());
        message.extend_from_slice(&[0, 1]);
        // A record of EDNS, as resolvers add it.
        message.extend_from_slice(&[0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 0]);
        message
    }

    #[test]
    fn a_question_is_read_and_answered() {
        let message = query("Web.Local", 1);
        let asked = Query::read(&message).unwrap();
        assert_eq!((asked.name.as_str(), asked.wanted()), ("web.local", Wanted::Address));
        let answer = asked.addresses(&[Ipv4Addr::new(10, 1, 2, 3)]);
        let mut expected = vec![0xab, 0xcd, 0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
        expected.extend_from_slice(b"\x03Web\x05Local\0\0\x01\0\x01");
        expected.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 2, 88, 0, 4, 10, 1, 2, 3]);
        assert_eq!(answer, expected);
        let failed = asked.nothing(Outcome::Failed);
        assert_eq!((failed[2], failed[3], failed[7]), (0x81, 0x82, 0));
    }

    #[test]
    fn an_address_is_asked_for_its_name() {
        let message = query("3.2.1.10.in-addr.arpa", 12);
        let asked = Query::read(&message).unwrap();
        assert_eq!(asked.wanted(), Wanted::Name(Ipv4Addr::new(10, 1, 2, 3)));
        assert!(asked.named("web.net").ends_with(b"\0\x09\x03web\x03net\0"));
        for name in ["2.1.10.in-addr.arpa", "x.3.2.1.10.in-addr.arpa", "256.2.1.10.in-addr.arpa"] {
            assert_eq!(Query::read(&query(name, 12)).unwrap().wanted(), Wanted::Other, "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_is_no_harm(message: Vec<u8>) {
            if let Some(asked) = Query::read(&message) {
                let _ = (asked.wanted(), asked.addresses(&[]), asked.named(&asked.name));
            }
        }

        #[test]
        fn a_question_cut_short_is_none(length in 0usize..26) {
            let message = query("web.local", 1);
            proptest::prop_assert!(Query::read(&message[..length]).is_none());
        }
    }
}
