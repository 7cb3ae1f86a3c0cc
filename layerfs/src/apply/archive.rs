//! Reads a tar archive from a stream, entry by entry, in constant memory.
//!
//! What readers of archives disagree on decides whether two tools see the same image, so this
//! one is strict: a malformed extended header is an error and not skipped, lengths are checked
//! before they are believed, and global extended headers apply.

use std::io::{self, BufRead};

use super::header::{BLOCK, Header};
use super::pax::Extended;
use super::sparse::{MapReader, Sparse, take_old_gnu};
use super::{EntryFault, Malformed};
use crate::root::Timestamp;
use crate::{Error, Result};

/// How long the extended headers of one entry may be together, in bytes.
const MAX_EXTENDED: u64 = 1024 * 1024;
/// How many extended headers may precede one entry.
const MAX_HEADERS: usize = 16;

/// What an entry makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// A regular file whose bytes follow.
    File,
    /// A directory.
    Dir,
    /// A symlink with this target.
    Symlink(Vec<u8>),
    /// A hard link to the entry of this name.
    HardLink(Vec<u8>),
    /// A character device (major, minor).
    CharDevice(u32, u32),
    /// A block device (major, minor).
    BlockDevice(u32, u32),
    /// A named pipe.
    Fifo,
}

/// An entry as the archive describes it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The name as it stands there.
    pub(crate) path: Vec<u8>,
    pub(crate) content: Content,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: Timestamp,
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// How many bytes of data the archive holds for it.
    pub(crate) stored: u64,
    /// Where they belong, if the file has holes.
    pub(crate) sparse: Option<Sparse>,
}

/// A tar archive being read.
pub(crate) struct Archive<'r> {
    input: Input<'r>,
    global: Extended,
    /// Bytes of the current entry's data that are still to come, and the padding after them.
    data: u64,
    padding: u64,
}

impl<'r> Archive<'r> {
    pub(crate) fn new(reader: &'r mut dyn BufRead) -> Archive<'r> {
        Archive {
            input: Input { reader, offset: 0 },
            global: Extended::default(),
            data: 0,
            padding: 0,
        }
    }

    /// The next entry, or `None` at the end of the archive. What is left of the data of the entry
    /// before is skipped.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>> {
        self.input.skip(self.data + self.padding)?;
        (self.data, self.padding) = (0, 0);
        let mut extended = None::<Extended>;
        let (mut long_name, mut long_link) = (None, None);
        let mut spent = 0;
        for _ in 0..=MAX_HEADERS {
            let at = self.input.offset;
            let malformed = |source| Error::MalformedArchive { offset: at, source };
            let Some(block) = self.next_header()? else {
                return if extended.is_some() || long_name.is_some() || long_link.is_some() {
                    Err(malformed(Malformed::Truncated))
                } else {
                    Ok(None)
                };
            };
            let header = Header::parse(&block).map_err(malformed)?;
            let size = header.size().map_err(malformed)?;
            match header.type_flag() {
                b'x' => {
                    let data = self.extension(size, &mut spent)?;
                    extended
                        .get_or_insert_with(|| self.global.clone())
                        .take(&data)
                        .map_err(malformed)?;
                }
                b'g' => {
                    let data = self.extension(size, &mut spent)?;
                    self.global.take(&data).map_err(malformed)?;
                }
                b'L' => long_name = Some(c_string(self.extension(size, &mut spent)?)),
                b'K' => long_link = Some(c_string(self.extension(size, &mut spent)?)),
                // The label of a volume is no file.
                b'V' => self.input.skip(size.next_multiple_of(BLOCK as u64))?,
                _ => {
                    let mut extended = extended.unwrap_or_else(|| self.global.clone());
                    extended.path = extended.path.or(long_name);
                    extended.link_path = extended.link_path.or(long_link);
                    return self.entry(&header, extended, at).map(Some);
                }
            }
        }
        let offset = self.input.offset;
        Err(Error::MalformedArchive { offset, source: Malformed::TooManyHeaders })
    }

    /// Passes the current entry's data to `sink`, in pieces.
    pub(crate) fn read_data(&mut self, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        while self.data > 0 {
            self.read_some_data(u64::MAX, sink)?;
        }
        Ok(())
    }

