//! Snapshots by copying, for where nothing can be mounted.
//!
//! The tree of a snapshot is a plain directory with all that its layers show. What was changed in
//! it is told by the times of change (`ctime`, which no program can set): what changed since the
//! tree was made is compared with the layers, and what is different becomes the upper directory
//! that an overlay would have written.
//!
//! To copy everything for every step would cost as much as the base at each of them. The tree of
//! a step that is done is therefore [remembered](Snapshotter::remember), and whoever builds on
//! its layer takes it over.

mod baseline;
mod entry;
mod gather;
mod materialise;

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::{
    Active, COVERED, Committed, Durability, Place, Scratch, Snapshotter, TREE, View, finish,
};
use crate::change::{Change, DirectoryTimes, Lower, Settled, changes};
use crate::lease::entries;
use crate::root::{Root, Timestamp};
use crate::{Error, Result, whiteout};
use baseline::{Baseline, Directories};
use gather::{Covered, gather};
use materialise::{How, materialise};

/// Makes snapshots by copying.
#[derive(Debug, Default)]
pub struct CopySnapshotter {
    /// Work directories whose tree shows these layers, for whoever comes first.
    remembered: Mutex<HashMap<Vec<PathBuf>, PathBuf>>,
}

impl Snapshotter for CopySnapshotter {
    fn prepare(&self, layers: &[Committed], place: Place, _: Durability) -> Result<Active> {
        let tree = place.work.join(TREE);
        if !Baseline::is_kept(&place)? {
            remove(&tree)?;
            if !self.take_over(layers, &place.work)? {
                self.make(layers, &place)?;
            }
        }
        let root = Root::open(&tree)?;
        Ok(Active { root, mount: None, layers: layers.to_vec(), place, direct: tree })
    }

    fn view(&self, layers: &[Committed], scratch: Scratch<'_>) -> Result<View> {
        let root = Root::open(&scratch()?)?;
        materialise(&lower(layers)?, &root, How::Link)?;
        Ok(View { root, mount: None })
    }

    fn lower(&self, layers: &[Committed]) -> Result<Lower> {
        lower(layers)
    }

    fn refresh(&self, layers: &[Committed], place: &Place) -> Result<()> {
        if Baseline::is_kept(place)? {
            gather_at(place, &lower(layers)?)?;
        }
        Ok(())
    }

    fn changes(&self, active: &Active) -> Result<Vec<Change>> {
        let lower = lower(&active.layers)?;
        gather_at(&active.place, &lower)?;
        changes(&Root::open(&active.place.upper)?, &lower)
    }

    fn commit(
        &self,
        active: Active,
        times: DirectoryTimes,
        latest: Option<Timestamp>,
    ) -> Result<(Committed, Settled)> {
        let lower = lower(&active.layers)?;
        let Place { upper, work } = active.place.clone();
        let directories = gather_at(&active.place, &lower)?;
        // For who takes the tree over.
        Baseline::now(&work, directories)?.keep(&work)?;
        let settled = finish(&upper, &lower, times, latest)?;
        Ok((Committed { tree: upper }, settled))
    }

    fn remember(&self, work: &Path, layers: &[Committed]) -> bool {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.insert(key(layers), work.to_owned()).is_none()
    }
}

impl CopySnapshotter {
    /// Moves a remembered tree that shows these layers to the work directory, if there is one.
    fn take_over(&self, layers: &[Committed], work: &Path) -> Result<bool> {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(from) = remembered.remove(&key(layers)) else { return Ok(false) };
        drop(remembered);
        // The baseline last: with it the tree is whole.
        for name in [TREE, baseline::FILE] {
            match fs::rename(from.join(name), work.join(name)) {
                // It went with the lease that it was made under.
                Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
                answer => answer.map_err(|e| Error::io("take over", &from, e))?,
            }
        }
        Ok(true)
    }

    fn make(&self, layers: &[Committed], place: &Place) -> Result<()> {
        let upper = Root::open(&place.upper)?;
        let written = whiteout::is_implicit(upper.top(), OsStr::new("."))
            .map_err(|e| Error::tree("examine", &place.upper, e))?;
        let mut stack = layers.to_vec();
        if written {
            stack.push(Committed { tree: place.upper.clone() });
        }
        let tree = place.work.join(TREE);
        fs::create_dir(&tree).map_err(|e| Error::io("create", &tree, e))?;
        let directories = materialise(&lower(&stack)?, &Root::open(&tree)?, How::Copy)?;
        // What an overlay wrote may all differ from the layers.
        let baseline =
            if written { Baseline::unknown() } else { Baseline::now(&place.work, directories)? };
        baseline.keep(&place.work)
    }
}

/// What names a stack of layers.
fn key(layers: &[Committed]) -> Vec<PathBuf> {
    layers.iter().map(|layer| layer.tree.clone()).collect()
}

/// The layers shown together: from the last one up that hides all below it.
fn lower(layers: &[Committed]) -> Result<Lower> {
    let mut trees = Vec::new();
    for layer in layers.iter().rev() {
        trees.push(Root::open(&layer.tree)?.into_top());
        let opaque = whiteout::is_opaque_layer(&layer.tree);
        if opaque.map_err(|e| Error::tree("examine", &layer.tree, e))? {
            break;
        }
    }
    Ok(Lower::of_layers(trees))
}

fn remove(tree: &Path) -> Result<()> {
    let (Some(work), Some(name)) = (tree.parent(), tree.file_name()) else { return Ok(()) };
    Root::open(work)?.top().remove_tree(name).map_err(|e| Error::tree("remove", tree, e))
}

/// Brings the upper directory up to date with the tree, and gives the directories of that.
fn gather_at(place: &Place, lower: &Lower) -> Result<Directories> {
    let tree = Root::open(&place.work.join(TREE))?;
    let upper = Root::open(&place.upper)?;
    let covered = covered(&place.work)?;
    gather(&tree, lower, &Baseline::read(&place.work)?, &covered, &upper)
}

/// What is covered in the tree at the moment.
fn covered(work: &Path) -> Result<Covered> {
    let aside = work.join(COVERED);
    let mut by_place = HashMap::new();
    for name in entries(&aside)? {
        let Some(entry) = name.strip_suffix(".place") else { continue };
        let note = aside.join(&name);
        let place = match fs::read(&note) {
            Ok(bytes) => PathBuf::from(OsString::from_vec(bytes)),
            // It was put back meanwhile.
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            Err(e) => return Err(Error::io("read", &note, e)),
        };
        by_place.insert(place, OsString::from(entry));
    }
    let aside = if by_place.is_empty() { None } else { Some(Root::open(&aside)?.into_top()) };
    Ok(Covered { aside, by_place })
}
