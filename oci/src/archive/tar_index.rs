//! Random access to the files of a tar.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use tar_core::parse::{Limits, ParseEvent, ParsedEntry, Parser};

use super::invalid;
use crate::{Error, Result};

const BLOCK: u64 = tar_core::HEADER_SIZE as u64;
/// How much memory the names in an archive may take, in bytes.
const MAX_INDEX: usize = 64 << 20;
/// What an entry takes besides its names, in bytes, about.
const ENTRY_COST: usize = 96;
/// The longest chain of links that is followed.
const MAX_LINKS: usize = 16;

/// Where each file of a tar lies.
#[derive(Debug)]
pub(super) struct TarIndex {
    file: File,
    entries: HashMap<String, Entry>,
}

#[derive(Debug)]
enum Entry {
    File {
        offset: u64,
        size: u64,
    },
    /// A link to another entry, by its path from the root.
    Link(String),
    /// A directory, a device, a sparse file: nothing that an image archive has as content.
    Other,
}

impl TarIndex {
    /// Reads all headers of the tar in `file`.
    pub(super) fn read(file: File) -> Result<TarIndex> {
        let length = file.metadata().map_err(unreadable)?.len();
        let mut scan = Scan { file: &file, length, parser: parser(), buffer: Vec::new() };
        let mut entries = HashMap::new();
        let mut cost = 0usize;
        let mut offset = 0;
        while let Some(found) = scan.next(&mut offset)? {
            let Some((path, entry)) = found else { continue };
            let link = if let Entry::Link(target) = &entry { target.len() } else { 0 };
            cost += ENTRY_COST + path.len() + link;
            if cost > MAX_INDEX {
                return Err(invalid("it has too many entries"));
            }
            entries.insert(path, entry);
        }
        Ok(TarIndex { file, entries })
    }

    /// The file at `path`, links followed; `None` if there is none.
    pub(super) fn open(&self, path: &str) -> Result<Option<Section<'_>>> {
        let Some(mut path) = normalize("", path) else { return Ok(None) };
        for _ in 0..MAX_LINKS {
            match self.entries.get(&path) {
                None => return Ok(None),
                Some(Entry::File { offset, size }) => {
                    let end = offset + size;
                    return Ok(Some(Section { file: &self.file, position: *offset, end }));
                }
                Some(Entry::Link(target)) => path.clone_from(target),
                Some(Entry::Other) => {
                    return Err(invalid(format!("its entry `{path}` is no regular file")));
                }
            }
        }
        Err(invalid(format!("its entry `{path}` is a link in a circle")))
    }
}

/// One pass over the headers.
struct Scan<'a> {
    file: &'a File,
    length: u64,
    parser: Parser,
    buffer: Vec<u8>,
}

