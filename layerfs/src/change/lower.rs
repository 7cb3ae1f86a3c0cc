//! The layers below an upper directory, shown together without being mounted.
//!
//! A few names are looked up, and overlayfs would have to be set up, to look in each layer itself,
//! and to forget it all again; so they are looked up in the layers, topmost first.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;

use rustix::io::{Errno, Result};

use crate::root::{Dir, Metadata};
use crate::whiteout;

/// What the layers below an upper directory show together. The default shows nothing: there are
/// no layers.
#[derive(Debug, Default)]
pub struct Lower {
    top: LowerDir,
    /// Keeps the tree there while it is looked at.
    _mount: Option<OwnedFd>,
}

impl Lower {
    /// What `trees` show, the topmost first. What the root of one that is opaque hides is not to
    /// be among them.
    pub(crate) fn of_layers(trees: Vec<Dir>) -> Lower {
        Lower { top: LowerDir(trees), _mount: None }
    }

    /// One tree, which shows what it has; and its mount, if it is one.
    pub(crate) fn of_tree(tree: Dir, mount: Option<OwnedFd>) -> Lower {
        Lower { top: LowerDir(vec![tree]), _mount: mount }
    }

    /// The root directory; `None` if there are no layers.
    pub(crate) fn top(&self) -> Result<Option<LowerDir>> {
        if self.top.0.is_empty() {
            return Ok(None);
        }
        self.top.0.iter().map(Dir::try_clone).collect::<Result<_>>().map(LowerDir).map(Some)
    }
}

/// One directory of the layers below: the directories that are shown as one, topmost first.
#[derive(Debug, Default)]
pub(crate) struct LowerDir(Vec<Dir>);

impl LowerDir {
    /// The one whose attributes are shown.
    pub(crate) fn shown(&self) -> Option<&Dir> {
        self.0.first()
    }

    /// Whether it shows the very directories that `other` shows.
    pub(crate) fn is_same(&self, other: &LowerDir) -> Result<bool> {
        if self.0.len() != other.0.len() {
            return Ok(false);
        }
        for (a, b) in self.0.iter().zip(&other.0) {
            let (a, b) = (a.metadata()?, b.metadata()?);
            if (a.dev, a.ino) != (b.dev, b.ino) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What is at `name`, and in which of the directories.
    pub(crate) fn find(&self, name: &OsStr) -> Result<Option<(Metadata, &Dir)>> {
        for dir in &self.0 {
            if let Some(found) = dir.stat(name)? {
                return Ok((!whiteout::is_whiteout(&found)).then_some((found, dir)));
            }
        }
        Ok(None)
    }

    /// The directory `name`, which is there.
    pub(crate) fn open_dir(&self, name: &OsStr) -> Result<LowerDir> {
        let mut shown = Vec::new();
        for dir in &self.0 {
            let opened = match dir.open_dir(name) {
                Ok(opened) => opened,
                Err(Errno::NOENT) => continue,
                // A whiteout, or something else: it hides what is below.
                Err(Errno::NOTDIR | Errno::LOOP) => break,
                Err(e) => return Err(e),
            };
            let opaque = whiteout::is_opaque(&opened, OsStr::new("."))?;
            shown.push(opened);
            if opaque {
                break;
            }
        }
        Ok(LowerDir(shown))
    }

    /// The names that are shown, in no order.
    pub(crate) fn names(&self) -> Result<Vec<OsString>> {
        let mut seen = HashSet::new();
        let mut shown = Vec::new();
        for dir in &self.0 {
            for (name, kind) in dir.read()? {
                if !seen.insert(name.clone()) {
                    continue;
                }
                let hidden = whiteout::may_be_whiteout(kind)
                    && dir.stat(&name)?.is_some_and(|found| whiteout::is_whiteout(&found));
                if !hidden {
                    shown.push(name);
                }
            }
        }
        Ok(shown)
    }
}
