//! What layers show together, as a directory of its own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::baseline::Directories;
use super::entry::{self, Links};
use crate::change::{Lower, LowerDir};
use crate::root::{Dir, FileKind, Root, Timestamp};
use crate::snapshot::implicit::copy_attributes;
use crate::{Error, Result};

/// How deep a tree may be. Each level holds directories open.
const MAX_DEPTH: usize = 200;

/// What becomes of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// They are copied: the tree is written to.
    Copy,
    /// They become other names of the layers' own: the tree is only read.
    Link,
}

/// Makes in `into`, an empty directory, all that `lower` shows. Gives its directories.
pub(super) fn materialise(lower: &Lower, into: &Root, how: How) -> Result<Directories> {
    let Some(top) = lower.top().map_err(|e| Error::tree("open", "/", e))? else {
        let failed = |e| Error::tree("prepare", "/", e);
        into.top().chmod(".", 0o755).map_err(failed)?;
        into.top().set_mtime(".", Timestamp::at(0)).map_err(failed)?;
        return Ok(Directories::new());
    };
    let mut work = Work { into, how, links: Links::default(), directories: Directories::new() };
    work.directory(&top, into.top(), &mut PathBuf::new(), MAX_DEPTH)?;
    Ok(work.directories)
}

struct Work<'a> {
    into: &'a Root,
    how: How,
    links: Links,
    directories: Directories,
}

impl Work<'_> {
    fn directory(
        &mut self,
        from: &LowerDir,
        to: &Dir,
        path: &mut PathBuf,
        depth: usize,
    ) -> Result<()> {
        let depth = depth
            .checked_sub(1)
            .ok_or_else(|| Error::tree("descend into", &*path, Errno::NAMETOOLONG))?;
        for name in from.names().map_err(|e| Error::tree("list the directory", &*path, e))? {
            path.push(&name);
            self.entry(from, to, &name, path, depth)?;
            path.pop();
        }
        let made = to.metadata().map_err(|e| Error::tree("examine", &*path, e))?;
        self.directories.insert(path.clone(), made.ino);
        // Last: what is made in a directory changes its time.
        match from.shown() {
            Some(shown) => copy_attributes(shown, to).map_err(|e| Error::tree("copy", &*path, e)),
            None => Ok(()),
        }
    }

    fn entry(
        &mut self,
        from: &LowerDir,
        to: &Dir,
        name: &OsStr,
        path: &mut PathBuf,
        depth: usize,
    ) -> Result<()> {
        let failed = |path: &Path, e| Error::tree("copy", path, e);
        let found = from.find(name).map_err(|e| failed(path, e))?;
        let Some((original, dir)) = found else { return Ok(()) };
        if original.kind == FileKind::Dir {
            let made = to.mkdir(name, 0o700).and_then(|()| to.open_dir(name));
            let made = made.map_err(|e| failed(path, e))?;
            let below = from.open_dir(name).map_err(|e| failed(path, e))?;
            return self.directory(&below, &made, path, depth);
        }
        if self.how == How::Link {
            match to.hard_link(dir, name, name) {
                // It has as many names as the file system can count, or is on another one.
                Err(Errno::MLINK | Errno::XDEV | Errno::PERM) => {}
                answer => return answer.map_err(|e| failed(path, e)),
            }
        }
        match self.links.first(&original, path) {
            Some(first) => entry::link(self.into, first, to, name),
            None => entry::copy((dir, name), &original, (to, name)).map_err(|e| failed(path, e)),
        }
    }
}
