//! What a container was lent that its keeper did not give back, because it was killed.
//!
//! Where nothing can be mounted a volume is moved into the tree of the container that uses it, and
//! back when that ends. As `0.lent`, … beside the notes of what it hides stands where it was.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::Store;
use super::containers::Container;
use crate::lease::entries;
use crate::root::Root;
use crate::snapshot::COVERED;
use crate::{Error, Result};

impl Container {
    /// The directory with all that it sees, where snapshots are copies.
    pub fn tree(&self) -> PathBuf {
        self.work().join(crate::snapshot::TREE)
    }
}

impl Store {
    /// Brings what a container was lent back to where it was, unless the container runs.
    pub(crate) fn give_back(&self, container: &Container) -> Result<()> {
        match container.state.is_running() {
            true => Ok(()),
            false => bring_back(container),
        }
    }
}

/// The same of one that only the caller has.
pub(super) fn bring_back(container: &Container) -> Result<()> {
    let aside = container.work().join(COVERED);
    for name in entries(&aside)? {
        let Some(number) = name.strip_suffix(".lent") else { continue };
        let (Some(from), Some(place)) =
            (note(&aside, &name)?, note(&aside, &format!("{number}.place"))?)
        else {
            continue;
        };
        give_back(&container.tree(), &place, &from)?;
    }
    Ok(())
}

/// What a note says; nothing if it has gone meanwhile.
fn note(aside: &Path, name: &str) -> Result<Option<PathBuf>> {
    let path = aside.join(name);
    match fs::read(&path) {
        Ok(bytes) => Ok(Some(PathBuf::from(OsString::from_vec(bytes)))),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("read", &path, e)),
    }
}

/// Moves what stands at `place` of a tree to where it was, if that place is empty.
fn give_back(tree: &Path, place: &Path, to: &Path) -> Result<()> {
    let (Some(parent), Some(name)) = (to.parent(), to.file_name()) else { return Ok(()) };
    // What went with the lease it was made under has no place any more.
    if to.exists() || !parent.exists() {
        return Ok(());
    }
    let tree = Root::open(tree)?;
    let (from, from_name) = tree.parent(place)?;
    let parent = Root::open(parent)?;
    match from.rename_noreplace(from_name, parent.top(), name) {
        // Somebody else was faster.
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::EXIST) => Ok(()),
        result => result.map_err(|e| Error::tree("give back", place, e)),
    }
}
