//! Sparse files: which pieces of them an archive holds.

use super::pax::MAX_PIECES;
use super::{Malformed, header};

/// A run of bytes that the archive holds, at its place in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Where it begins in the file, in bytes.
    pub(crate) offset: u64,
    /// How long it is, in bytes.
    pub(crate) length: u64,
}

/// A sparse file's pieces, in order and inside the file, and the file's length with its holes.
#[derive(Debug, Clone)]
pub(crate) struct Sparse {
    /// The pieces; their lengths add up to what the archive holds.
    pub(crate) pieces: Vec<Piece>,
    /// The length of the file, in bytes.
    pub(crate) real_size: u64,
}

impl Sparse {
    /// Checks that the pieces are in order, inside the file, and `stored` bytes together.
    pub(super) fn new(
        pieces: Vec<Piece>,
        real_size: u64,
        stored: u64,
    ) -> Result<Sparse, Malformed> {
        let (mut end, mut sum) = (0_u64, 0_u64);
        for piece in &pieces {
            if piece.offset < end {
                return Err(Malformed::SparseMap);
            }
            end = piece.offset.checked_add(piece.length).ok_or(Malformed::SparseMap)?;
            sum += piece.length;
        }
        if end > real_size || sum != stored || i64::try_from(real_size).is_err() {
            return Err(Malformed::SparseMap);
        }
        Ok(Sparse { pieces, real_size })
    }
}

/// Adds the pieces of an old GNU sparse map: pairs of 12-byte numbers, ended by an empty one.
pub(super) fn take_old_gnu(pieces: &mut Vec<Piece>, map: &[u8]) -> Result<(), Malformed> {
    for pair in map.chunks_exact(24) {
        if pair[0] == 0 || pair[12] == 0 {
            break;
        }
        let part = |field| u64::try_from(header::number(field)?).map_err(|_| Malformed::SparseMap);
        if pieces.len() >= MAX_PIECES {
            return Err(Malformed::SparseMap);
        }
        pieces.push(Piece { offset: part(&pair[..12])?, length: part(&pair[12..])? });
    }
    Ok(())
}

/// Reads the map that PAX sparse format 1.0 puts before the data: decimal numbers, one a line,
/// first how many pieces there are.
#[derive(Default)]
pub(super) struct MapReader {
    line: Vec<u8>,
    count: Option<usize>,
    offset: Option<u64>,
    pieces: Vec<Piece>,
}

impl MapReader {
    /// Takes one block of the map; gives the pieces when this was its last block.
    pub(super) fn take(&mut self, block: &[u8]) -> Result<Option<Vec<Piece>>, Malformed> {
        for byte in block {
            if *byte != b'\n' {
                if self.line.len() >= 20 {
                    return Err(Malformed::SparseMap);
                }
                self.line.push(*byte);
                continue;
            }
            let number = super::pax::unsigned(&self.line).map_err(|_| Malformed::SparseMap)?;
            self.line.clear();
            match (self.count, self.offset.take()) {
                (None, _) => {
                    let count = usize::try_from(number).map_err(|_| Malformed::SparseMap)?;
                    if count > MAX_PIECES {
                        return Err(Malformed::SparseMap);
                    }
                    self.count = Some(count);
                }
                (Some(_), None) => self.offset = Some(number),
                (Some(_), Some(offset)) => self.pieces.push(Piece { offset, length: number }),
            }
            // The rest of the block is padding.
            if self.count == Some(self.pieces.len()) {
                return Ok(Some(std::mem::take(&mut self.pieces)));
            }
        }
        Ok(None)
    }
}
