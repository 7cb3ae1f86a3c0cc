//! Bits that have been taken from the input and not been used.

/// Up to 63 bits, the next in the lowest place.
///
/// Places above `count` may already hold the bits that come next in the input, as far as those
/// are sure to be put there again; otherwise they are zero.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bits {
    pub(super) hold: u64,
    /// How many of them are there. Only the lowest byte counts: table entries are taken from it
    /// as they are, which saves masking them in the innermost loop.
    pub(super) count: u32,
}

impl Bits {
    /// After a refill there are at least as many.
    pub(super) const REFILLED: u32 = 56;

    pub(super) fn count(self) -> u32 {
        self.count & 0xff
    }

    /// Drops `count` bits, which must be there.
    pub(super) fn consume(&mut self, count: u32) {
        self.hold = self.hold.wrapping_shr(count);
        self.count = self.count().wrapping_sub(count);
    }

    /// Drops bits up to the next border between bytes of the input.
    pub(super) fn align(&mut self) {
        self.consume(self.count() & 7);
    }

    /// Takes whole bytes from `input` until there is no place for more; answers how many.
    pub(super) fn fill(&mut self, input: &[u8]) -> usize {
        let mut count = self.count();
        let mut used = 0;
        for byte in input {
            if count >= Bits::REFILLED {
                break;
            }
            self.hold |= u64::from(*byte) << count;
            count += 8;
            used += 1;
        }
        self.count = count;
        used
    }

    /// Takes what fits of the eight bytes of `word`, and answers how many bytes that is.
    #[inline(always)]
    pub(super) fn refill(&mut self, word: [u8; 8]) -> usize {
        self.hold |= u64::from_le_bytes(word).wrapping_shl(self.count);
        let used = 7 - ((self.count >> 3) & 7);
        self.count |= 56;
        used as usize
    }

    /// Forgets what is in the places above `count`.
    pub(super) fn settle(&mut self) {
        self.count = self.count();
        self.hold = low(self.hold, self.count);
    }
}

/// The lowest `count` bits of `bits`; `count` is taken modulo 64.
#[inline(always)]
pub(super) fn low(bits: u64, count: u32) -> u64 {
    bits & !u64::MAX.wrapping_shl(count)
}
