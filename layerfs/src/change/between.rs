//! What is different between two stacks of layers.
//!
//! Neither is mounted. Directories that both stacks take from the same layers are the same with
//! all that is in them, and not looked into: two images on one base cost what they changed.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::compare::{same_content, split_xattrs};
use super::lower::{Lower, LowerDir};
use super::walk::Failure;
use crate::root::{Dir, FileKind, Metadata};
use crate::{Error, Result};

/// How deep a tree may be. Each level holds directories of each layer open.
const MAX_DEPTH: usize = 400;

/// Something that is not the same in two trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The path from the root, without a leading slash.
    pub path: PathBuf,
    /// What is there in the first tree.
    pub before: Option<Entry>,
    /// What is there in the second tree.
    pub after: Option<Entry>,
    /// What of it is different, where it is in both and of the same kind.
    pub aspects: Vec<Aspect>,
}

/// Something in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What the system says of it, with the owner that is meant.
    pub metadata: Metadata,
    /// Where it points, if it is a symlink.
    pub target: Option<PathBuf>,
}

/// What can be different of something that both trees have. The time of a directory is no
/// property to compare: it changes with its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aspect {
    /// The permission bits.
    Mode,
    /// The user or group.
    Owner,
    /// The length.
    Size,
    /// The bytes, of the same length.
    Content,
    /// The second of the last modification.
    Time,
    /// Where a symlink points.
    Target,
    /// What a device node stands for.
    Device,
    /// Extended attributes.
    Attributes,
}

/// What the second tree has otherwise than the first, sorted by the components of the paths, a
/// directory before what is in it. All that is in a directory of one of them alone is listed.
///
/// # Errors
/// If one of the trees cannot be read.
pub fn differences(before: &Lower, after: &Lower) -> Result<Vec<Difference>> {
    let failed = |e| Error::tree("open", "/", e);
    let (before, after) = (before.top().map_err(failed)?, after.top().map_err(failed)?);
    let mut all = Vec::new();
    walk(before.as_ref(), after.as_ref(), Path::new(""), 0, &mut all)?;
    Ok(all)
}

fn walk(
    before: Option<&LowerDir>,
    after: Option<&LowerDir>,
    path: &Path,
    depth: usize,
    all: &mut Vec<Difference>,
) -> Result<()> {
    let failed = |e| Error::tree("read", path, e);
    if let (Some(before), Some(after)) = (before, after)
        && before.is_same(after).map_err(failed)?
    {
        return Ok(());
    }
    if depth > MAX_DEPTH {
        return Err(Error::tree("read", path, rustix::io::Errno::NAMETOOLONG));
    }
    let mut names = BTreeSet::new();
    for side in [before, after].into_iter().flatten() {
        names.extend(side.names().map_err(failed)?);
    }
    for name in &names {
        let path = path.join(name);
        let failed = |e| Error::tree("examine", &path, e);
        let first = found(before, name).map_err(|e| e.of(&path))?;
        let second = found(after, name).map_err(|e| e.of(&path))?;
        let difference = match (&first, &second) {
            (Some(first), Some(second)) => {
                let aspects = first.aspects(second).map_err(|e| e.of(&path))?;
                let another = first.entry.metadata.kind != second.entry.metadata.kind;
                (another || !aspects.is_empty()).then_some(aspects)
            }
            (None, None) => None,
            _ => Some(Vec::new()),
        };
        if let Some(aspects) = difference {
            let entry = |found: &Option<Found>| found.as_ref().map(|found| found.entry.clone());
            let (before, after) = (entry(&first), entry(&second));
            all.push(Difference { path: path.clone(), before, after, aspects });
        }
        let below = |side: Option<&LowerDir>, found: &Option<Found>| match (side, found) {
            (Some(side), Some(found)) if found.entry.metadata.kind == FileKind::Dir => {
                side.open_dir(name).map(Some)
            }
            _ => Ok(None),
        };
        let first = below(before, &first).map_err(failed)?;
        let second = below(after, &second).map_err(failed)?;
        if first.is_some() || second.is_some() {
            walk(first.as_ref(), second.as_ref(), &path, depth + 1, all)?;
        }
    }
    Ok(())
}

fn found<'a>(side: Option<&'a LowerDir>, name: &'a OsStr) -> Result<Option<Found<'a>>, Failure> {
    side.map_or(Ok(None), |side| Found::at(side, name))
}

/// Something at its place in a layer.
struct Found<'a> {
    entry: Entry,
    attributes: Vec<(std::ffi::OsString, Vec<u8>)>,
    dir: &'a Dir,
    name: &'a OsStr,
}

impl<'a> Found<'a> {
    fn at(side: &'a LowerDir, name: &'a OsStr) -> Result<Option<Found<'a>>, Failure> {
        let Some((mut metadata, dir)) = side.find(name)? else { return Ok(None) };
        let attributes = split_xattrs(dir, name, &mut metadata)?;
        let target = match metadata.kind {
            FileKind::Symlink => Some(dir.read_link(name)?),
            _ => None,
        };
        Ok(Some(Found { entry: Entry { metadata, target }, attributes, dir, name }))
    }

    fn aspects(&self, other: &Found<'_>) -> Result<Vec<Aspect>, Failure> {
        let (a, b) = (&self.entry.metadata, &other.entry.metadata);
        if a.kind != b.kind || (a.dev, a.ino) == (b.dev, b.ino) {
            return Ok(Vec::new());
        }
        let is_file = a.kind == FileKind::File;
        let mut all = Vec::new();
        let mut note = |is_other: bool, aspect| {
            if is_other {
                all.push(aspect);
            }
        };
        note(a.mode != b.mode && a.kind != FileKind::Symlink, Aspect::Mode);
        note((a.uid, a.gid) != (b.uid, b.gid), Aspect::Owner);
        note(is_file && a.size != b.size, Aspect::Size);
        note(is_file && a.size == b.size && !self.has_content_of(other)?, Aspect::Content);
        // A layer that was built here may still have what its tar has not: parts of seconds.
        note(a.kind != FileKind::Dir && a.mtime.seconds != b.mtime.seconds, Aspect::Time);
        note(self.entry.target != other.entry.target, Aspect::Target);
        note(a.kind.is_device() && a.rdev != b.rdev, Aspect::Device);
        note(self.attributes != other.attributes, Aspect::Attributes);
        Ok(all)
    }

    fn has_content_of(&self, other: &Found<'_>) -> Result<bool, Failure> {
        if self.entry.metadata.size == 0 {
            return Ok(true);
        }
        Ok(same_content(&self.dir.open_file(self.name)?, &other.dir.open_file(other.name)?)?)
    }
}
