//! The first bytes of a blob, kept in a file for the process that comes after us.

use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use oci::Descriptor;

use crate::unfinished::{Note, Unfinished};

/// What is smaller is fetched again, in bytes.
const LEAST: u64 = 4 << 20;
/// What comes faster than a network, so many bytes in that time, comes as fast again; to write it
/// down would only delay it.
const FAST: (u64, Duration) = (4 << 20, Duration::from_millis(40));
/// How many bytes are read at once.
const CHUNK: u64 = 1 << 20;

/// What is done with the bytes that pass.
pub(crate) enum Spool {
    /// Nothing.
    Off,
    /// They are held until it is known how fast they come.
    Undecided { since: Option<Instant>, held: Vec<Bytes>, size: u64 },
    /// They are written down; `kept` is what an earlier process left and nobody has read yet.
    On { note: Note, kept: std::ops::Range<u64> },
}

impl Spool {
    /// Finds what is left of a blob.
    pub(crate) fn open(unfinished: Option<&Unfinished>, blob: &Descriptor) -> Spool {
        let Some(unfinished) = unfinished.filter(|_| blob.size >= LEAST) else { return Spool::Off };
        let left = unfinished.has_download(&blob.digest);
        let Some(note) = left.then(|| unfinished.download(&blob.digest)).flatten() else {
            return Spool::Undecided { since: None, held: Vec::new(), size: 0 };
        };
        let kept = note.file.metadata().map_or(0, |meta| meta.len()).min(blob.size);
        Spool::On { note, kept: 0..kept }
    }

    /// Whether there is something to read.
    pub(crate) fn has_kept(&self) -> bool {
        matches!(self, Spool::On { kept, .. } if !kept.is_empty())
    }

    /// The next bytes that an earlier process left.
    pub(crate) fn read(&mut self) -> Option<Bytes> {
        let Spool::On { note, kept } = self else { return None };
        let count = CHUNK.min(kept.end - kept.start);
        if count == 0 {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(count).unwrap_or(usize::MAX)];
        if note.file.read_exact_at(&mut bytes, kept.start).is_err() {
            *kept = 0..0;
            return None;
        }
        kept.start += count;
        Some(bytes.into())
    }

    /// Takes note of bytes that came from the registry; they begin at `offset`.
    pub(crate) fn pass(
        &mut self,
        unfinished: Option<&Unfinished>,
        blob: &Descriptor,
        offset: u64,
        bytes: &Bytes,
    ) {
        match self {
            Spool::Off => {}
            Spool::On { note, .. } => {
                if note.file.write_all_at(bytes, offset).is_err() {
                    self.end();
                }
            }
            Spool::Undecided { since, held, size } => {
                let since = *since.get_or_insert_with(Instant::now);
                held.push(bytes.clone());
                *size += bytes.len() as u64;
                if since.elapsed() > FAST.1 {
                    self.begin(unfinished, blob);
                } else if *size >= FAST.0 {
                    *self = Spool::Off;
                }
            }
        }
    }

    fn begin(&mut self, unfinished: Option<&Unfinished>, blob: &Descriptor) {
        let Spool::Undecided { held, .. } = std::mem::replace(self, Spool::Off) else { return };
        let Some(note) = unfinished.and_then(|all| all.download(&blob.digest)) else { return };
        let mut at = 0;
        for bytes in &held {
            if note.file.write_all_at(bytes, at).is_err() {
                return note.forget();
            }
            at += bytes.len() as u64;
        }
        *self = Spool::On { note, kept: 0..0 };
    }

    /// All has come, right or wrong: what is kept is of no more use.
    pub(crate) fn end(&mut self) {
        if let Spool::On { note, .. } = std::mem::replace(self, Spool::Off) {
            note.forget();
        }
    }
}
