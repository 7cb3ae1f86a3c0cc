//! Copies of matches, in pieces that may reach beyond their ends.

use super::window::Buffer;

/// Copies `length` bytes from `from` to `to`, which may overlap, and possibly up to 31 bytes of
/// anything behind them. For those there must be room.
#[inline(always)]
pub(super) fn copy_match(buffer: &mut Buffer, from: usize, to: usize, length: usize) {
    let end = to + length;
    match to - from {
        16.. => copy_far(buffer, from, to, end),
        8.. => copy_pieces::<8>(buffer, from, to, end),
        distance => repeat(buffer, from, to, end, distance),
    }
}

/// Copies 32 bytes at a time, half by half, as `from` and `to` are at least 16 apart.
///
/// In this very form the compiler checks bounds once a turn: those of the slice from one place
/// to 32 bytes behind the other.
#[inline(always)]
fn copy_far(buffer: &mut Buffer, mut from: usize, mut to: usize, end: usize) {
    loop {
        let distance = to.wrapping_sub(from);
        let Some(area) = buffer.get_mut(from..to.wrapping_add(32)) else { return };
        let Some(piece) = area.first_chunk::<16>().copied() else { return };
        let Some(place) = area.get_mut(distance..distance.wrapping_add(16)) else { return };
        place.copy_from_slice(&piece);
        let Some(piece) = area.get(16..32).and_then(|p| p.first_chunk::<16>()).copied() else {
            return;
        };
        let Some(place) = area.get_mut(distance.wrapping_add(16)..distance.wrapping_add(32)) else {
            return;
        };
        place.copy_from_slice(&piece);
        (from, to) = (from.wrapping_add(32), to.wrapping_add(32));
        if to >= end {
            return;
        }
    }
}

/// Copies pieces of `N` bytes; `from` and `to` are at least as far apart.
#[inline(always)]
fn copy_pieces<const N: usize>(buffer: &mut Buffer, mut from: usize, mut to: usize, end: usize) {
    loop {
        let Some(piece) = load::<N>(buffer, from) else { return };
        store(buffer, to, piece);
        (from, to) = (from + N, to + N);
        if to >= end {
            return;
        }
    }
}

/// Fills with the up to seven bytes between `from` and `to`, over and over.
#[inline(always)]
fn repeat(buffer: &mut Buffer, from: usize, mut to: usize, end: usize, distance: usize) {
    let Some(bytes) = load::<8>(buffer, from) else { return };
    if distance == 1 {
        let piece = [bytes[0]; 32];
        while to < end {
            store(buffer, to, piece);
            to += 32;
        }
        return;
    }
    let (factor, step) = REPEAT[distance & 7];
    let once = super::bits::low(u64::from_le_bytes(bytes), distance as u32 * 8);
    let piece = once.wrapping_mul(factor).to_le_bytes();
    while to < end {
        store(buffer, to, piece);
        to += step;
    }
}

/// For each distance: what a number of as many bytes is multiplied with to have it repeated in
/// eight bytes, and how many of these are whole repetitions.
static REPEAT: [(u64, usize); 8] = {
    let mut all = [(0, 8); 8];
    let mut distance = 1;
    while distance < 8 {
        let mut factor = 0;
        let mut at = 0;
        while at < 8 {
            factor |= 1 << (at * 8);
            at += distance;
        }
        all[distance] = (factor, 8 / distance * distance);
        distance += 1;
    }
    all
};

#[inline(always)]
fn load<const N: usize>(buffer: &Buffer, at: usize) -> Option<[u8; N]> {
    buffer.get(at..)?.first_chunk().copied()
}

#[inline(always)]
fn store<const N: usize>(buffer: &mut Buffer, at: usize, piece: [u8; N]) {
    if let Some(place) = buffer.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *place = piece;
    }
}
