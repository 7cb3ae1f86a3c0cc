//! The header of an entry: one ustar block, and an extended header before it where that is not
//! enough (POSIX pax).

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use super::output::Output;
use crate::Result;
use crate::apply::BLOCK;

/// The largest number that seven octal digits hold.
const MAX_7: u64 = 0o7_777_777;
/// The largest number that eleven octal digits hold.
const MAX_11: u64 = 0o77_777_777_777;
/// How long a name is that a plain header holds.
const NAME: usize = 100;
/// How long the part of a name is that a plain header holds apart.
const PREFIX: usize = 155;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    HardLink,
    Symlink,
    CharDevice,
    BlockDevice,
    Dir,
    Fifo,
}

impl Kind {
    fn flag(self) -> u8 {
        match self {
            Kind::File => b'0',
            Kind::HardLink => b'1',
            Kind::Symlink => b'2',
            Kind::CharDevice => b'3',
            Kind::BlockDevice => b'4',
            Kind::Dir => b'5',
            Kind::Fifo => b'6',
        }
    }
}

/// What is said of an entry.
pub(super) struct Header<'a> {
    path: &'a [u8],
    kind: Kind,
    pub(super) link: &'a [u8],
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: i64,
    pub(super) size: u64,
    pub(super) device: (u32, u32),
    pub(super) xattrs: &'a [(OsString, Vec<u8>)],
}

impl<'a> Header<'a> {
    /// An entry that belongs to root, with no permissions, from 1970.
    pub(super) fn new(path: &'a [u8], kind: Kind) -> Header<'a> {
        Header {
            path,
            kind,
            link: b"",
            mode: 0,
            uid: 0,
            gid: 0,
            mtime: 0,
            size: 0,
            device: (0, 0),
            xattrs: &[],
        }
    }

    /// Writes the extended header if there has to be one, and the header.
    pub(super) fn write(&self, out: &mut Output<'_>) -> Result<()> {
        let split = split_name(self.path);
        let extended = self.extended(split.is_none());
        if !extended.is_empty() {
            let mut header = Block::new(b'x');
            header.text(0, b"././@PaxHeader");
            header.octal(100, 8, 0o644);
            header.octal(124, 12, extended.len() as u64);
            out.put(&header.seal())?;
            out.put_padded(&extended)?;
        }
        let mut header = Block::new(self.kind.flag());
        if let Some((prefix, name)) = split {
            header.text(345, prefix);
            header.text(0, name);
        } else {
            let ascii: Vec<u8> =
                self.path.iter().copied().filter(u8::is_ascii).take(NAME).collect();
            header.text(0, &ascii);
        }
        header.octal(100, 8, self.mode.into());
        header.octal(108, 8, fit(self.uid.into(), MAX_7));
        header.octal(116, 8, fit(self.gid.into(), MAX_7));
        header.octal(124, 12, fit(self.size, MAX_11));
        header.octal(136, 12, fit(u64::try_from(self.mtime).unwrap_or(0), MAX_11));
        if self.link.len() <= NAME && self.link.is_ascii() {
            header.text(157, self.link);
        }
        if matches!(self.kind, Kind::CharDevice | Kind::BlockDevice) {
            header.octal(329, 8, self.device.0.into());
            header.octal(337, 8, self.device.1.into());
        }
        out.put(&header.seal())
    }

    /// The records that say what the header cannot, sorted by their keys.
    fn extended(&self, with_path: bool) -> Vec<u8> {
        let mut records: Vec<(Vec<u8>, Vec<u8>)> = self
            .xattrs
            .iter()
            .map(|(key, value)| ([b"SCHILY.xattr.", key.as_bytes()].concat(), value.clone()))
            .collect();
        let mut add = |key: &str, value: &[u8]| records.push((key.into(), value.to_vec()));
        for (key, value, max) in [
            ("gid", self.gid.into(), MAX_7),
            ("size", self.size, MAX_11),
            ("uid", self.uid.into(), MAX_7),
        ] {
            if value > max {
                add(key, value.to_string().as_bytes());
            }
        }
        if !u64::try_from(self.mtime).is_ok_and(|mtime| mtime <= MAX_11) {
            add("mtime", self.mtime.to_string().as_bytes());
        }
        if self.link.len() > NAME || !self.link.is_ascii() {
            add("linkpath", self.link);
        }
        if with_path {
            add("path", self.path);
        }
        records.sort_unstable();
        let mut extended = Vec::new();
        for (key, value) in records {
            push_record(&mut extended, &key, &value);
        }
        extended
    }
}

/// A header block.
struct Block([u8; BLOCK]);

impl Block {
    fn new(flag: u8) -> Block {
        let mut block = Block([0; BLOCK]);
        block.0[156] = flag;
        block.text(257, b"ustar\0");
        block.text(263, b"00");
        for (at, len) in [(100, 8), (108, 8), (116, 8), (124, 12), (136, 12), (329, 8), (337, 8)] {
            block.octal(at, len, 0);
        }
        block
    }

