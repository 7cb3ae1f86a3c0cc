//! What a tree was like before anybody wrote to it.
//!
//! A file that was changed, moved or linked since has a later time of change. So has a directory
//! that was moved, but not what is in it: by its number a directory is known to be the one that
//! stood there, and what is in it untouched to be what was in it.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::super::Place;
use crate::root::{Metadata, Root, Timestamp};
use crate::{Error, Result};

/// The file beside the tree that it is kept in.
pub(super) const FILE: &str = "baseline";

/// The directories of a tree: their numbers, by their paths.
pub(super) type Directories = HashMap<PathBuf, u64>;

/// What a tree was like.
pub(super) struct Baseline {
    /// From when on changes count.
    since: Timestamp,
    directories: Directories,
}

impl Baseline {
    /// The tree as it is now, which has these directories.
    pub(super) fn now(work: &Path, directories: Directories) -> Result<Baseline> {
        Ok(Baseline { since: now(work)?, directories })
    }

    /// That of a tree of which nothing is known: all in it may have changed.
    pub(super) fn unknown() -> Baseline {
        Baseline { since: Timestamp::at(0), directories: Directories::new() }
    }

    /// Whether an entry may have been changed, moved or linked since.
    pub(super) fn is_touched(&self, metadata: &Metadata) -> bool {
        metadata.ctime >= self.since
    }

    /// Whether this directory stood at `path`.
    pub(super) fn stood_at(&self, path: &Path, directory: &Metadata) -> bool {
        self.directories.get(path) == Some(&directory.ino)
    }

    /// Whether one is kept for the tree at `place`: it was made to the end.
    pub(super) fn is_kept(place: &Place) -> Result<bool> {
        let file = place.work.join(FILE);
        file.try_exists().map_err(|e| Error::io("examine", &file, e))
    }

    /// Keeps it in the work directory.
    pub(super) fn keep(&self, work: &Path) -> Result<()> {
        let (file, made) = (work.join(FILE), work.join("baseline.new"));
        let Timestamp { seconds, nanoseconds } = self.since;
        let mut bytes = format!("{seconds} {nanoseconds}\0").into_bytes();
        for (path, number) in &self.directories {
            bytes.extend_from_slice(format!("{number} ").as_bytes());
            bytes.extend_from_slice(path.as_os_str().as_bytes());
            bytes.push(0);
        }
        fs::write(&made, bytes).map_err(|e| Error::io("write", &made, e))?;
        fs::rename(&made, &file).map_err(|e| Error::io("write", &file, e))
    }

    /// The one that is kept in the work directory.
    pub(super) fn read(work: &Path) -> Result<Baseline> {
        let file = work.join(FILE);
        let bytes = fs::read(&file).map_err(|e| Error::io("read", &file, e))?;
        let baseline = parse(&bytes)
            .ok_or_else(|| Error::io("read", &file, io::Error::from(ErrorKind::InvalidData)))?;
        // A clock that was set back since says nothing.
        if now(work)? < baseline.since { Ok(Baseline::unknown()) } else { Ok(baseline) }
    }
}

fn parse(bytes: &[u8]) -> Option<Baseline> {
    let mut entries = bytes.strip_suffix(b"\0")?.split(|byte| *byte == 0).map(|entry| {
        let space = entry.iter().position(|byte| *byte == b' ')?;
        let number: i64 = std::str::from_utf8(&entry[..space]).ok()?.parse().ok()?;
        Some((number, &entry[space + 1..]))
    });
    let (seconds, nanoseconds) = entries.next()??;
    let nanoseconds = std::str::from_utf8(nanoseconds).ok()?.parse().ok()?;
    let directories = entries
        .map(|entry| {
            let (number, path) = entry?;
            Some((PathBuf::from(OsStr::from_bytes(path)), number.cast_unsigned()))
        })
        .collect::<Option<_>>()?;
    Some(Baseline { since: Timestamp { seconds, nanoseconds }, directories })
}

/// The moment by the clock of the file system of the work directory.
fn now(work: &Path) -> Result<Timestamp> {
    let file = work.join("now");
    fs::write(&file, "").map_err(|e| Error::io("write", &file, e))?;
    let metadata = Root::open(work)?.stat("now")?;
    let metadata = metadata
        .ok_or_else(|| Error::io("examine", &file, io::Error::from(ErrorKind::NotFound)))?;
    Ok(metadata.ctime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let odd = PathBuf::from(OsStr::from_bytes(b"a b/\xff"));
        let directories = Directories::from([(PathBuf::new(), 7), (odd, i64::MAX as u64)]);
        let kept = Baseline::now(dir.path(), directories.clone()).unwrap();
        kept.keep(dir.path()).unwrap();
        let read = Baseline::read(dir.path()).unwrap();
        assert_eq!((read.since, read.directories), (kept.since, directories));
    }

    #[test]
    fn after_a_clock_was_set_back_all_may_have_changed() {
        let dir = tempfile::tempdir().unwrap();
        let since = Timestamp::at(i64::from(u32::MAX));
        Baseline { since, directories: Directories::new() }.keep(dir.path()).unwrap();
        assert_eq!(Baseline::read(dir.path()).unwrap().since, Timestamp::at(0));
    }
}
