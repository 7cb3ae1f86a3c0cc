//! Tables that decode Huffman codes.

/// The longest code of a symbol, in bits.
pub(super) const MAX_LENGTH: usize = 15;
/// The most symbols that a code has.
pub(super) const MAX_SYMBOLS: usize = 288;

/// Code lengths that make no code that a decoder takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InvalidCode;

/// What a code may leave undefined, by the judgement of zlib.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gaps {
    /// Nothing.
    None,
    /// A code may have a single symbol, of one bit, or none at all.
    OneSymbol,
}

/// What a table answers: 32 bits, laid out for the innermost loop.
///
/// | | bit 31 | 16–30 | 15 | 14 | 13 | 8–12 | 0–7 |
/// |---|---|---|---|---|---|---|---|
/// | literal | 1 | byte | 0 | | | | bits to drop |
/// | length, distance | 0* | base | 0 | | | bits of the code | bits to drop, the extra bits among them |
/// | subtable | 0* | its beginning | 1 | 1 | 0 | bits that index it | bits to drop |
/// | end of block | 0 | | 1 | 0 | 1 | | bits to drop |
/// | invalid | 0 | | 1 | 0 | 0 | | bits to drop |
///
/// * Distances have no literals; there, bit 31 belongs to the base.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Entry(pub(super) u32);

impl Entry {
    const LITERAL: u32 = 1 << 31;
    const EXCEPTION: u32 = 1 << 15;
    const SUBTABLE: u32 = 1 << 14;
    const END_OF_BLOCK: u32 = 1 << 13;

    pub(super) const fn literal(byte: u8) -> Entry {
        Entry(Entry::LITERAL | (byte as u32) << 16)
    }

    /// A length or distance that begins at `base`, `extra` bits of which follow the code.
    pub(super) const fn range(base: u16, extra: u32) -> Entry {
        Entry((base as u32) << 16 | extra)
    }

    pub(super) const fn end_of_block() -> Entry {
        Entry(Entry::EXCEPTION | Entry::END_OF_BLOCK)
    }

    pub(super) const fn invalid() -> Entry {
        Entry(Entry::EXCEPTION)
    }

    fn subtable(start: usize, index_bits: u32, table_bits: u32) -> Entry {
        let flags = Entry::EXCEPTION | Entry::SUBTABLE;
        Entry((start as u32) << 16 | flags | index_bits << 8 | table_bits)
    }

    /// The entry of a symbol whose code has `length` bits, or as many beyond the main table.
    const fn with_length(self, length: u32) -> Entry {
        Entry(self.0 + (length << 8) + length)
    }

    #[inline(always)]
    pub(super) fn is_literal(self) -> bool {
        self.0 & Entry::LITERAL != 0
    }

    #[inline(always)]
    pub(super) fn is_exception(self) -> bool {
        self.0 & Entry::EXCEPTION != 0
    }

    #[inline(always)]
    pub(super) fn is_subtable(self) -> bool {
        self.0 & Entry::SUBTABLE != 0
    }

    #[inline(always)]
    pub(super) fn is_end_of_block(self) -> bool {
        self.0 & Entry::END_OF_BLOCK != 0
    }

    /// The byte of a literal.
    #[inline(always)]
    pub(super) fn byte(self) -> u8 {
        (self.0 >> 16) as u8
    }

    /// How many bits to drop. Only the lowest byte counts, and only its six lowest bits are set.
    #[inline(always)]
    pub(super) fn bits(self) -> u32 {
        self.0
    }

    /// The value of a length or distance; `bits` begin with its code.
    #[inline(always)]
    pub(super) fn value(self, bits: u64) -> usize {
        let extra = super::bits::low(bits, self.0).wrapping_shr(self.0 >> 8);
        (self.0 >> 16) as usize + extra as usize
    }

    /// Where a subtable has the entry for `bits`, those of the main table dropped.
    #[inline(always)]
    pub(super) fn index_in_subtable(self, bits: u64) -> usize {
        (self.0 >> 16) as usize + super::bits::low(bits, (self.0 >> 8) & 0xf) as usize
    }
}

/// A table of `1 << BITS` entries, and subtables behind them for longer codes.
///
/// `SIZE` is a power of two, so that masked indices need no further check, and at least what
/// zlib's `enough` computes for the number of symbols, `BITS` and [`MAX_LENGTH`].
#[derive(Debug)]
pub(super) struct Table<const BITS: u32, const SIZE: usize>([Entry; SIZE]);

impl<const BITS: u32, const SIZE: usize> Table<BITS, SIZE> {
    const CHECKED: () = assert!(SIZE.is_power_of_two() && SIZE >= 1 << BITS);

    pub(super) const fn new() -> Self {
        const { Self::CHECKED };
        Table([Entry(0); SIZE])
    }

    /// The entry of the main table for `bits`.
    #[inline(always)]
    pub(super) fn get(&self, bits: u64) -> Entry {
        self.0[bits as usize & ((1 << BITS) - 1)]
    }

    /// The entry of a subtable for `bits`, those of the main table dropped.
    #[inline(always)]
    pub(super) fn get_in(&self, pointer: Entry, bits: u64) -> Entry {
        self.0[pointer.index_in_subtable(bits) & (SIZE - 1)]
    }

