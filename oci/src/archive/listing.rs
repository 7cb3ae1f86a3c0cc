//! What is in a tar, read as a stream.

use std::io::{self, Read};

use tar_core::EntryType;
use tar_core::parse::{Limits, ParseEvent, ParsedEntry, Parser};

use super::invalid;
use crate::{Error, Result};

/// How long the headers of one entry may be, in bytes.
const MAX_HEADERS: usize = 2 << 20;

/// An entry of a tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its path as it stands there; what is no text is replaced.
    pub path: String,
    /// What it is, by the letter that `ls` has for it: `-`, `d`, `l`, `h` for a hard link, …
    pub kind: char,
    /// Its permission bits.
    pub mode: u32,
    /// Its owner and group.
    pub owner: (u64, u64),
    /// The length of its content in bytes.
    pub size: u64,
    /// What a link points to.
    pub target: Option<String>,
}

/// Lists the first `most` entries of a tar, and tells whether there are more.
///
/// # Errors
/// If it cannot be read or is no tar.
pub fn list_tar(tar: &mut dyn Read, most: usize) -> Result<(Vec<Listed>, bool)> {
    let unreadable = |e| Error::io("read", "the tar".to_owned(), e);
    let mut parser = Parser::new(Limits { max_path_len: Some(4096), ..Limits::default() });
    parser.set_allow_empty_path(true);
    // It takes no times before 1970.
    parser.set_ignore_pax_errors(true);
    let (mut all, mut buffer, mut wanted) = (Vec::new(), Vec::new(), tar_core::HEADER_SIZE);
    loop {
        let missing = wanted.saturating_sub(buffer.len());
        let read = tar.take(missing as u64).read_to_end(&mut buffer).map_err(unreadable)?;
        if buffer.is_empty() {
            return Ok((all, false));
        }
        let event = parser.parse(&buffer).map_err(|error| invalid(error.to_string()))?;
        let (consumed, skipped) = match event {
            ParseEvent::End { .. } => return Ok((all, false)),
            ParseEvent::NeedData { min_bytes } => {
                if read < missing || min_bytes <= buffer.len() || min_bytes > MAX_HEADERS {
                    return Err(invalid("the tar is cut off"));
                }
                wanted = min_bytes;
                continue;
            }
            ParseEvent::GlobalExtensions { consumed, .. } => (consumed, 0),
            ParseEvent::Entry { consumed, entry }
            | ParseEvent::SparseEntry { consumed, entry, .. } => {
                if all.len() == most {
                    return Ok((all, true));
                }
                all.push(describe(&entry));
                (consumed, entry.padded_size())
            }
        };
        // What was read beyond the headers is the beginning of the content.
        let beyond = (buffer.len() - consumed) as u64;
        let rest = skipped.saturating_sub(beyond);
        let kept = usize::try_from(skipped.min(beyond)).unwrap_or(0);
        buffer.drain(..consumed + kept);
        io::copy(&mut tar.take(rest), &mut io::sink()).map_err(unreadable)?;
        wanted = tar_core::HEADER_SIZE;
    }
}

fn describe(entry: &ParsedEntry<'_>) -> Listed {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let kind = match entry.entry_type {
        EntryType::Directory => 'd',
        EntryType::Symlink => 'l',
        EntryType::Link => 'h',
        EntryType::Char => 'c',
        EntryType::Block => 'b',
        EntryType::Fifo => 'p',
        _ => '-',
    };
    Listed {
        path: entry.path_lossy().into_owned(),
        kind,
        mode: entry.mode & 0o7777,
        owner: (entry.uid, entry.gid),
        size: entry.size,
        target: entry.link_target.as_deref().map(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
        use tar_core::builder::EntryBuilder;
        let mut tar = Vec::new();
        for (path, kind, content) in entries {
            let mut builder = EntryBuilder::new_ustar();
            builder.path(path.as_bytes()).entry_type(*kind);
            builder.mode(0o644).unwrap().size(content.len() as u64).unwrap();
            tar.extend_from_slice(&builder.finish_bytes());
            tar.extend_from_slice(content);
            tar.resize(tar.len().next_multiple_of(512), 0);
        }
        tar.resize(tar.len() + 1024, 0);
        tar
    }

    #[test]
    fn entries_are_listed_as_they_come_and_their_content_is_passed_over() {
        let content = vec![7; 100_000];
        let tar = tar(&[
            ("d/", EntryType::Directory, b""),
            ("d/large", EntryType::Regular, &content),
            (&"long/".repeat(15), EntryType::Directory, b""),
            ("empty", EntryType::Regular, b""),
            ("last", EntryType::Regular, b"x"),
        ]);
        let (all, more) = list_tar(&mut &tar[..], 10).unwrap();
        let names: Vec<_> = all.iter().map(|entry| (entry.path.as_str(), entry.size)).collect();
        let long = "long/".repeat(15);
        assert_eq!(
            names,
            [("d/", 0), ("d/large", 100_000), (long.as_str(), 0), ("empty", 0), ("last", 1)]
        );
        assert_eq!((all[0].kind, all[1].kind, all[1].mode, more), ('d', '-', 0o644, false));
        let (first, more) = list_tar(&mut &tar[..], 2).unwrap();
        assert_eq!((first.len(), more), (2, true));
    }

    #[test]
    fn what_is_no_tar_is_an_error_and_nothing_is_empty() {
        assert_eq!(list_tar(&mut &b""[..], 1).unwrap(), (Vec::new(), false));
        assert!(list_tar(&mut &[1; 600][..], 1).is_err());
        assert!(list_tar(&mut &b"short"[..], 1).is_err());
    }
}
