//! Open directories of the tree being filled, by their names in the archive.
//!
//! An archive names a directory and then its files, so the same few directories are needed again
//! and again. Opening one by its whole path costs more than creating a file in it.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::rc::Rc;

use crate::root::Dir;

/// How many directories are held open. What an archive names in turn is seldom deeper.
const MAX_OPEN: usize = 64;

/// An open directory, and which group new files in it get.
pub(super) struct Parent {
    pub(super) dir: Dir,
    group: Cell<Option<u32>>,
}

impl Parent {
    /// The group that a file got by being created here: the process's, or the directory's if that
    /// is set-group-ID or the file system is mounted so. The first file tells for all.
    pub(super) fn group_of_new(&self, file: &File) -> std::io::Result<u32> {
        if let Some(group) = self.group.get() {
            return Ok(group);
        }
        let group = file.metadata()?.gid();
        self.group.set(Some(group));
        Ok(group)
    }
}

/// The directories held open.
#[derive(Default)]
pub(super) struct Parents {
    last: Option<(Vec<u8>, Rc<Parent>)>,
    open: HashMap<Vec<u8>, Rc<Parent>>,
}

impl Parents {
    pub(super) fn get(&mut self, path: &[u8]) -> Option<Rc<Parent>> {
        if let Some((last, parent)) = &self.last
            && last == path
        {
            return Some(Rc::clone(parent));
        }
        let parent = Rc::clone(self.open.get(path)?);
        self.last = Some((path.to_vec(), Rc::clone(&parent)));
        Some(parent)
    }

    pub(super) fn put(&mut self, path: &[u8], dir: Dir) -> Rc<Parent> {
        if self.open.len() >= MAX_OPEN {
            self.open.clear();
        }
        let parent = Rc::new(Parent { dir, group: Cell::new(None) });
        self.open.insert(path.to_vec(), Rc::clone(&parent));
        self.last = Some((path.to_vec(), Rc::clone(&parent)));
        parent
    }

    /// Forgets `path`, whose attributes change.
    pub(super) fn forget(&mut self, path: &[u8]) {
        self.open.remove(path);
        self.last.take_if(|(last, _)| last == path);
    }

    /// Forgets all, since what names lead to changes.
    pub(super) fn forget_all(&mut self) {
        self.open.clear();
        self.last = None;
    }
}