    /// Passes up to `limit` bytes of the current entry's data to `sink`, at least one if there is
    /// one, and says how many.
    pub(crate) fn read_some_data(
        &mut self,
        limit: u64,
        sink: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<u64> {
        let piece = self.input.some()?;
        let wanted = self.data.min(limit);
        let take = usize::try_from(wanted).map_or(piece.len(), |n| n.min(piece.len()));
        sink(&piece[..take])?;
        self.input.consume(take);
        self.data -= take as u64;
        Ok(take as u64)
    }

    /// The next header block; `None` at the end: two zero blocks, or the input's end between
    /// entries.
    fn next_header(&mut self) -> Result<Option<[u8; BLOCK]>> {
        let Some(block) = self.input.block()? else { return Ok(None) };
        if block.iter().any(|b| *b != 0) {
            return Ok(Some(block));
        }
        let offset = self.input.offset;
        match self.input.block()? {
            Some(block) if block.iter().any(|b| *b != 0) => {
                Err(Error::MalformedArchive { offset, source: Malformed::LoneZeroBlock })
            }
            _ => Ok(None),
        }
    }

    /// The data of an extended header of `size` bytes.
    fn extension(&mut self, size: u64, spent: &mut u64) -> Result<Vec<u8>> {
        *spent = spent.saturating_add(size);
        if *spent > MAX_EXTENDED {
            let offset = self.input.offset;
            return Err(Error::MalformedArchive { offset, source: Malformed::ExtendedTooLong });
        }
        let padded = size.next_multiple_of(BLOCK as u64);
        let mut data = Vec::with_capacity(padded as usize);
        while (data.len() as u64) < padded {
            data.extend_from_slice(&self.input.block_of_data()?);
        }
        data.truncate(size as usize);
        Ok(data)
    }

    fn entry(&mut self, header: &Header<'_>, extended: Extended, at: u64) -> Result<Entry> {
        let malformed = |source| Error::MalformedArchive { offset: at, source };
        let name = || header.name();
        let path = extended.sparse_name.or(extended.path).unwrap_or_else(name);
        let refused = |source| Error::Entry { entry: path_of(&path), source };
        let link = || extended.link_path.unwrap_or_else(|| header.link_name().to_vec());
        let device = || header.device().map_err(malformed);
        let content = match header.type_flag() {
            // In the oldest format a directory is a file whose name ends in a slash.
            0 if path.ends_with(b"/") => Content::Dir,
            0 | b'0' | b'7' | b'S' => Content::File,
            b'1' => Content::HardLink(link()),
            b'2' => Content::Symlink(link()),
            b'3' => device().map(|(major, minor)| Content::CharDevice(major, minor))?,
            b'4' => device().map(|(major, minor)| Content::BlockDevice(major, minor))?,
            b'5' => Content::Dir,
            b'6' => Content::Fifo,
            other => return Err(refused(EntryFault::UnknownType(other))),
        };
        // Some writers give links and directories the size of what they stand for, and no data.
        let mut stored = match content {
            Content::File => match extended.size {
                Some(size) => size,
                None => header.size().map_err(malformed)?,
            },
            _ => 0,
        };
        let sparse = match (&content, header.type_flag(), extended.sparse_version) {
            (Content::File, b'S', _) if header.is_gnu() => {
                let (map, more) = header.sparse_map();
                let mut pieces = Vec::new();
                take_old_gnu(&mut pieces, map).map_err(malformed)?;
                let mut more = more;
                while more {
                    let block = self.input.block_of_data()?;
                    take_old_gnu(&mut pieces, &block[..504]).map_err(malformed)?;
                    more = block[504] != 0;
                }
                let real_size = header.sparse_real_size().map_err(malformed)?;
                Some(Sparse::new(pieces, real_size, stored).map_err(malformed)?)
            }
            (_, b'S', _) => return Err(refused(EntryFault::UnknownType(b'S'))),
            (Content::File, _, (Some(1), Some(0))) => {
                let real_size =
                    extended.sparse_real_size.ok_or_else(|| malformed(Malformed::SparseMap))?;
                let mut map = MapReader::default();
                let pieces = loop {
                    stored = stored
                        .checked_sub(BLOCK as u64)
                        .ok_or_else(|| malformed(Malformed::SparseMap))?;
                    let block = self.input.block_of_data()?;
                    if let Some(pieces) = map.take(&block).map_err(malformed)? {
                        break pieces;
                    }
                };
                Some(Sparse::new(pieces, real_size, stored).map_err(malformed)?)
            }
            (Content::File, ..) => match extended.sparse_map {
                Some(pieces) => {
                    let real_size = extended.sparse_real_size.unwrap_or(stored);
                    Some(Sparse::new(pieces, real_size, stored).map_err(malformed)?)
                }
                None => None,
            },
            _ => None,
        };
        if i64::try_from(stored).is_err() {
            return Err(malformed(Malformed::Number));
        }
        let id = |given: Option<i64>, own: Result<i64, Malformed>| {
            let id = match given {
                Some(id) => id,
                None => own.map_err(malformed)?,
            };
            // The last id means "leave it" to chown.
            u32::try_from(id)
                .ok()
                .filter(|id| *id != u32::MAX)
                .ok_or_else(|| refused(EntryFault::OwnerOutOfRange(id)))
        };
        let uid = id(extended.uid, header.uid())?;
        let gid = id(extended.gid, header.gid())?;
        let mtime = match extended.mtime {
            Some(mtime) => mtime,
            None => Timestamp::at(header.mtime().map_err(malformed)?),
        };
        let mode = header.mode().map_err(malformed)?;
        self.data = stored;
        self.padding = stored.next_multiple_of(BLOCK as u64) - stored;
        Ok(Entry { path, content, mode, uid, gid, mtime, xattrs: extended.xattrs, stored, sparse })
    }
}

/// A name of an archive as a path.
pub(super) fn path_of(name: &[u8]) -> std::path::PathBuf {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(name).into()
}

/// The bytes before the NUL that GNU tar writes after long names.
fn c_string(mut data: Vec<u8>) -> Vec<u8> {
    let end = data.iter().position(|b| *b == 0).unwrap_or(data.len());
    data.truncate(end);
    data
}

/// The reader, from whose buffer data goes on without being copied, and how far it has been read.
struct Input<'r> {
    reader: &'r mut dyn BufRead,
    offset: u64,
}

