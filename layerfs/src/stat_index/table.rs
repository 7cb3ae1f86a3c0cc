//! The file of an index.

const MAGIC: &[u8; 8] = b"TIERCEX1";

/// What is known about a path.
#[derive(Clone, Copy)]
pub(super) struct Value {
    pub(super) fingerprint: [u8; 16],
    pub(super) content: [u8; 32],
    /// For how many writes of the index nobody asked for it.
    pub(super) idle: u8,
}

/// An index as it stands in its file: magic, checksum, number of entries, that many offsets, and
/// the entries in the order of their paths. An offset is that of the entry's end.
#[derive(Default)]
pub(super) struct Table {
    bytes: Vec<u8>,
    count: usize,
}

/// Magic, checksum of what follows, and number of entries.
const HEADER: usize = 8 + 32 + 8;
/// Fingerprint, digest and idle count; the path comes after.
const FIXED: usize = 16 + 32 + 1;

impl Table {
    /// The table in `bytes`, unless they were damaged or are none.
    pub(super) fn parse(bytes: Vec<u8>) -> Option<Table> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (checksum, rest) = rest.split_first_chunk::<32>()?;
        if blake3::hash(rest).as_bytes() != checksum {
            return None;
        }
        let (count, _) = rest.split_first_chunk::<8>()?;
        let count = usize::try_from(u64::from_le_bytes(*count)).ok()?;
        Some(Table { bytes, count })
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    fn end_of(&self, position: usize) -> usize {
        let at = HEADER + position * 8;
        let mut offset = [0; 8];
        offset.copy_from_slice(&self.bytes[at..at + 8]);
        usize::try_from(u64::from_le_bytes(offset)).unwrap_or(usize::MAX)
    }

    /// The entry at `position`. What a checksum covers was written by [`TableWriter`].
    pub(super) fn entry(&self, position: usize) -> (&[u8], Value) {
        let body = HEADER + self.count * 8;
        let start = if position == 0 { 0 } else { self.end_of(position - 1) };
        let entry = &self.bytes[body + start..body + self.end_of(position)];
        let (fixed, key) = entry.split_at(FIXED);
        let mut value = Value { fingerprint: [0; 16], content: [0; 32], idle: fixed[48] };
        value.fingerprint.copy_from_slice(&fixed[..16]);
        value.content.copy_from_slice(&fixed[16..48]);
        (key, value)
    }

    /// Where the entry of a path is.
    pub(super) fn find(&self, key: &[u8]) -> Option<usize> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.entry(middle).0.cmp(key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(middle),
            }
        }
        None
    }
}

/// An index being written.
#[derive(Default)]
pub(super) struct TableWriter {
    ends: Vec<u64>,
    body: Vec<u8>,
}

impl TableWriter {
    /// Adds an entry; the order is the caller's care. Nothing known is no entry.
    pub(super) fn push(&mut self, key: &[u8], value: Option<&Value>) {
        let Some(value) = value else { return };
        self.body.extend_from_slice(&value.fingerprint);
        self.body.extend_from_slice(&value.content);
        self.body.push(value.idle);
        self.body.extend_from_slice(key);
        self.ends.push(self.body.len() as u64);
    }

    /// The bytes of the file.
    pub(super) fn finish(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + self.ends.len() * 8 + self.body.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[0; 32]);
        bytes.extend_from_slice(&(self.ends.len() as u64).to_le_bytes());
        for end in &self.ends {
            bytes.extend_from_slice(&end.to_le_bytes());
        }
        bytes.extend_from_slice(&self.body);
        let checksum = blake3::hash(&bytes[8 + 32..]);
        bytes[8..8 + 32].copy_from_slice(checksum.as_bytes());
        bytes
    }
}
