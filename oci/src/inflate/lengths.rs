//! The code lengths at the beginning of a dynamic block.

use std::io::BufRead;

use super::error::{Corrupt, Failure};
use super::huffman::{Entry, Gaps, Table};
use super::source::Source;

/// The order in which the lengths of the code of lengths come.
const ORDER: [u8; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
/// The most bytes that the beginning of a block has: 3 + 14 bits, 19 lengths of 3 bits, and
/// 316 of at most 14.
pub(super) const MAX_HEADER: usize = (3 + 14 + 19 * 3 + 316 * 14) / 8 + 1;

static SYMBOLS: [Entry; 19] = {
    let mut entries = [Entry::invalid(); 19];
    let mut symbol = 0;
    while symbol < 19 {
        entries[symbol] = Entry::range(symbol as u16, 0);
        symbol += 1;
    }
    entries
};

/// The lengths of the codes of a block.
pub(super) struct Lengths {
    all: [u8; 286 + 30],
    literals: usize,
    count: usize,
}

impl Lengths {
    /// Reads them.
    pub(super) fn read<R: BufRead>(source: &mut Source<R>) -> Result<Lengths, Failure> {
        let literals = source.take(5)? as usize + 257;
        let distances = source.take(5)? as usize + 1;
        if literals > 286 || distances > 30 {
            return Err(Corrupt::TooManySymbols.into());
        }
        let table = read_code_of_lengths(source)?;
        let mut lengths = Lengths { all: [0; 316], literals, count: 0 };
        while lengths.count < literals + distances {
            lengths.read_some(source, &table, literals + distances)?;
        }
        if lengths.literals()[256] == 0 {
            return Err(Corrupt::NoEndOfBlock.into());
        }
        Ok(lengths)
    }

    /// Those of literals and lengths.
    pub(super) fn literals(&self) -> &[u8] {
        &self.all[..self.literals]
    }

    /// Those of distances.
    pub(super) fn distances(&self) -> &[u8] {
        &self.all[self.literals..self.count]
    }

    /// Reads one, or several that are alike.
    fn read_some<R: BufRead>(
        &mut self,
        source: &mut Source<R>,
        table: &Table<7, 128>,
        end: usize,
    ) -> Result<(), Failure> {
        let symbol = read_symbol(source, table)?;
        let (length, times) = match symbol {
            ..16 => (symbol, 1),
            16 => {
                let before = self.count.checked_sub(1).ok_or(Corrupt::Repetition)?;
                (self.all[before], 3 + source.take(2)?)
            }
            17 => (0, 3 + source.take(3)?),
            _ => (0, 11 + source.take(7)?),
        };
        let next = self.count + times as usize;
        let places = self.all[..end].get_mut(self.count..next).ok_or(Corrupt::Repetition)?;
        places.fill(length);
        self.count = next;
        Ok(())
    }
}

fn read_code_of_lengths<R: BufRead>(source: &mut Source<R>) -> Result<Table<7, 128>, Failure> {
    let count = source.take(4)? as usize + 4;
    let mut lengths = [0; 19];
    for symbol in ORDER.iter().take(count) {
        lengths[usize::from(*symbol)] = source.take(3)? as u8;
    }
    let mut table = Table::new();
    table.build(&lengths, &SYMBOLS, Gaps::None).map_err(|_| Corrupt::CodeLengths)?;
    Ok(table)
}

fn read_symbol<R: BufRead>(source: &mut Source<R>, table: &Table<7, 128>) -> Result<u8, Failure> {
    loop {
        let entry = table.get(source.bits.hold);
        let used = entry.bits() & 0xff;
        if used <= source.bits.count() {
            source.bits.consume(used);
            return Ok(entry.byte());
        }
        source.want_more()?;
    }
}