impl Input<'_> {
    /// Some bytes; none at the end of the input.
    fn peek(&mut self) -> Result<&[u8]> {
        let failed = |offset, source| Error::ReadArchive { offset, source };
        loop {
            match self.reader.fill_buf() {
                Ok(_) => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(failed(self.offset, e)),
            }
        }
        self.reader.fill_buf().map_err(|e| failed(self.offset, e))
    }

    fn consume(&mut self, n: usize) {
        self.reader.consume(n);
        self.offset += n as u64;
    }

    /// The next block; `None` if the input ends here.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>> {
        let (mut block, mut have) = ([0; BLOCK], 0);
        while have < BLOCK {
            let piece = self.peek()?;
            let take = piece.len().min(BLOCK - have);
            match (take, have) {
                (0, 0) => return Ok(None),
                (0, _) => return Err(truncated_at(self.offset - have as u64)),
                _ => block[have..have + take].copy_from_slice(&piece[..take]),
            }
            self.consume(take);
            have += take;
        }
        Ok(Some(block))
    }

    /// The next block, which must be there.
    fn block_of_data(&mut self) -> Result<[u8; BLOCK]> {
        let offset = self.offset;
        self.block()?.ok_or_else(|| truncated_at(offset))
    }

    /// Some bytes, at least one.
    fn some(&mut self) -> Result<&[u8]> {
        let offset = self.offset;
        match self.peek()? {
            [] => Err(truncated_at(offset)),
            piece => Ok(piece),
        }
    }

    fn skip(&mut self, mut n: u64) -> Result<()> {
        while n > 0 {
            let there = self.some()?.len() as u64;
            let step = there.min(n);
            self.consume(step as usize);
            n -= step;
        }
        Ok(())
    }
}

fn truncated_at(offset: u64) -> Error {
    Error::MalformedArchive { offset, source: Malformed::Truncated }
}
