//! The output: what matches may refer to, what the reader has not had, and room for more.

use super::error::Corrupt;
use super::tables::MAX_MATCH;

/// How far back a match may reach.
const HISTORY: usize = 32 << 10;
/// How much is decoded before the history is moved to the beginning.
const WORK: usize = 128 << 10;
/// How much may be written behind what is asked for, so that copies need not count bytes.
const SLACK: usize = 64;
/// The longest match, three literals before it, and the slack.
const MARGIN: usize = MAX_MATCH + 3 + SLACK;
const SIZE: usize = HISTORY + WORK + MARGIN;

/// The memory of a window.
pub(super) type Buffer = [u8; SIZE];

/// Output of a decoder.
pub(super) struct Window {
    pub(super) buffer: Box<Buffer>,
    /// Where the current member begins, or what of it is kept: matches reach no further.
    pub(super) floor: usize,
    /// Where the output goes.
    pub(super) end: usize,
    /// From where the reader has not had it.
    taken: usize,
}

impl Window {
    /// Beyond this place there is no room for another match.
    pub(super) const FULL: usize = SIZE - MARGIN;

    pub(super) fn new() -> Window {
        let buffer = vec![0; SIZE].into_boxed_slice();
        // The length is right; nobody would see it if it were not.
        let buffer = buffer.try_into().unwrap_or_else(|_| Box::new([0; SIZE]));
        Window { buffer, floor: 0, end: 0, taken: 0 }
    }

    /// What the reader has not had.
    pub(super) fn pending(&self) -> &[u8] {
        self.buffer.get(self.taken..self.end).unwrap_or_default()
    }

    pub(super) fn has_pending(&self) -> bool {
        self.taken < self.end
    }

    pub(super) fn is_full(&self) -> bool {
        self.end >= Window::FULL
    }

    /// Notes that the reader has had `count` more bytes.
    pub(super) fn take(&mut self, count: usize) {
        self.taken = self.end.min(self.taken.saturating_add(count));
    }

    /// What came out since the place `from`.
    pub(super) fn since(&self, from: usize) -> &[u8] {
        self.buffer.get(from..self.end).unwrap_or_default()
    }

    /// Begins a member: what is there is out of reach.
    pub(super) fn begin_member(&mut self) {
        self.floor = self.end;
    }

    /// Makes room if the window is full and the reader has had all of it.
    pub(super) fn make_room(&mut self) {
        if !self.is_full() || self.has_pending() {
            return;
        }
        let kept = (self.end - self.floor.min(self.end)).min(HISTORY);
        self.buffer.copy_within(self.end - kept..self.end, 0);
        (self.floor, self.end, self.taken) = (0, kept, kept);
    }

    pub(super) fn push(&mut self, byte: u8) {
        if let Some(place) = self.buffer.get_mut(self.end) {
            *place = byte;
            self.end += 1;
        }
    }

    /// Takes as much of `bytes` as there is room for, and answers how much that is.
    pub(super) fn extend(&mut self, bytes: &[u8]) -> usize {
        let room = self.buffer.get_mut(self.end..Window::FULL).unwrap_or_default();
        let count = room.len().min(bytes.len());
        room[..count].copy_from_slice(&bytes[..count]);
        self.end += count;
        count
    }

    /// Appends `length` bytes from `distance` back. There must be room for them.
    pub(super) fn repeat(&mut self, length: usize, distance: usize) -> Result<(), Corrupt> {
        if distance > self.end - self.floor {
            return Err(Corrupt::TooFarBack);
        }
        for _ in 0..length {
            let byte = self.buffer.get(self.end.wrapping_sub(distance)).copied();
            self.push(byte.unwrap_or_default());
        }
        Ok(())
    }
}
