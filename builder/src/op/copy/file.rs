//! Copies one file to where nothing is.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::OnceLock;

use layerfs::{Dir, FileKind, Metadata};
use rustix::io::Errno;

use super::attributes::Attributes;
use crate::error::StepCause;
use crate::tree::{Entry, failed_io};

/// Files up to this size, in bytes, are copied by one read and one write.
const SMALL: u64 = 128 << 10;

/// Where a file is copied to.
#[derive(Clone, Copy)]
pub(super) struct New<'d> {
    pub(super) dir: &'d Dir,
    pub(super) name: &'d OsStr,
    /// The group that files get by being created there, once a first one has told; none where
    /// nobody remembers it.
    pub(super) group: Option<&'d OnceLock<u32>>,
}

/// Copies files, one after the other.
pub(super) struct FileCopier<'a> {
    attributes: Attributes<'a>,
    /// Whether what is copied can change meanwhile: the context can, layers cannot.
    pub(super) live: bool,
    buffer: Vec<u8>,
}

/// Whether a regular file has other names.
pub(super) fn is_linked(entry: &Entry) -> bool {
    entry.metadata.kind == FileKind::File && entry.metadata.nlink > 1
}

/// The regular files that have several names among those that are copied. A file whose other names
/// lie elsewhere, as all files do that some package managers install, is a file like any other.
pub(super) struct Several(HashSet<(u64, u64)>);

impl Several {
    pub(super) fn among(entries: &[Entry]) -> Several {
        let mut seen = HashSet::new();
        let linked = entries.iter().filter(|entry| is_linked(entry)).map(inode);
        Several(linked.filter(|inode| !seen.insert(*inode)).collect())
    }

    /// Whether an entry is one of the names of such a file.
    pub(super) fn has(&self, entry: &Entry) -> bool {
        is_linked(entry) && self.0.contains(&inode(entry))
    }
}

fn inode(entry: &Entry) -> (u64, u64) {
    (entry.metadata.dev, entry.metadata.ino)
}

impl<'a> FileCopier<'a> {
    pub(super) fn new(attributes: Attributes<'a>) -> FileCopier<'a> {
        FileCopier { attributes, live: false, buffer: Vec::new() }
    }

    /// One that copies in the same way, for another thread.
    pub(super) fn another(&self) -> FileCopier<'a> {
        FileCopier { attributes: self.attributes, live: self.live, buffer: Vec::new() }
    }

    /// Takes the file of the same name and the same bytes from `before`, by another name for it.
    /// Answers whether that could be done: it must be like a copy in all else, too.
    pub(super) fn take(&self, before: &Dir, (to, name): (&Dir, &OsStr), entry: &Entry) -> bool {
        let there = before.stat(name).ok().flatten();
        there.is_some_and(|there| self.attributes.are_those_of(&there, entry))
            && to.hard_link(before, name, name).is_ok()
    }

    /// Copies what is no directory. Answers whether it still was as it had been found.
    pub(super) fn copy(
        &mut self,
        (from, from_name): (&Dir, &OsStr),
        new: New<'_>,
        entry: &Entry,
        (source, target): (&Path, &Path),
    ) -> Result<bool, StepCause> {
        let New { dir: to, name, .. } = new;
        let failed = |operation| move |e: Errno| failed_io(operation, target, e.into());
        match entry.metadata.kind {
            FileKind::File => {
                return self.regular((from, from_name), new, entry, (source, target));
            }
            FileKind::Dir => return Ok(true),
            FileKind::Symlink => {
                let link = entry.link.as_deref().unwrap_or(Path::new(""));
                to.symlink(link, name).map_err(failed("create the symlink"))?;
            }
            FileKind::CharDevice | FileKind::BlockDevice | FileKind::Fifo | FileKind::Socket => {
                special(to, name, entry).map_err(failed("create"))?;
            }
        }
        let finished = self.attributes.finish(to, name, entry);
        finished.map(|()| true).map_err(failed("set the attributes of"))
    }

    fn regular(
        &mut self,
        (from, from_name): (&Dir, &OsStr),
        New { dir: to, name, group }: New<'_>,
        entry: &Entry,
        (source, target): (&Path, &Path),
    ) -> Result<bool, StepCause> {
        let reading = |operation| move |e: io::Error| failed_io(operation, source, e);
        let mut input = from.open_file(from_name).map_err(|e| reading("open")(e.into()))?;
        let unchanged = !self.live || {
            let now = rustix::fs::fstat(&input).map_err(|e| reading("examine")(e.into()))?;
            same_state(&Metadata::from(&now), &entry.metadata)
        };
        let mode = self.attributes.creation_mode(&entry.metadata);
        let mut output =
            to.create_file(name, mode).map_err(|e| failed_io("create", target, e.into()))?;
        self.bytes(&mut input, &mut output, entry.metadata.size)
            .map_err(|e| failed_io("copy", source, e))?;
        let group = group.map(|group| *group.get_or_init(|| group_of(&output)));
        self.attributes
            .finish_file((to, name), &output, entry, group)
            .map_err(|e| failed_io("set the attributes of", target, e))?;
        Ok(unchanged)
    }

    fn bytes(&mut self, input: &mut File, output: &mut File, size: u64) -> io::Result<()> {
        if size == 0 {
            return Ok(());
        }
        if size > SMALL {
            return io::copy(input, output).map(drop);
        }
        // One byte more than there should be: who reads less has seen the end.
        let wanted = usize::try_from(size).unwrap_or(usize::MAX).saturating_add(1);
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        let count = input.read(&mut self.buffer[..wanted])?;
        output.write_all(&self.buffer[..count])?;
        // It changed since it was looked at, or the read was cut short.
        if count as u64 == size { Ok(()) } else { io::copy(input, output).map(drop) }
    }
}

/// The group that a new file has; that of nobody if it cannot be told.
fn group_of(file: &File) -> u32 {
    rustix::fs::fstat(file).map_or(u32::MAX, |stat| stat.st_gid)
}

/// Sockets mean nothing where no process listens: they become empty files, as the sockets of
/// a context do on their way to BuildKit.
fn special(to: &Dir, name: &OsStr, entry: &Entry) -> rustix::io::Result<()> {
    let Metadata { kind, mode, rdev, .. } = entry.metadata;
    if kind == FileKind::Socket {
        return to.create_file(name, 0o600).map(drop);
    }
    // In a layer's directory this device means that the file below is deleted; overlayfs takes it
    // from nobody either.
    if kind == FileKind::CharDevice && rdev == (0, 0) {
        return Err(Errno::PERM);
    }
    to.mknod(name, kind, mode, rdev)
}

/// Whether a file is in the state in which it was found.
fn same_state(now: &Metadata, found: &Metadata) -> bool {
    now.ino == found.ino
        && now.dev == found.dev
        && now.size == found.size
        && now.mtime == found.mtime
        && now.ctime == found.ctime
}
