//! Walks an upper directory with the lower tree beside it.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::compare::same;
use super::lower::{Lower, LowerDir};
use super::{Change, ChangeKind};
use crate::root::{Dir, FileKind, Metadata, Root, Timestamp};
use crate::whiteout;
use crate::{Error, Result};

/// How deep a tree may be. Each level holds two directories open.
const MAX_DEPTH: usize = 400;

/// What a walk finds.
#[derive(Default)]
pub(super) struct Found {
    /// What changed, in order.
    pub(super) changes: Vec<Change>,
    /// What is in the upper and says nothing: copies that equal the lower, whiteouts of nothing.
    /// A directory is here if nothing in it changed, after what is in it.
    pub(super) idle: Vec<Idle>,
    /// The directories of the upper, the root (the empty path) first.
    pub(super) dirs: Vec<UpperDir>,
    /// What is deleted only because a directory above it is opaque.
    pub(super) hidden: Vec<PathBuf>,
}

/// Something in the upper that says nothing.
pub(super) struct Idle {
    pub(super) path: PathBuf,
    pub(super) is_dir: bool,
    /// What it is the same file as, if it has several names.
    pub(super) link: Option<(u64, u64)>,
}

/// A directory of the upper.
pub(super) struct UpperDir {
    pub(super) path: PathBuf,
    pub(super) mtime: Timestamp,
    /// The time that the lower directory has, if this one is a copy of it whose attributes are
    /// unchanged.
    pub(super) lower_mtime: Option<Timestamp>,
    /// Whether it hides what the lower has in it.
    pub(super) opaque: bool,
}

/// A directory being walked.
struct Level {
    upper: Dir,
    lower: Option<LowerDir>,
    path: PathBuf,
    /// Names left, last first: in the upper, or only in the lower and hidden.
    todo: Vec<(OsString, Place)>,
    /// Whether the lower is hidden here: what is not in the upper too is deleted.
    hides: bool,
    /// Where this directory stands in the changes if it may yet be none.
    pending: Option<usize>,
}

/// Where a name stands, and in the upper as what.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Upper(FileKind),
    LowerOnly,
}

pub(super) fn walk(upper: &Root, lower: &Lower) -> Result<Found> {
    let failed = |e| Error::tree("open", "/", e);
    let top = upper.top().try_clone().map_err(failed)?;
    let below = lower.top().map_err(failed)?;
    let mut found = Found::default();
    let metadata = top.metadata().map_err(failed)?;
    found.dirs.push(UpperDir {
        path: PathBuf::new(),
        mtime: metadata.mtime,
        lower_mtime: None,
        opaque: false,
    });
    let mut levels = vec![Level::enter(top, below, PathBuf::new(), false, None)?];
    while let Some(level) = levels.last_mut() {
        let Some((name, place)) = level.todo.pop() else {
            if let Some(level) = levels.pop() {
                found.leave(&level);
            }
            continue;
        };
        let path = level.path.join(&name);
        let below = match place {
            Place::LowerOnly => {
                found.hidden.push(path.clone());
                found.change(path, ChangeKind::Deleted);
                continue;
            }
            // Nothing below is like it, whatever it is; a directory has a time to keep, and
            // some special files may be whiteouts.
            Place::Upper(kind)
                if level.lower.is_none()
                    && kind != FileKind::Dir
                    && !whiteout::may_be_whiteout(kind) =>
            {
                found.change(path, ChangeKind::Added);
                continue;
            }
            Place::Upper(_) => found.visit(level, &name, &path).map_err(|e| e.of(&path))?,
        };
        if let Some((upper, lower, hides, pending)) = below {
            if levels.len() >= MAX_DEPTH {
                return Err(Error::tree("descend into", &path, Errno::NAMETOOLONG));
            }
            levels.push(Level::enter(upper, lower, path, hides, pending)?);
        }
    }
    Ok(found)
}

/// What a file is the same as, if it has several names.
pub(super) fn link(metadata: &Metadata) -> Option<(u64, u64)> {
    (metadata.nlink > 1 && metadata.kind != FileKind::Dir).then_some((metadata.dev, metadata.ino))
}

/// A directory to go into: the upper's, the lower's, whether the lower is hidden in it, and where
/// it stands in the changes if it may yet be none.
type Below = Option<(Dir, Option<LowerDir>, bool, Option<usize>)>;