impl Scan<'_> {
    /// The entry whose headers begin at `offset`, which moves behind its content. `None` at the
    /// end, `Some(None)` for what has no name that we could be asked for.
    fn next(&mut self, offset: &mut u64) -> Result<Option<Option<(String, Entry)>>> {
        let mut wanted = tar_core::HEADER_SIZE;
        loop {
            self.fill(*offset, wanted)?;
            if self.buffer.is_empty() {
                return Ok(None);
            }
            let broken = |e| invalid(format!("its tar is broken at byte {offset}: {e}"));
            let (consumed, found) = match self.parser.parse(&self.buffer).map_err(broken)? {
                ParseEvent::End { .. } => return Ok(None),
                ParseEvent::NeedData { min_bytes } if min_bytes > self.buffer.len() => {
                    if self.buffer.len() < wanted {
                        return self.cut_off(*offset);
                    }
                    wanted = min_bytes;
                    continue;
                }
                ParseEvent::NeedData { .. } => return self.cut_off(*offset),
                ParseEvent::GlobalExtensions { consumed, .. } => (consumed as u64, None),
                ParseEvent::Entry { consumed, entry } => {
                    let content = *offset + consumed as u64;
                    let found = describe(&entry, content)?;
                    (consumed as u64 + entry.padded_size(), Some((entry.size, content, found)))
                }
                ParseEvent::SparseEntry { consumed, entry, .. } => {
                    let content = *offset + consumed as u64;
                    let path = name(&entry.path).map(|path| (path, Entry::Other));
                    (consumed as u64 + entry.padded_size(), Some((entry.size, content, path)))
                }
            };
            // A content that ends where the file ends may lack its padding.
            let end = offset.checked_add(consumed);
            let content_end = match &found {
                Some((size, content, _)) => content.checked_add(*size),
                None => end,
            };
            match (end, content_end) {
                (Some(end), Some(content_end)) if content_end <= self.length => *offset = end,
                _ => return self.cut_off(*offset),
            }
            return Ok(Some(found.and_then(|(_, _, found)| found)));
        }
    }

    /// Reads up to `wanted` bytes at `offset` into the buffer.
    fn fill(&mut self, offset: u64, wanted: usize) -> Result<()> {
        let mut have = 0;
        self.buffer.resize(wanted, 0);
        while have < wanted {
            match self.file.read_at(&mut self.buffer[have..], offset + have as u64) {
                Ok(0) => break,
                Ok(count) => have += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(unreadable(e)),
            }
        }
        self.buffer.truncate(have);
        Ok(())
    }

    /// The file ends within an entry. That is the end if nothing but zeros was begun.
    fn cut_off<T>(&self, offset: u64) -> Result<Option<T>> {
        if self.buffer.iter().all(|&b| b == 0) && offset + BLOCK >= self.length {
            return Ok(None);
        }
        Err(invalid(format!("its tar is cut off in the entry at byte {offset}")))
    }
}

fn parser() -> Parser {
    let mut parser = Parser::new(Limits { max_path_len: Some(4096), ..Limits::default() });
    parser.set_allow_empty_path(true);
    parser
}

fn describe(entry: &ParsedEntry<'_>, offset: u64) -> Result<Option<(String, Entry)>> {
    let Some(path) = name(&entry.path) else { return Ok(None) };
    let target = entry.link_target.as_deref().map(|target| String::from_utf8_lossy(target));
    let described = if entry.is_file() {
        Entry::File { offset, size: entry.size }
    } else if entry.is_symlink() || entry.is_hard_link() {
        // A hard link names its target from the root, a symbolic one from where it stands.
        let base = match path.rsplit_once('/') {
            Some((parent, _)) if entry.is_symlink() => parent,
            _ => "",
        };
        let target = target.and_then(|target| normalize(base, &target));
        Entry::Link(target.ok_or_else(|| invalid(format!("its link `{path}` leads outside")))?)
    } else {
        Entry::Other
    };
    Ok(Some((path, described)))
}

fn name(path: &[u8]) -> Option<String> {
    normalize("", std::str::from_utf8(path).ok()?)
}

/// `path` as seen from the directory `base`, without empty parts and dots; `None` if it leaves
/// the root or is the root.
fn normalize(base: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    let base = if path.starts_with('/') { "" } else { base };
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// A part of a file, read by position: any number may be open at once.
#[derive(Debug)]
pub(super) struct Section<'a> {
    file: &'a File,
    position: u64,
    end: u64,
}

impl Section<'_> {
    /// How many bytes are left.
    pub(super) fn len(&self) -> u64 {
        self.end - self.position
    }
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len()).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(&mut buffer[..left], self.position)?;
        if count == 0 && left > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.position += count as u64;
        Ok(count)
    }
}

fn unreadable(e: io::Error) -> Error {
    Error::io("read", "image archive", e)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_never_leave_the_root() {
        for (base, path, normal) in [
            ("", "./a//b/", Some("a/b")),
            ("", "/a/./b", Some("a/b")),
            ("x", "../y/layer.tar", Some("y/layer.tar")),
            ("x/y", "/z", Some("z")),
            ("x", "../../y", None),
            ("", "..", None),
            ("", ".", None),
        ] {
            assert_eq!(normalize(base, path).as_deref(), normal, "{base} {path}");
        }
    }
}
