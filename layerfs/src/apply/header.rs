//! One 512-byte header block of a tar archive (POSIX ustar, GNU, star, V7).

use super::Malformed;

/// The unit of a tar archive, in bytes.
pub(crate) const BLOCK: usize = 512;

/// A header block whose checksum holds.
pub(super) struct Header<'a>(&'a [u8; BLOCK]);

impl<'a> Header<'a> {
    /// The header in `block`.
    pub(super) fn parse(block: &'a [u8; BLOCK]) -> Result<Header<'a>, Malformed> {
        let stored = number(&block[148..156]).map_err(|_| Malformed::Checksum)?;
        let bytes = || block[..148].iter().chain(&block[156..]);
        let blanks = 8 * i64::from(b' ');
        // 504 bytes are less than an u32 has room for, and are added up many at once.
        let unsigned = || blanks + i64::from(bytes().map(|b| u32::from(*b)).sum::<u32>());
        // Some early writers summed signed bytes.
        let signed = || blanks + bytes().map(|b| i64::from(b.cast_signed())).sum::<i64>();
        if stored == unsigned() || stored == signed() {
            Ok(Header(block))
        } else {
            Err(Malformed::Checksum)
        }
    }

    pub(super) fn type_flag(&self) -> u8 {
        self.0[156]
    }

    /// The name, with the prefix that ustar and star keep apart.
    pub(super) fn name(&self) -> Vec<u8> {
        let name = text(&self.0[..100]);
        let prefix = match &self.0[257..263] {
            b"ustar\0" if &self.0[508..] == b"tar\0" => text(&self.0[345..476]),
            b"ustar\0" => text(&self.0[345..500]),
            _ => b"",
        };
        let mut full = Vec::with_capacity(prefix.len() + 1 + name.len());
        if !prefix.is_empty() {
            full.extend_from_slice(prefix);
            full.push(b'/');
        }
        full.extend_from_slice(name);
        full
    }

    pub(super) fn link_name(&self) -> &'a [u8] {
        text(&self.0[157..257])
    }

    pub(super) fn mode(&self) -> Result<u32, Malformed> {
        // What is above the permission bits repeats the type and is often wrong.
        number(&self.0[100..108]).map(|mode| (mode & 0o7777) as u32)
    }

    pub(super) fn uid(&self) -> Result<i64, Malformed> {
        number(&self.0[108..116])
    }

    pub(super) fn gid(&self) -> Result<i64, Malformed> {
        number(&self.0[116..124])
    }

    pub(super) fn size(&self) -> Result<u64, Malformed> {
        u64::try_from(number(&self.0[124..136])?).map_err(|_| Malformed::Number)
    }

    pub(super) fn mtime(&self) -> Result<i64, Malformed> {
        number(&self.0[136..148])
    }

    pub(super) fn device(&self) -> Result<(u32, u32), Malformed> {
        let part = |field| u32::try_from(number(field)?).map_err(|_| Malformed::Number);
        Ok((part(&self.0[329..337])?, part(&self.0[337..345])?))
    }

    /// Whether the block has the GNU format's fields for old sparse files.
    pub(super) fn is_gnu(&self) -> bool {
        &self.0[257..265] == b"ustar  \0"
    }

    /// The length of an old GNU sparse file with its holes.
    pub(super) fn sparse_real_size(&self) -> Result<u64, Malformed> {
        u64::try_from(number(&self.0[483..495])?).map_err(|_| Malformed::Number)
    }

    /// The first four pieces of an old GNU sparse map, and whether more blocks of it follow.
    pub(super) fn sparse_map(&self) -> (&'a [u8], bool) {
        (&self.0[386..482], self.0[482] != 0)
    }
}

/// A field's bytes up to its first NUL.
fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
    &field[..end]
}

/// A numeric field: octal digits between spaces and NULs, or GNU's big-endian two's complement
/// marked by the first bit.
pub(super) fn number(field: &[u8]) -> Result<i64, Malformed> {
    if let Some(first) = field.first().filter(|first| **first & 0x80 != 0) {
        let negative = first & 0x40 != 0;
        let mut value: i64 = if negative { -1 } else { 0 };
        for (i, byte) in field.iter().enumerate() {
            // The mark is not part of the number: it becomes a copy of the sign.
            let byte = match (i, negative) {
                (0, true) => byte | 0x80,
                (0, false) => byte & 0x7f,
                _ => *byte,
            };
            value = value
                .checked_mul(256)
                .and_then(|v| v.checked_add(i64::from(byte)))
                .ok_or(Malformed::Number)?;
        }
        return Ok(value);
    }
    let blank = |b: &u8| matches!(b, b' ' | 0);
    let start = field.iter().position(|b| !blank(b)).unwrap_or(field.len());
    let end = field.iter().rposition(|b| !blank(b)).map_or(start, |last| last + 1);
    field[start..end].iter().try_fold(0_i64, |value, digit| match digit {
        b'0'..=b'7' => value
            .checked_mul(8)
            .and_then(|v| v.checked_add(i64::from(digit - b'0')))
            .ok_or(Malformed::Number),
        _ => Err(Malformed::Number),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_big_endian() {
        for (field, value) in [
            (&b"0000644\0"[..], 0o644),
            (b"    123 ", 0o123),
            (b"\0\0\0\0", 0),
            (b"77777777777", 0o77_777_777_777),
            (b"\x80\0\0\0\xb2\xd0\x5e\0", 3_000_000_000),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", -1),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", -2),
        ] {
            assert_eq!(number(field).unwrap(), value, "{field:?}");
        }
        for field in [&b"12x"[..], b"8", b"-1", b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"]
        {
            assert!(number(field).is_err(), "{field:?}");
        }
    }
}