impl Found {
    fn visit(&mut self, level: &Level, name: &OsStr, path: &Path) -> Result<Below, Failure> {
        let Some(now) = level.upper.stat(name)? else { return Ok(None) };
        let before = match &level.lower {
            Some(lower) => lower.find(name)?,
            None => None,
        };
        if whiteout::is_whiteout(&now) {
            if before.is_some() {
                self.change(path.to_owned(), ChangeKind::Deleted);
            } else {
                self.idle.push(Idle { path: path.to_owned(), is_dir: false, link: None });
            }
            return Ok(None);
        }
        if now.kind == FileKind::Dir {
            let before = before.map(|(before, _)| before);
            return self.visit_dir(level, name, path, &now, before.as_ref()).map(Some);
        }
        let kind = match &before {
            None => Some(ChangeKind::Added),
            Some((before, _)) if before.kind != now.kind => Some(ChangeKind::Modified),
            Some((before, lower)) => {
                (!same(&level.upper, lower, name, &now, before)?).then_some(ChangeKind::Modified)
            }
        };
        match kind {
            Some(kind) => self.change(path.to_owned(), kind),
            None => {
                self.idle.push(Idle { path: path.to_owned(), is_dir: false, link: link(&now) });
            }
        }
        Ok(None)
    }

    /// A directory, compared by handles on it: calls by its path would walk that again each time.
    fn visit_dir(
        &mut self,
        level: &Level,
        name: &OsStr,
        path: &Path,
        now: &Metadata,
        before: Option<&Metadata>,
    ) -> Result<(Dir, Option<LowerDir>, bool, Option<usize>), Failure> {
        let this = OsStr::new(".");
        let upper = level.upper.open_dir(name)?;
        let merges = before.filter(|before| before.kind == FileKind::Dir);
        let lower = match (&level.lower, merges) {
            (Some(lower), Some(_)) => Some(lower.open_dir(name)?),
            _ => None,
        };
        let kind = match (before, merges.zip(lower.as_ref().and_then(LowerDir::shown))) {
            (None, _) => Some(ChangeKind::Added),
            (Some(_), None) => Some(ChangeKind::Modified),
            (Some(_), Some((before, shown))) => {
                (!same(&upper, shown, this, now, before)?).then_some(ChangeKind::Modified)
            }
        };
        let opaque = whiteout::is_opaque(&upper, this)?;
        let pending = kind.is_none().then_some(self.changes.len());
        self.change(path.to_owned(), kind.unwrap_or(ChangeKind::Modified));
        self.dirs.push(UpperDir {
            path: path.to_owned(),
            mtime: now.mtime,
            lower_mtime: merges.filter(|_| kind.is_none()).map(|before| before.mtime),
            opaque,
        });
        let hides = level.hides || opaque;
        Ok((upper, lower, hides, pending))
    }

    /// Takes back a directory that turned out to be no change.
    fn leave(&mut self, level: &Level) {
        if let Some(at) = level.pending
            && self.changes.len() == at + 1
        {
            self.changes.pop();
            self.idle.push(Idle { path: level.path.clone(), is_dir: true, link: None });
        }
    }

    fn change(&mut self, path: PathBuf, kind: ChangeKind) {
        self.changes.push(Change { path, kind });
    }
}

impl Level {
    fn enter(
        mut upper: Dir,
        lower: Option<LowerDir>,
        path: PathBuf,
        hides: bool,
        pending: Option<usize>,
    ) -> Result<Level> {
        let failed = |e| Error::tree("list the directory", &path, e);
        let mut todo: Vec<(OsString, Place)> = upper
            .read_by_itself()
            .map_err(failed)?
            .into_iter()
            .map(|(name, kind)| (name, Place::Upper(kind)))
            .collect();
        if hides && let Some(lower) = &lower {
            let there: HashSet<OsString> = todo.iter().map(|(name, _)| name.clone()).collect();
            let hidden = lower.names().map_err(failed)?.into_iter();
            let hidden = hidden.filter(|name| !there.contains(name));
            todo.extend(hidden.map(|name| (name, Place::LowerOnly)));
        }
        todo.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
        Ok(Level { upper, lower, path, todo, hides, pending })
    }
}

/// A failure whose path is not known yet.
pub(super) struct Failure(pub(super) std::io::Error);

impl Failure {
    pub(super) fn of(self, path: &Path) -> Error {
        Error::tree("compare", path, self.0)
    }
}

impl From<Errno> for Failure {
    fn from(error: Errno) -> Failure {
        Failure(error.into())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure(error)
    }
}
