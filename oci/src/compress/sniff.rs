//! What bytes are, told by how they begin.

/// A form that data may have, compressed or an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// A tar, of any dialect.
    Tar,
    /// RFC 1952.
    Gzip,
    /// bzip2.
    Bzip2,
    /// The `.xz` container.
    Xz,
    /// RFC 8878.
    Zstd,
}

/// How many bytes [`sniff`] needs to be sure: one header block of a tar.
pub(crate) const SNIFF_LEN: usize = 512;

/// What data is that begins with `prefix`; 512 bytes decide (fewer only if there are no more).
///
/// A tar is known by the checksum of its first header, as tar readers know it: the magic
/// alone proves nothing, and the oldest dialect has none. A tar without any entry is not told
/// from zeros.
pub fn sniff(prefix: &[u8]) -> Option<Format> {
    match prefix {
        [0x1f, 0x8b, 0x08, ..] => Some(Format::Gzip),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(Format::Bzip2),
        [0xfd, b'7', b'z', b'X', b'Z', 0x00, ..] => Some(Format::Xz),
        // A frame, or one to be skipped: zstd:chunked and pzstd may begin with such.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Format::Zstd),
        _ => is_tar_header(prefix).then_some(Format::Tar),
    }
}

fn is_tar_header(prefix: &[u8]) -> bool {
    let Some(header) = prefix.get(..SNIFF_LEN) else { return false };
    if header[0] == 0 {
        return false;
    }
    let Some(stored) = octal(&header[148..156]) else { return false };
    // The checksum's own bytes count as blanks. Some old tars summed signed bytes.
    let bytes = || header[..148].iter().chain(b"        ").chain(&header[156..]);
    let unsigned: i64 = bytes().map(|&b| i64::from(b)).sum();
    let signed: i64 = bytes().map(|&b| i64::from(b.cast_signed())).sum();
    stored == unsigned || stored == signed
}

/// A number in octal digits between blanks and NULs; `None` without a digit.
fn octal(field: &[u8]) -> Option<i64> {
    let blank = |b: &u8| *b == b' ' || *b == 0;
    let start = field.iter().position(|b| !blank(b))?;
    let digits = field[start..].split(blank).next().unwrap_or_default();
    digits.iter().try_fold(0, |value, b| match b {
        b'0'..=b'7' => Some(value * 8 + i64::from(b - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar_header(magic: &[u8]) -> [u8; 512] {
        let mut header = [0; 512];
        header[..5].copy_from_slice(b"a\xffbcd");
        header[257..257 + magic.len()].copy_from_slice(magic);
        let sum: u32 = header.iter().map(|&b| u32::from(b)).sum::<u32>() + 8 * 32;
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        header
    }

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        let gnu = tar_header(b"ustar  \0");
        let posix = tar_header(b"ustar\x0000");
        let v7 = tar_header(b"");
        for (prefix, format) in [
            (&b"\x1f\x8b\x08\x00"[..], Some(Format::Gzip)),
            (b"BZh91AY", Some(Format::Bzip2)),
            (b"\xfd7zXZ\x00", Some(Format::Xz)),
            (b"\x28\xb5\x2f\xfd", Some(Format::Zstd)),
            (b"\x52\x2a\x4d\x18", Some(Format::Zstd)),
            (&gnu, Some(Format::Tar)),
            (&posix, Some(Format::Tar)),
            (&v7, Some(Format::Tar)),
            (b"", None),
            (b"\x1f\x8b", None),
            (b"BZhello", None),
            (&[0; 512], None),
            (&v7[..511], None),
        ] {
            assert_eq!(sniff(prefix), format, "{prefix:?}");
        }
        let mut wrong = posix;
        wrong[0] = b'b';
        assert_eq!(sniff(&wrong), None);
    }

    #[test]
    fn a_checksum_over_signed_bytes_counts() {
        let mut header = tar_header(b"");
        let sum: i32 = header.iter().map(|&b| i32::from(b.cast_signed())).sum::<i32>()
            - header[148..156].iter().map(|&b| i32::from(b)).sum::<i32>()
            + 8 * 32;
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert_eq!(sniff(&header), Some(Format::Tar));
    }
}
