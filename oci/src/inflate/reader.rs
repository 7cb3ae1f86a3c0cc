//! A reader of gzip streams.

use std::io::{self, BufRead, Read};

use super::deflate::{Inflater, Progress};
use super::error::{Corrupt, Failure};
use super::header::{read_header, read_trailer};
use super::source::Source;
use super::window::Window;

/// Reads what was compressed by gzip, all members one after another.
///
/// What follows the last member and is no further one ends in an error, and so does an input
/// without any member. Checksums and lengths are verified. Everything that was decoded before
/// something is found to be wrong is read first; after that, every read fails.
///
/// It hands out what it has before it waits for more input, and waits for no byte that it does
/// not need. An input that fails, other than by being interrupted, is not read again. Memory is
/// the same whatever comes: less than 200 KiB.
///
/// [`BufRead`] saves a copy of the output.
pub struct GzipReader<R> {
    source: Source<R>,
    window: Window,
    inflater: Inflater,
    member: Member,
    stage: Stage,
    failure: Option<Failure>,
}

/// Where in a stream of members we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Before the first member.
    Start,
    /// In the blocks of a member.
    Blocks,
    /// Behind the last block of a member.
    Trailer,
    /// Behind a member, where there may be another.
    Between,
    /// At the end of the input.
    End,
}

/// What is known about the output of a member.
#[derive(Default)]
struct Member {
    checksum: crc32fast::Hasher,
    length: u32,
}

impl<R: BufRead> GzipReader<R> {
    /// Reads from `input`, which is best buffered by 32 KiB or more.
    pub fn new(input: R) -> GzipReader<R> {
        GzipReader {
            source: Source::new(input),
            window: Window::new(),
            inflater: Inflater::new(),
            member: Member::default(),
            stage: Stage::Start,
            failure: None,
        }
    }

    /// The input. How much of it is taken depends on its buffer.
    pub fn get_ref(&self) -> &R {
        self.source.input()
    }

    /// Decodes until there is output, or the end.
    fn advance(&mut self) -> Result<(), Failure> {
        while !self.window.has_pending() {
            match self.stage {
                Stage::Blocks => self.decode()?,
                Stage::Trailer => self.end_member()?,
                Stage::Between if self.source.at_end()? => self.stage = Stage::End,
                Stage::Start | Stage::Between => self.begin_member()?,
                Stage::End => break,
            }
        }
        Ok(())
    }

    fn begin_member(&mut self) -> Result<(), Failure> {
        read_header(&mut self.source)?;
        self.window.begin_member();
        self.inflater.restart();
        self.member = Member::default();
        self.stage = Stage::Blocks;
        Ok(())
    }

    fn decode(&mut self) -> Result<(), Failure> {
        self.window.make_room();
        let start = self.window.end;
        let progress = self.inflater.run(&mut self.source, &mut self.window);
        self.member.add(self.window.since(start));
        if progress? == Progress::Finished {
            self.stage = Stage::Trailer;
        }
        Ok(())
    }

    fn end_member(&mut self) -> Result<(), Failure> {
        let (checksum, length) = read_trailer(&mut self.source)?;
        self.member.check(checksum, length)?;
        self.stage = Stage::Between;
        Ok(())
    }
}

impl Member {
    fn add(&mut self, output: &[u8]) {
        self.checksum.update(output);
        self.length = self.length.wrapping_add(output.len() as u32);
    }

    fn check(&self, checksum: u32, length: u32) -> Result<(), Corrupt> {
        if self.checksum.clone().finalize() != checksum {
            return Err(Corrupt::Checksum);
        }
        if self.length != length {
            return Err(Corrupt::Length);
        }
        Ok(())
    }
}

impl<R: BufRead> BufRead for GzipReader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if !self.window.has_pending() && self.failure.is_none() {
            self.failure = self.advance().err();
        }
        if !self.window.has_pending()
            && let Some(failure) = &mut self.failure
        {
            let again = failure.again();
            return Err(std::mem::replace(failure, again).into());
        }
        Ok(self.window.pending())
    }

    fn consume(&mut self, count: usize) {
        self.window.take(count);
    }
}

impl<R: BufRead> Read for GzipReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut output = self.fill_buf()?;
        let count = output.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}
