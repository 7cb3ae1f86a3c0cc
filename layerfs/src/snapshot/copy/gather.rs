//! What changed in a tree since it was made, as an overlay would have written it.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use rustix::io::Errno;

use super::baseline::{Baseline, Directories};
use super::entry::{self, Links};
use crate::change::{Lower, LowerDir};
use crate::root::{Dir, FileKind, Metadata, Root};
use crate::snapshot::implicit::copy_attributes;
use crate::{Error, Result, whiteout};

/// Fills `upper`, after it is emptied, with what changed in `tree` since `baseline`, and with
/// whiteouts of what `lower` shows and the tree has no more. What was touched and is as before is
/// there, too; [`settle`](crate::settle) and [`changes`](crate::changes) tell. Gives the
/// directories of the tree.
pub(super) fn gather(
    tree: &Root,
    lower: &Lower,
    baseline: &Baseline,
    covered: &Covered,
    upper: &Root,
) -> Result<Directories> {
    let failed = |e| Error::tree("gather", "/", e);
    upper.top().clear().map_err(failed)?;
    let below = lower.top().map_err(failed)?;
    let top = Upper { above: None, name: OsStr::new("."), dir: OnceCell::new() };
    let root = upper.top().try_clone().map_err(failed)?;
    let root = top.dir.get_or_init(|| root);
    let (links, directories) = (Links::default(), Directories::new());
    let mut work = Work { baseline, covered, upper, links, directories };
    work.directory(tree.top(), below.as_ref(), &top, &mut PathBuf::new(), Trust::Times)?;
    whiteout::mark_implicit(root, OsStr::new(".")).map_err(failed)?;
    Ok(work.directories)
}

/// A directory of the upper, made when there is something to put into it.
struct Upper<'a> {
    above: Option<&'a Upper<'a>>,
    name: &'a OsStr,
    dir: OnceCell<Dir>,
}

impl Upper<'_> {
    fn get(&self) -> rustix::io::Result<&Dir> {
        if let Some(dir) = self.dir.get() {
            return Ok(dir);
        }
        let above = self.above.ok_or(Errno::BADF)?.get()?;
        above.mkdir(self.name, 0o700)?;
        let dir = above.open_dir(self.name)?;
        Ok(self.dir.get_or_init(|| dir))
    }
}

/// What is covered by something that is no part of the tree.
pub(super) struct Covered {
    /// The directory that it is in meanwhile, if there is any.
    pub(super) aside: Option<Dir>,
    /// Its names there, by its paths in the tree.
    pub(super) by_place: HashMap<PathBuf, OsString>,
}

/// How it is known what in a directory was touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// By the times of change.
    Times,
    /// It is not: the directory came here from elsewhere, with all that is in it.
    Nothing,
}

struct Work<'a> {
    baseline: &'a Baseline,
    covered: &'a Covered,
    upper: &'a Root,
    links: Links,
    directories: Directories,
}

impl Work<'_> {
    /// Goes through one directory of the tree.
    fn directory(
        &mut self,
        tree: &Dir,
        lower: Option<&LowerDir>,
        upper: &Upper<'_>,
        path: &mut PathBuf,
        trust: Trust,
    ) -> Result<()> {
        let failed = |path: &PathBuf, e| Error::tree("gather", path, e);
        let this = tree.metadata().map_err(|e| failed(path, e))?;
        self.directories.insert(path.clone(), this.ino);
        let names = tree.read().map_err(|e| Error::tree("list the directory", &*path, e))?;
        if trust == Trust::Nothing || self.baseline.is_touched(&this) {
            let gone = match lower {
                Some(lower) => gone(lower, &names),
                None => Ok(Vec::new()),
            };
            let hide = gone.and_then(|gone| {
                upper.get()?;
                gone.iter().try_for_each(|name| whiteout::make_whiteout(upper.get()?, name))
            });
            hide.map_err(|e| failed(path, e))?;
        }
        for (name, _) in names {
            path.push(&name);
            // What is covered is looked at in place of what covers it.
            let source = match (&self.covered.aside, self.covered.by_place.get(path)) {
                (Some(aside), Some(entry)) => (aside, entry.as_os_str()),
                _ => (tree, name.as_os_str()),
            };
            self.entry(source, &name, lower, upper, path, trust)?;
            path.pop();
        }
        // Last: what is made in a directory changes its time.
        match upper.dir.get() {
            Some(made) => copy_attributes(tree, made).map_err(|e| Error::tree("copy", &*path, e)),
            None => Ok(()),
        }
    }

    fn entry(
        &mut self,
        (tree, from): (&Dir, &OsStr),
        name: &OsStr,
        lower: Option<&LowerDir>,
        upper: &Upper<'_>,
        path: &mut PathBuf,
        trust: Trust,
    ) -> Result<()> {
        let failed = |path: &PathBuf, e| Error::tree("gather", path, e);
        let metadata = tree.stat(from).map_err(|e| failed(path, e))?;
        // A container that runs may have removed it meanwhile.
        let Some(metadata) = metadata else { return Ok(()) };
        if metadata.kind == FileKind::Socket {
            return self.socket(&metadata, lower, upper, name).map_err(|e| failed(path, e));
        }
        if metadata.kind != FileKind::Dir {
            if trust == Trust::Times && !self.baseline.is_touched(&metadata) {
                return Ok(());
            }
            let to = upper.get().map_err(|e| failed(path, e))?;
            return match self.links.first(&metadata, path) {
                Some(first) => entry::link(self.upper, first, to, name),
                None => {
                    entry::copy((tree, from), &metadata, (to, name)).map_err(|e| failed(path, e))
                }
            };
        }
        let below = match lower {
            Some(lower) => dir_of(lower, name).map_err(|e| failed(path, e))?,
            None => None,
        };
        let dir = tree.open_dir(from).map_err(|e| failed(path, e))?;
        let made = Upper { above: Some(upper), name, dir: OnceCell::new() };
        let trust = match self.baseline.stood_at(path, &metadata) {
            true => trust,
            false => Trust::Nothing,
        };
        self.directory(&dir, below.as_ref(), &made, path, trust)
    }
}

impl Work<'_> {
    /// No layer has sockets: what one stands in the place of is gone.
    fn socket(
        &self,
        metadata: &Metadata,
        lower: Option<&LowerDir>,
        upper: &Upper<'_>,
        name: &OsStr,
    ) -> rustix::io::Result<()> {
        match lower {
            Some(lower) if self.baseline.is_touched(metadata) && lower.find(name)?.is_some() => {
                whiteout::make_whiteout(upper.get()?, name)
            }
            _ => Ok(()),
        }
    }
}

/// The directory `name` of the layers below, if it is one there.
fn dir_of(lower: &LowerDir, name: &OsStr) -> rustix::io::Result<Option<LowerDir>> {
    match lower.find(name)? {
        Some((metadata, _)) if metadata.kind == FileKind::Dir => lower.open_dir(name).map(Some),
        _ => Ok(None),
    }
}

/// The names that the layers below show and the tree has not.
fn gone(lower: &LowerDir, names: &[(OsString, FileKind)]) -> rustix::io::Result<Vec<OsString>> {
    let there: HashSet<&OsStr> = names.iter().map(|(name, _)| name.as_os_str()).collect();
    let shown = lower.names()?;
    Ok(shown.into_iter().filter(|name| !there.contains(name.as_os_str())).collect())
}