    fn text(&mut self, at: usize, text: &[u8]) {
        self.0[at..at + text.len()].copy_from_slice(text);
    }

    /// Octal digits and a NUL, `len` bytes together.
    fn octal(&mut self, at: usize, len: usize, mut value: u64) {
        for digit in self.0[at..at + len - 1].iter_mut().rev() {
            *digit = b'0' + (value & 7) as u8;
            value >>= 3;
        }
    }

    /// The block with its checksum.
    fn seal(mut self) -> [u8; BLOCK] {
        self.0[148..156].fill(b' ');
        let sum: u32 = self.0.iter().map(|b| u32::from(*b)).sum();
        self.octal(148, 7, sum.into());
        self.0[154] = 0;
        self.0
    }
}

/// The value, or 0 where an extended header has it.
fn fit(value: u64, max: u64) -> u64 {
    if value <= max { value } else { 0 }
}

/// The name as prefix and rest, if a plain header can hold it: ASCII, and short enough or with a
/// slash in the right place. The longest prefix is taken.
fn split_name(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if !path.is_ascii() {
        return None;
    }
    if path.len() <= NAME {
        return Some((b"", path));
    }
    // A slash at the end belongs to the name.
    let limit = (PREFIX + 1).min(path.len() - 1);
    let slash = path[..limit].iter().rposition(|b| *b == b'/')?;
    let (prefix, name) = (&path[..slash], &path[slash + 1..]);
    (!prefix.is_empty() && name.len() <= NAME).then_some((prefix, name))
}

/// Adds `LENGTH KEY=VALUE\n`, where the length counts its own digits.
fn push_record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + digits(length) {
        length = rest + digits(length);
    }
    out.extend_from_slice(length.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn digits(n: usize) -> usize {
    n.checked_ilog10().map_or(1, |log| log as usize + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_its_own_length() {
        for value_len in [0, 1, 90, 91, 92, 93, 94, 95, 986, 987, 988, 989, 990, 9980, 9990] {
            let mut record = Vec::new();
            push_record(&mut record, b"path", &vec![b'a'; value_len]);
            let space = record.iter().position(|b| *b == b' ').unwrap();
            let length: usize = std::str::from_utf8(&record[..space]).unwrap().parse().unwrap();
            assert_eq!(length, record.len(), "{value_len}");
        }
    }

    #[test]
    fn a_name_is_split_where_both_parts_fit() {
        let long = |n: usize| "d".repeat(n);
        for (path, splits) in [
            (long(100), true),
            (long(101), false),
            (format!("{}/{}", long(155), long(100)), true),
            (format!("{}/{}", long(156), long(100)), false),
            (format!("{}/{}", long(155), long(101)), false),
            (format!("{}/{}/", long(20), long(99)), true),
            (format!("{}/", long(100)), false),
            (format!("/{}", long(100)), false),
            ("é".to_owned(), false),
        ] {
            let split = split_name(path.as_bytes());
            assert_eq!(split.is_some(), splits, "{path}");
            if let Some((prefix, name)) = split {
                let joined =
                    if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() };
                assert_eq!(joined, path.as_bytes());
                assert!(prefix.len() <= PREFIX && name.len() <= NAME);
            }
        }
    }
}