    /// Makes the table of the canonical code with these lengths; `symbols` are its entries
    /// without lengths.
    pub(super) fn build(
        &mut self,
        lengths: &[u8],
        symbols: &[Entry],
        gaps: Gaps,
    ) -> Result<(), InvalidCode> {
        let code = Code::new(lengths)?;
        if code.is_complete() {
            self.fill(&code, symbols);
            return Ok(());
        }
        if gaps == Gaps::None || code.longest > 1 {
            return Err(InvalidCode);
        }
        // At most the code `0` is there.
        self.0[..1 << BITS].fill(Entry::invalid().with_length(1));
        if let Some(symbol) = code.symbols().next() {
            let entry = entry_of(symbols, symbol).with_length(1);
            self.0[..1 << BITS].iter_mut().step_by(2).for_each(|place| *place = entry);
        }
        Ok(())
    }

    /// Fills the main table by doubling it for every bit of length: `end` is its length so far.
    fn fill(&mut self, code: &Code, symbols: &[Entry]) {
        let mut sorted = code.symbols();
        let mut word = Codeword(0);
        let mut end = 1;
        for length in 1..=BITS {
            self.0.copy_within(..end, end);
            end *= 2;
            for symbol in sorted.by_ref().take(code.count(length)) {
                self.0[word.0 & (SIZE - 1)] = entry_of(symbols, symbol).with_length(length);
                word.advance(length);
            }
        }
        if code.longest > BITS {
            self.fill_subtables(code, symbols, sorted, word);
        }
    }

    fn fill_subtables(
        &mut self,
        code: &Code,
        symbols: &[Entry],
        mut sorted: impl Iterator<Item = u16>,
        mut word: Codeword,
    ) {
        let (mut prefix, mut start, mut end) = (usize::MAX, 0, 1 << BITS);
        for length in BITS + 1..=code.longest {
            let own_bits = length - BITS;
            let mut left = code.count(length);
            for symbol in sorted.by_ref().take(left) {
                if word.prefix(BITS) != prefix {
                    prefix = word.prefix(BITS);
                    start = end;
                    let index_bits = code.subtable_bits(length, left, BITS);
                    end = start + (1 << index_bits);
                    self.0[prefix & (SIZE - 1)] = Entry::subtable(start, index_bits, BITS);
                }
                let entry = entry_of(symbols, symbol).with_length(own_bits);
                for index in (start + (word.0 >> BITS)..end).step_by(1 << own_bits) {
                    self.0[index & (SIZE - 1)] = entry;
                }
                word.advance(length);
                left -= 1;
            }
        }
    }
}

fn entry_of(symbols: &[Entry], symbol: u16) -> Entry {
    symbols.get(usize::from(symbol)).copied().unwrap_or(Entry::invalid())
}

/// A code, its first bit in the lowest place as it is in the input.
struct Codeword(usize);

impl Codeword {
    /// The next code of this length. Appended zeros make no difference.
    fn advance(&mut self, length: u32) {
        let zeros = !self.0 & ((1 << length) - 1);
        // After the last one comes nothing.
        let Some(highest) = zeros.checked_ilog2() else { return };
        self.0 = self.0 & ((1 << highest) - 1) | 1 << highest;
    }

    fn prefix(&self, bits: u32) -> usize {
        self.0 & ((1 << bits) - 1)
    }
}

/// The lengths of a canonical code, counted, and its symbols in the order of their codes.
struct Code {
    counts: [u16; MAX_LENGTH + 1],
    sorted: [u16; MAX_SYMBOLS],
    used: usize,
    longest: u32,
}

impl Code {
    /// Counts and sorts; refuses more codes than there is room for.
    fn new(lengths: &[u8]) -> Result<Code, InvalidCode> {
        let mut counts = [0u16; MAX_LENGTH + 1];
        for length in lengths {
            counts[usize::from(length & 15)] += 1;
        }
        let longest = (1..=MAX_LENGTH).rev().find(|length| counts[*length] != 0).unwrap_or(0);
        let mut code = Code { counts, sorted: [0; MAX_SYMBOLS], used: 0, longest: longest as u32 };
        if code.room().is_none() {
            return Err(InvalidCode);
        }
        code.sort(lengths);
        Ok(code)
    }

    fn sort(&mut self, lengths: &[u8]) {
        let mut next = [0usize; MAX_LENGTH + 1];
        for (place, count) in next.iter_mut().zip(self.counts).skip(1) {
            *place = self.used;
            self.used += usize::from(count);
        }
        for (symbol, length) in lengths.iter().enumerate().filter(|(_, length)| **length != 0) {
            let place = &mut next[usize::from(length & 15)];
            if let Some(sorted) = self.sorted.get_mut(*place) {
                *sorted = symbol as u16;
            }
            *place += 1;
        }
    }

    /// How many codes of the greatest length could still be made; `None` if there are too many.
    fn room(&self) -> Option<u32> {
        self.counts[1..]
            .iter()
            .try_fold(1u32, |room, count| (room << 1).checked_sub(u32::from(*count)))
    }

    fn is_complete(&self) -> bool {
        self.room() == Some(0)
    }

    fn count(&self, length: u32) -> usize {
        self.counts[length as usize & 15].into()
    }

    fn symbols(&self) -> impl Iterator<Item = u16> {
        self.sorted.iter().copied().take(self.used)
    }

    /// How many bits index the subtable that begins with a code of `length` bits, when `left`
    /// such codes are to come: so many that it is full in the end.
    fn subtable_bits(&self, length: u32, left: usize, table_bits: u32) -> u32 {
        let mut bits = length - table_bits;
        let mut filled = left;
        while filled < 1 << bits && table_bits + bits < self.longest {
            bits += 1;
            filled = filled * 2 + self.count(table_bits + bits);
        }
        bits
    }
}
