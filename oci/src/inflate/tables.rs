//! The two tables of a block, and the symbols that they decode.

use super::bits::Bits;
use super::error::Corrupt;
use super::huffman::{Entry, Gaps, Table};

/// Bits that index the main table of literals and lengths.
pub(super) const LITERAL_BITS: u32 = 11;
/// Bits that index the main table of distances.
pub(super) const DISTANCE_BITS: u32 = 8;

/// The longest match.
pub(super) const MAX_MATCH: usize = 258;

/// `enough 288 11 15` is 2342.
pub(super) type LiteralTable = Table<LITERAL_BITS, 4096>;
/// `enough 32 8 15` is 402.
pub(super) type DistanceTable = Table<DISTANCE_BITS, 512>;

/// What decodes a block's symbols.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) literals: LiteralTable,
    pub(super) distances: DistanceTable,
}

/// A piece of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Symbol {
    /// A byte as it is.
    Literal(u8),
    /// Bytes that were there before.
    Match {
        /// How many.
        length: usize,
        /// How far back.
        distance: usize,
    },
    /// The end of the block.
    EndOfBlock,
}

impl Tables {
    pub(super) const fn new() -> Tables {
        Tables { literals: Table::new(), distances: Table::new() }
    }

    /// Makes the tables of codes with these lengths.
    pub(super) fn build(&mut self, literals: &[u8], distances: &[u8]) -> Result<(), Corrupt> {
        self.literals.build(literals, &LITERALS, Gaps::OneSymbol).map_err(|_| Corrupt::Literals)?;
        self.distances.build(distances, &DISTANCES, Gaps::OneSymbol).map_err(|_| Corrupt::Distances)
    }

    /// Makes the tables of blocks that bring none.
    pub(super) fn build_fixed(&mut self) -> Result<(), Corrupt> {
        let mut lengths = [8; 288];
        lengths[144..256].fill(9);
        lengths[256..280].fill(7);
        self.build(&lengths, &[5; 32])
    }

    /// The symbol that `bits` begin with and the bits behind it; `None` if they end within it.
    pub(super) fn decode(&self, bits: Bits) -> Result<Option<(Symbol, Bits)>, Corrupt> {
        let Some((entry, value, bits)) = lookup(&self.literals, bits) else { return Ok(None) };
        if entry.is_literal() {
            return Ok(Some((Symbol::Literal(entry.byte()), bits)));
        }
        if entry.is_end_of_block() {
            return Ok(Some((Symbol::EndOfBlock, bits)));
        }
        if entry.is_exception() {
            return Err(Corrupt::LiteralCode);
        }
        let length = value;
        let Some((entry, distance, bits)) = lookup(&self.distances, bits) else { return Ok(None) };
        if entry.is_exception() {
            return Err(Corrupt::DistanceCode);
        }
        Ok(Some((Symbol::Match { length, distance }, bits)))
    }
}

/// The entry of the code that `bits` begin with, its value and the bits behind it.
fn lookup<const BITS: u32, const SIZE: usize>(
    table: &Table<BITS, SIZE>,
    mut bits: Bits,
) -> Option<(Entry, usize, Bits)> {
    let mut entry = table.get(bits.hold);
    if entry.is_exception() && entry.is_subtable() {
        if bits.count() < BITS {
            return None;
        }
        bits.consume(BITS);
        entry = table.get_in(entry, bits.hold);
    }
    let used = entry.bits() & 0xff;
    if bits.count() < used {
        return None;
    }
    let value = entry.value(bits.hold);
    bits.consume(used);
    Some((entry, value, bits))
}

const LENGTH_BASES: [(u16, u32); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];

/// What literals and lengths mean; two of them mean nothing.
static LITERALS: [Entry; 288] = {
    let mut entries = [Entry::invalid(); 288];
    let mut byte = 0;
    while byte < 256 {
        entries[byte] = Entry::literal(byte as u8);
        byte += 1;
    }
    entries[256] = Entry::end_of_block();
    let mut index = 0;
    while index < LENGTH_BASES.len() {
        let (base, extra) = LENGTH_BASES[index];
        entries[257 + index] = Entry::range(base, extra);
        index += 1;
    }
    entries
};

/// What distances mean; two of them mean nothing.
static DISTANCES: [Entry; 32] = {
    let mut entries = [Entry::invalid(); 32];
    let (mut index, mut base) = (0, 1);
    while index < 30 {
        let extra = if index < 2 { 0 } else { index as u32 / 2 - 1 };
        entries[index] = Entry::range(base, extra);
        base += 1 << extra;
        index += 1;
    }
    entries
};
