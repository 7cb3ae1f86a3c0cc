//! The innermost loop: symbols, as long as there is plenty of input and room.

use super::bits::Bits;
use super::copy::copy_match;
use super::error::Corrupt;
use super::huffman::Entry;
use super::tables::{DISTANCE_BITS, LITERAL_BITS, Tables};
use super::window::{Buffer, Window};

/// As many bytes of input must be there. A round refills twice, each time by up to seven bytes
/// and looking at eight.
pub(super) const MARGIN: usize = 32;

/// Why the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The block has ended.
    EndOfBlock,
    /// Input or room is getting short.
    Short,
}

/// Decodes symbols of a block; answers with the number of bytes that were taken from `input`.
#[inline(always)]
pub(super) fn decode(
    tables: &Tables,
    bits: &mut Bits,
    input: &[u8],
    window: &mut Window,
) -> (usize, Result<Stop, Corrupt>) {
    let (end, floor) = (window.end, window.floor);
    let mut run = Run { tables, bits: *bits, rest: input, end, floor };
    let stop = run.run(&mut window.buffer);
    run.bits.settle();
    *bits = run.bits;
    window.end = run.end;
    (input.len() - run.rest.len(), stop)
}

/// Whether so many bits can be used and then so many looked at without a refill in between: a
/// refill makes 56 bits sure and puts those above them in place, too.
const fn lasts(used: u32, looked_at: u32) -> bool {
    used <= Bits::REFILLED && used + looked_at <= 64
}

const LENGTH_MAX: u32 = 15 + 5;
const DISTANCE_MAX: u32 = 15 + 13;
/// A distance whose code is in the main table.
const NEAR_DISTANCE_MAX: u32 = DISTANCE_BITS + 13;

// After two literals of the main table, a length and a look at its distance, or any literal and
// a look at what follows.
const _: () = assert!(lasts(2 * LITERAL_BITS + LENGTH_MAX, DISTANCE_BITS));
const _: () = assert!(lasts(2 * LITERAL_BITS + 15, LITERAL_BITS));

/// The state of the loop, where the compiler keeps it in registers.
struct Run<'a> {
    tables: &'a Tables,
    bits: Bits,
    rest: &'a [u8],
    end: usize,
    floor: usize,
}

/// What is left of a round's input.
#[derive(Clone, Copy)]
struct Chunk<'a> {
    bytes: &'a [u8; MARGIN],
    used: usize,
}

impl<'a> Run<'a> {
    /// Each round decodes three literals, or up to two and a match. The entry that the next one
    /// begins with is looked up before a match is copied, so that neither waits for the other.
    #[inline(always)]
    fn run(&mut self, buffer: &mut Buffer) -> Result<Stop, Corrupt> {
        let Some(chunk) = self.chunk() else { return Ok(Stop::Short) };
        self.refill_and_go_on(chunk);
        let mut entry = self.look_up();
        while self.end < Window::FULL {
            let Some(mut chunk) = self.chunk() else { break };
            let mut before = self.consume(entry);
            if entry.is_literal() {
                entry = self.push(buffer, entry);
                before = self.consume(entry);
                if entry.is_literal() {
                    entry = self.push(buffer, entry);
                    before = self.consume(entry);
                    if entry.is_literal() {
                        entry = self.push(buffer, entry);
                        self.refill_and_go_on(chunk);
                        continue;
                    }
                }
            }
            if entry.is_exception() {
                if entry.is_subtable() {
                    entry = self.tables.literals.get_in(entry, self.bits.hold);
                    before = self.consume(entry);
                }
                if entry.is_literal() {
                    entry = self.push(buffer, entry);
                    self.refill_and_go_on(chunk);
                    continue;
                }
                if entry.is_end_of_block() {
                    return Ok(Stop::EndOfBlock);
                }
                if entry.is_exception() {
                    return Err(Corrupt::LiteralCode);
                }
            }
            let length = entry.value(before);
            let distance = self.distance(&mut chunk)?;
            let (from, to) = self.place(length, distance)?;
            entry = self.look_up();
            self.refill_and_go_on(chunk);
            copy_match(buffer, from, to, length);
        }
        Ok(Stop::Short)
    }

    #[inline(always)]
    fn chunk(&self) -> Option<Chunk<'a>> {
        Some(Chunk { bytes: self.rest.first_chunk()?, used: 0 })
    }

    #[inline(always)]
    fn refill(&mut self, chunk: &mut Chunk<'_>) {
        let word = chunk.bytes[chunk.used..].first_chunk().copied();
        chunk.used += self.bits.refill(word.unwrap_or_default());
    }

    /// Refills at the end of a round.
    #[inline(always)]
    fn refill_and_go_on(&mut self, mut chunk: Chunk<'_>) {
        self.refill(&mut chunk);
        self.rest = &self.rest[chunk.used..];
    }

    #[inline(always)]
    fn look_up(&self) -> Entry {
        self.tables.literals.get(self.bits.hold)
    }

    /// Drops the bits of an entry; answers with those that were there before.
    #[inline(always)]
    fn consume(&mut self, entry: Entry) -> u64 {
        let before = self.bits.hold;
        self.bits.hold = before.wrapping_shr(entry.bits());
        self.bits.count = self.bits.count.wrapping_sub(entry.bits());
        before
    }

    /// Appends a literal; answers with the entry that follows.
    #[inline(always)]
    fn push(&mut self, buffer: &mut Buffer, entry: Entry) -> Entry {
        let next = self.look_up();
        if let Some(place) = buffer.get_mut(self.end) {
            *place = entry.byte();
        }
        self.end += 1;
        next
    }

    #[inline(always)]
    fn distance(&mut self, chunk: &mut Chunk<'_>) -> Result<usize, Corrupt> {
        let mut entry = self.tables.distances.get(self.bits.hold);
        // One of the bits that the next round looks at is there uncounted.
        if entry.is_exception() {
            if self.bits.count() < DISTANCE_MAX + LITERAL_BITS - 1 {
                self.refill(chunk);
            }
            if entry.is_subtable() {
                self.consume(entry);
                entry = self.tables.distances.get_in(entry, self.bits.hold);
            }
            if entry.is_exception() {
                return Err(Corrupt::DistanceCode);
            }
        } else if self.bits.count() < NEAR_DISTANCE_MAX + LITERAL_BITS - 1 {
            self.refill(chunk);
        }
        let before = self.consume(entry);
        Ok(entry.value(before))
    }

    /// Makes room for a match; answers where it comes from and where it goes.
    #[inline(always)]
    fn place(&mut self, length: usize, distance: usize) -> Result<(usize, usize), Corrupt> {
        let to = self.end;
        match to.checked_sub(distance) {
            Some(from) if from >= self.floor => {
                self.end += length;
                Ok((from, to))
            }
            _ => Err(Corrupt::TooFarBack),
        }
    }
}
