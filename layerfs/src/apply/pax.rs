//! PAX extended headers: `LENGTH KEY=VALUE\n` records (POSIX pax, "pax Extended Header").

use super::{Malformed, sparse::Piece};
use crate::root::Timestamp;

/// The most pieces that a sparse file may have.
pub(super) const MAX_PIECES: usize = 1 << 20;

/// What extended headers say of an entry, over its own header.
#[derive(Debug, Clone, Default)]
pub(super) struct Extended {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link_path: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<i64>,
    pub(super) gid: Option<i64>,
    pub(super) mtime: Option<Timestamp>,
    /// Extended attributes by name, in the order of the archive.
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) sparse_version: (Option<u64>, Option<u64>),
    pub(super) sparse_name: Option<Vec<u8>>,
    pub(super) sparse_real_size: Option<u64>,
    pub(super) sparse_map: Option<Vec<Piece>>,
    sparse_offset: Option<u64>,
}

impl Extended {
    /// Takes the records of one extended header; later ones win.
    pub(super) fn take(&mut self, data: &[u8]) -> Result<(), Malformed> {
        let mut rest = data;
        while !rest.is_empty() {
            let (key, value, after) = record(rest).ok_or(Malformed::Pax)?;
            self.set(key, value)?;
            rest = after;
        }
        Ok(())
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Malformed> {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            self.xattrs.retain(|(known, _)| known != name);
            self.xattrs.push((name.to_vec(), value.to_vec()));
            return Ok(());
        }
        // An empty value takes back what an earlier header said.
        let some = (!value.is_empty()).then_some(value);
        match key {
            b"path" => self.path = some.map(<[u8]>::to_vec),
            b"linkpath" => self.link_path = some.map(<[u8]>::to_vec),
            b"size" => self.size = some.map(unsigned).transpose()?,
            b"uid" => self.uid = some.map(signed).transpose()?,
            b"gid" => self.gid = some.map(signed).transpose()?,
            b"mtime" => self.mtime = some.map(time).transpose()?,
            b"GNU.sparse.major" => self.sparse_version.0 = some.map(unsigned).transpose()?,
            b"GNU.sparse.minor" => self.sparse_version.1 = some.map(unsigned).transpose()?,
            b"GNU.sparse.name" => self.sparse_name = some.map(<[u8]>::to_vec),
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => {
                self.sparse_real_size = some.map(unsigned).transpose()?;
            }
            b"GNU.sparse.offset" => self.sparse_offset = Some(unsigned(value)?),
            b"GNU.sparse.numbytes" => {
                let offset = self.sparse_offset.take().ok_or(Malformed::SparseMap)?;
                let length = unsigned(value)?;
                self.add_piece(Piece { offset, length })?;
            }
            b"GNU.sparse.map" => {
                self.sparse_map = None;
                let mut numbers = value.split(|b| *b == b',').map(unsigned);
                while let Some(offset) = numbers.next() {
                    let length = numbers.next().ok_or(Malformed::SparseMap)??;
                    self.add_piece(Piece { offset: offset?, length })?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn add_piece(&mut self, piece: Piece) -> Result<(), Malformed> {
        let map = self.sparse_map.get_or_insert_default();
        if map.len() >= MAX_PIECES {
            return Err(Malformed::SparseMap);
        }
        map.push(piece);
        Ok(())
    }
}

/// The first record's key and value, and what follows it.
fn record(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = data.iter().take(20).position(|b| *b == b' ')?;
    let length = usize::try_from(unsigned(&data[..space]).ok()?).ok()?;
    let (record, after) = data.split_at_checked(length)?;
    let body = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|b| *b == b'=')?;
    (equals > 0).then_some((&body[..equals], &body[equals + 1..], after))
}

pub(super) fn unsigned(text: &[u8]) -> Result<u64, Malformed> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return Err(Malformed::Number);
    }
    text.iter().try_fold(0_u64, |value, digit| {
        value
            .checked_mul(10)
            .and_then(|v| v.checked_add(u64::from(digit - b'0')))
            .ok_or(Malformed::Number)
    })
}

fn signed(text: &[u8]) -> Result<i64, Malformed> {
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let value = i64::try_from(unsigned(digits)?).map_err(|_| Malformed::Number)?;
    Ok(if negative { -value } else { value })
}

/// Seconds with an optional fraction, of which nanoseconds are kept.
fn time(text: &[u8]) -> Result<Timestamp, Malformed> {
    let (whole, fraction) = match text.iter().position(|b| *b == b'.') {
        Some(dot) => (&text[..dot], &text[dot + 1..]),
        None => (text, &b""[..]),
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err(Malformed::Number);
    }
    let nanoseconds = (0..9).fold(0_u32, |value, i| {
        value * 10 + fraction.get(i).map_or(0, |digit| u32::from(digit - b'0'))
    });
    let seconds = signed(whole)?;
    if whole.starts_with(b"-") && nanoseconds > 0 {
        // Before 1970 the fraction counts backwards.
        let seconds = seconds.checked_sub(1).ok_or(Malformed::Number)?;
        return Ok(Timestamp { seconds, nanoseconds: 1_000_000_000 - nanoseconds });
    }
    Ok(Timestamp { seconds, nanoseconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_nanoseconds() {
        for (text, seconds, nanoseconds) in [
            ("0", 0, 0),
            ("1700000000.123456789", 1_700_000_000, 123_456_789),
            ("1700000000.5", 1_700_000_000, 500_000_000),
            ("1.0000000019", 1, 1),
            ("-1.5", -2, 500_000_000),
            ("-0.25", -1, 750_000_000),
            ("-7", -7, 0),
        ] {
            let expected = Timestamp { seconds, nanoseconds };
            assert_eq!(time(text.as_bytes()).unwrap(), expected, "{text}");
        }
        for text in ["", "x", "1.x", "--1", "99999999999999999999"] {
            assert!(time(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_newline_in_a_value_hides_no_record() {
        let mut extended = Extended::default();
        extended.take(b"28 SCHILY.xattr.user.a=1\n2\n\n18 uid=3000000000\n").unwrap();
        assert_eq!(extended.uid, Some(3_000_000_000));
        assert_eq!(extended.xattrs, [(b"user.a".to_vec(), b"1\n2\n".to_vec())]);
    }

    #[test]
    fn a_record_that_is_none_is_an_error() {
        for data in [
            &b"x"[..],
            b"9999 path=a\n",
            b"11 path=a\n",
            b"5 =a\n",
            b"3 \n",
            b"0 path=a\n",
            b"10 path=ab",
            b"18446744073709551616 path=a\n",
        ] {
            assert!(Extended::default().take(data).is_err(), "{data:?}");
        }
    }
}
