//! Headers and trailers of gzip members (RFC 1952, section 2.3).

use std::io::BufRead;

use super::error::{Corrupt, Failure};
use super::source::Source;

const HAS_CHECKSUM: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 7 << 5;
/// The longest name or comment, its end not counted.
const MAX_FIELD: usize = 0xffff;

/// Reads a header; nobody wants to know what it says.
pub(super) fn read_header<R: BufRead>(source: &mut Source<R>) -> Result<(), Failure> {
    let mut header = Header { source, checksum: crc32fast::Hasher::new() };
    let fixed = header.read::<10>()?;
    if fixed[..2] != [0x1f, 0x8b] {
        return Err(Corrupt::NoHeader.into());
    }
    let (method, flags) = (fixed[2], fixed[3]);
    if method != 8 {
        return Err(Corrupt::UnknownMethod(method).into());
    }
    if flags & RESERVED != 0 {
        return Err(Corrupt::ReservedFlags(flags).into());
    }
    header.skip_fields(flags)
}

/// Reads a trailer: the checksum and the length, modulo 2³².
pub(super) fn read_trailer<R: BufRead>(source: &mut Source<R>) -> Result<(u32, u32), Failure> {
    source.bits.align();
    Ok((source.take(32)?, source.take(32)?))
}

/// A header as far as it was read.
struct Header<'s, R> {
    source: &'s mut Source<R>,
    checksum: crc32fast::Hasher,
}

impl<R: BufRead> Header<'_, R> {
    fn read<const N: usize>(&mut self) -> Result<[u8; N], Failure> {
        let mut bytes = [0; N];
        for byte in &mut bytes {
            *byte = self.source.byte()?;
        }
        self.checksum.update(&bytes);
        Ok(bytes)
    }

    fn skip_fields(mut self, flags: u8) -> Result<(), Failure> {
        if flags & HAS_EXTRA != 0 {
            for _ in 0..u16::from_le_bytes(self.read()?) {
                self.read::<1>()?;
            }
        }
        if flags & HAS_NAME != 0 {
            self.skip_text()?;
        }
        if flags & HAS_COMMENT != 0 {
            self.skip_text()?;
        }
        if flags & HAS_CHECKSUM != 0 {
            let expected = self.checksum.clone().finalize() as u16;
            if u16::from_le_bytes(self.read()?) != expected {
                return Err(Corrupt::HeaderChecksum.into());
            }
        }
        Ok(())
    }

    /// Skips what ends with a zero.
    fn skip_text(&mut self) -> Result<(), Failure> {
        for _ in 0..=MAX_FIELD {
            if self.read()? == [0] {
                return Ok(());
            }
        }
        Err(Corrupt::LongField.into())
    }
}
