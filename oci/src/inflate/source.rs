//! Compressed data as it comes in.

use std::io::{self, BufRead, ErrorKind};

use super::bits::Bits;
use super::error::Failure;

/// Reads bits and bytes, and waits for input only when nothing can be done without.
pub(super) struct Source<R> {
    input: R,
    pub(super) bits: Bits,
    /// How many bytes `input` has at hand.
    at_hand: usize,
}

impl<R: BufRead> Source<R> {
    pub(super) fn new(input: R) -> Source<R> {
        Source { input, bits: Bits::default(), at_hand: 0 }
    }

    pub(super) fn input(&self) -> &R {
        &self.input
    }

    /// The bytes behind the bits that are there without waiting.
    fn at_hand(&mut self) -> io::Result<&[u8]> {
        if self.at_hand == 0 {
            return Ok(&[]);
        }
        let bytes = self.input.fill_buf()?;
        Ok(&bytes[..bytes.len().min(self.at_hand)])
    }

    fn consume(&mut self, count: usize) {
        self.input.consume(count);
        self.at_hand -= count.min(self.at_hand);
    }

    /// Waits until there are bytes behind the bits; `false` at the end of the input.
    fn wait(&mut self) -> io::Result<bool> {
        if self.at_hand == 0 {
            self.at_hand = loop {
                match self.input.fill_buf() {
                    Ok(bytes) => break bytes.len(),
                    Err(e) if e.kind() == ErrorKind::Interrupted => {}
                    Err(e) => return Err(e),
                }
            };
        }
        Ok(self.at_hand != 0)
    }

    /// Whether `count` bytes can be read without waiting.
    pub(super) fn has(&self, count: usize) -> bool {
        self.at_hand + self.bits.count() as usize / 8 >= count
    }

    /// Whether there are bytes behind the bits without waiting.
    pub(super) fn has_input(&self) -> bool {
        self.at_hand != 0
    }

    /// Whether there is nothing more to read.
    pub(super) fn at_end(&mut self) -> io::Result<bool> {
        Ok(!self.has(1) && !self.wait()?)
    }

    /// Takes as many bits as fit of those that are there without waiting.
    pub(super) fn top_up(&mut self) -> io::Result<()> {
        if self.at_hand != 0 {
            let bytes = self.input.fill_buf()?;
            let used = self.bits.fill(bytes);
            self.consume(used);
        }
        Ok(())
    }

    /// Waits for more bits than there are.
    pub(super) fn want_more(&mut self) -> Result<(), Failure> {
        if !self.wait()? {
            return Err(Failure::Truncated);
        }
        Ok(self.top_up()?)
    }

    /// Waits for `count` bits, at most 56.
    pub(super) fn want(&mut self, count: u32) -> Result<(), Failure> {
        while self.bits.count() < count {
            self.want_more()?;
        }
        Ok(())
    }

    /// Reads `count` bits, at most 32.
    pub(super) fn take(&mut self, count: u32) -> Result<u32, Failure> {
        self.want(count)?;
        let value = super::bits::low(self.bits.hold, count) as u32;
        self.bits.consume(count);
        Ok(value)
    }

    /// Reads a byte; the bits must be [aligned](Bits::align).
    pub(super) fn byte(&mut self) -> Result<u8, Failure> {
        Ok(self.take(8)? as u8)
    }

    /// Has `read` use bits and bytes that are there without waiting: it answers how many bytes.
    pub(super) fn with_bytes<T>(
        &mut self,
        read: impl FnOnce(&mut Bits, &[u8]) -> (usize, T),
    ) -> io::Result<T> {
        let mut bits = self.bits;
        let (used, result) = read(&mut bits, self.at_hand()?);
        self.bits = bits;
        self.consume(used);
        Ok(result)
    }
}
