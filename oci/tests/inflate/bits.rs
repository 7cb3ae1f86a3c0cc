//! Streams that are written bit by bit.

use std::borrow::Borrow;
use std::io::ErrorKind;

use oci::inflate::Corrupt;

use crate::verdict::agrees_with_zlib;

/// Bits as deflate has them.
#[derive(Clone, Default)]
pub(crate) struct Bits {
    pub(crate) bytes: Vec<u8>,
    count: usize,
}

impl Bits {
    pub(crate) fn put(mut self, value: u32, count: usize) -> Bits {
        for bit in 0..count {
            if self.count.is_multiple_of(8) {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().unwrap() |= (((value >> bit) & 1) as u8) << (self.count % 8);
            self.count += 1;
        }
        self
    }

    /// A Huffman code, whose first bit is its highest.
    pub(crate) fn code(self, code: u32, count: usize) -> Bits {
        self.put(code.reverse_bits() >> (32 - count), count)
    }

    pub(crate) fn align(mut self) -> Bits {
        self.count = self.bytes.len() * 8;
        self
    }

    /// The beginning of a dynamic block that is the last: its code lengths, each for itself.
    pub(crate) fn dynamic(self, literals: &[u8], distances: &[u8]) -> Bits {
        let mut bits = self
            .put(0b101, 3)
            .put(literals.len() as u32 - 257, 5)
            .put(distances.len() as u32 - 1, 5)
            .put(19 - 4, 4);
        // Sixteen lengths of four bits.
        for symbol in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15] {
            bits = bits.put(if symbol < 16 { 4 } else { 0 }, 3);
        }
        for length in literals.iter().chain(distances) {
            bits = bits.code((*length).into(), 4);
        }
        bits
    }

    /// A gzip member of these bits and the trailer of `output`.
    pub(crate) fn member(self, output: &[u8]) -> Vec<u8> {
        let mut data = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
        data.extend(self.bytes);
        data.extend(crc32fast::hash(output).to_le_bytes());
        data.extend((output.len() as u32).to_le_bytes());
        data
    }
}

/// Lengths of a code, all 0 but for these.
pub(crate) fn lengths(count: usize, given: &[(usize, u8)]) -> Vec<u8> {
    let mut lengths = vec![0; count];
    for (symbol, length) in given {
        lengths[*symbol] = *length;
    }
    lengths
}

#[track_caller]
pub(crate) fn is_refused(bits: impl Borrow<Bits>, why: Corrupt) {
    // Enough behind it for the fast loop, and none.
    for padding in [0, 100] {
        let mut data = bits.borrow().clone().member(b"");
        data.extend(vec![0; padding]);
        let (_, error) = agrees_with_zlib(&data);
        let error = error.unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<Corrupt>());
        assert_eq!(cause, Some(&why));
    }
}

#[track_caller]
pub(crate) fn is_read(bits: impl Borrow<Bits>, expected: &[u8]) {
    for members in [1, 20] {
        let data = bits.borrow().clone().member(expected).repeat(members);
        let (output, error) = agrees_with_zlib(&data);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(output, expected.repeat(members));
    }
}
