//! Deflate (RFC 1951) as a stream: blocks, one after another.

use std::io::BufRead;

use super::error::{Corrupt, Failure};
use super::fast::{self, Stop};
use super::lengths::{Lengths, MAX_HEADER};
use super::source::Source;

use super::tables::{Symbol, Tables};
use super::window::Window;

/// Decodes one stream of blocks after another.
pub(super) struct Inflater {
    tables: Box<Tables>,
    /// Whether the tables are those of blocks that bring none.
    fixed: bool,
    block: Block,
    /// Whether the current block is the last.
    last: bool,
}

/// Where in a stream of blocks we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    /// Before a block, or behind the last.
    Between,
    /// In a stored block, with as many bytes to come.
    Stored(usize),
    /// In a block of symbols.
    Symbols,
}

/// How far it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// The window has output to take first: it is full, or we would have to wait for input.
    Paused,
    /// The last block has ended.
    Finished,
}

/// Whether a block goes on.
enum Step {
    Goes,
    Pauses,
    Ends,
}

impl Inflater {
    pub(super) fn new() -> Inflater {
        Inflater {
            tables: Box::new(Tables::new()),
            fixed: false,
            block: Block::Between,
            last: false,
        }
    }

    /// Begins a stream.
    pub(super) fn restart(&mut self) {
        (self.block, self.last) = (Block::Between, false);
    }

    /// Decodes until the stream ends, the window is full, or there is output to take and we
    /// would have to wait for input.
    pub(super) fn run<R: BufRead>(
        &mut self,
        source: &mut Source<R>,
        window: &mut Window,
    ) -> Result<Progress, Failure> {
        loop {
            let step = match self.block {
                Block::Between if self.last => return Ok(Progress::Finished),
                Block::Between if window.has_pending() && !source.has(MAX_HEADER) => Step::Pauses,
                Block::Between => {
                    self.begin_block(source)?;
                    continue;
                }
                Block::Stored(left) => self.copy_stored(left, source, window)?,
                Block::Symbols => self.decode_symbols(source, window)?,
            };
            match step {
                Step::Goes => {}
                Step::Pauses => return Ok(Progress::Paused),
                Step::Ends => self.block = Block::Between,
            }
        }
    }

    fn begin_block<R: BufRead>(&mut self, source: &mut Source<R>) -> Result<(), Failure> {
        self.last = source.take(1)? == 1;
        self.block = match source.take(2)? {
            0 => Block::Stored(read_stored_length(source)?),
            1 => {
                self.load_fixed()?;
                Block::Symbols
            }
            2 => {
                self.fixed = false;
                let lengths = Lengths::read(source)?;
                self.tables.build(lengths.literals(), lengths.distances())?;
                Block::Symbols
            }
            _ => return Err(Corrupt::BlockType.into()),
        };
        Ok(())
    }

    fn load_fixed(&mut self) -> Result<(), Corrupt> {
        if !self.fixed {
            self.tables.build_fixed()?;
            self.fixed = true;
        }
        Ok(())
    }

    fn copy_stored<R: BufRead>(
        &mut self,
        left: usize,
        source: &mut Source<R>,
        window: &mut Window,
    ) -> Result<Step, Failure> {
        if left == 0 {
            return Ok(Step::Ends);
        }
        if window.is_full() || window.has_pending() && !source.has(1) {
            return Ok(Step::Pauses);
        }
        // Bytes that are among the bits already come first.
        if source.bits.count() != 0 || !source.has(1) {
            window.push(source.byte()?);
            self.block = Block::Stored(left - 1);
            return Ok(Step::Goes);
        }
        let copied = source.with_bytes(|_, bytes| {
            let copied = window.extend(&bytes[..bytes.len().min(left)]);
            (copied, copied)
        })?;
        self.block = Block::Stored(left - copied);
        Ok(Step::Goes)
    }

    fn decode_symbols<R: BufRead>(
        &mut self,
        source: &mut Source<R>,
        window: &mut Window,
    ) -> Result<Step, Failure> {
        let tables = &self.tables;
        let stop = source.with_bytes(|bits, bytes| fast::decode(tables, bits, bytes, window))??;
        if stop == Stop::EndOfBlock {
            return Ok(Step::Ends);
        }
        if window.is_full() {
            return Ok(Step::Pauses);
        }
        self.decode_symbol(source, window)
    }

    /// Decodes a symbol, waiting for its bits.
    fn decode_symbol<R: BufRead>(
        &mut self,
        source: &mut Source<R>,
        window: &mut Window,
    ) -> Result<Step, Failure> {
        source.top_up()?;
        let (symbol, bits) = loop {
            match self.tables.decode(source.bits)? {
                Some(decoded) => break decoded,
                None if window.has_pending() && !source.has_input() => return Ok(Step::Pauses),
                None => source.want_more()?,
            }
        };
        source.bits = bits;
        match symbol {
            Symbol::Literal(byte) => window.push(byte),
            Symbol::Match { length, distance } => window.repeat(length, distance)?,
            Symbol::EndOfBlock => return Ok(Step::Ends),
        }
        Ok(Step::Goes)
    }
}

fn read_stored_length<R: BufRead>(source: &mut Source<R>) -> Result<usize, Failure> {
    source.bits.align();
    let length = source.take(16)?;
    if source.take(16)? != !length & 0xffff {
        return Err(Corrupt::StoredLength.into());
    }
    Ok(length as usize)
}
