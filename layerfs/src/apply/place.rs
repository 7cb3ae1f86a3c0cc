//! Puts one entry after the other into a tree.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::io::Errno;

use super::attributes::{Attributes, Refusal};
use super::finisher::Finisher;
use super::name::{below, clean, split_clean};
use super::parents::{Parent, Parents};
use super::{
    Applied, ApplyOptions, Archive, Content, Entry, EntryFault, IMPLICIT_TIME, IdMode, Overrides,
    make_implicit, still_implicit,
};
use crate::root::{Dir, FileKind, Root, Timestamp};
use crate::whiteout;
use crate::{Error, Result};

/// A tree being filled from an archive.
pub(crate) struct Placer<'t> {
    tree: &'t Root,
    /// Whether the tree is a layer of its own; else it is what layers show together.
    layer: bool,
    /// The directory that the archive's names begin in, clean.
    base: Vec<u8>,
    attributes: Attributes,
    finisher: Option<Finisher>,
    parents: Parents,
    /// Directories and the times they get at the end, when nothing is put into them any more.
    times: Vec<(Vec<u8>, Timestamp)>,
    implicit: Vec<PathBuf>,
    max_entries: u64,
    max_bytes: u64,
    applied: Applied,
}

impl<'t> Placer<'t> {
    /// Fills a layer's own directory.
    pub(crate) fn for_layer(layer: &'t Root, options: &ApplyOptions) -> Result<Placer<'t>> {
        let mut placer = Placer::for_tree(layer, Vec::new(), options.ids, Overrides::default());
        placer.layer = true;
        placer.finisher = options.finish_apart.then(|| Finisher::new(placer.attributes.giver));
        placer.max_entries = options.max_entries.unwrap_or(u64::MAX);
        placer.max_bytes = options.max_bytes.unwrap_or(u64::MAX);
        placer.times.push((Vec::new(), IMPLICIT_TIME));
        Ok(placer)
    }

    /// Adds to a tree that exists, below the clean path `base`.
    pub(crate) fn for_tree(
        tree: &'t Root,
        base: Vec<u8>,
        ids: IdMode,
        overrides: Overrides,
    ) -> Placer<'t> {
        Placer {
            tree,
            layer: false,
            base,
            attributes: Attributes::new(ids, overrides),
            finisher: None,
            parents: Parents::default(),
            times: Vec::new(),
            implicit: Vec::new(),
            max_entries: u64::MAX,
            max_bytes: u64::MAX,
            applied: Applied::default(),
        }
    }

    /// Counts an entry, and refuses it if there are too many.
    pub(crate) fn count(&mut self, entry: &Entry) -> Result<()> {
        self.applied.entries += 1;
        let size = entry.sparse.as_ref().map_or(entry.stored, |sparse| sparse.real_size);
        self.applied.bytes = self.applied.bytes.saturating_add(size);
        if self.applied.entries > self.max_entries {
            return Err(EntryFault::TooManyEntries(self.max_entries).of(&entry.path));
        }
        if self.applied.bytes > self.max_bytes {
            return Err(EntryFault::TooManyBytes(self.max_bytes).of(&entry.path));
        }
        Ok(())
    }

    /// Gives the root what the archive says of it.
    pub(crate) fn place_root(&mut self, entry: &Entry) -> Result<()> {
        if entry.content != Content::Dir {
            return Err(EntryFault::RootNotDirectory.of(&entry.path));
        }
        let root = self.parent(b"", entry)?;
        let this = OsStr::new(".");
        self.attributes
            .finish(entry, FileKind::Dir, &root, this)
            .and_then(|()| Ok(whiteout::clear_implicit(&root.dir, this)?))
            .map_err(refused(entry, "set the attributes of"))?;
        self.parents.forget(b"");
        self.times.push((Vec::new(), entry.mtime));
        Ok(())
    }

    /// Puts an entry at `name` in the directory `parent`; both are clean.
    pub(crate) fn place(
        &mut self,
        entry: &Entry,
        parent_path: &[u8],
        name: &[u8],
        archive: &mut Archive<'_>,
    ) -> Result<()> {
        let parent = self.parent(parent_path, entry)?;
        let name = OsStr::from_bytes(name);
        let failed = |operation| refused(entry, operation);
        match &entry.content {
            Content::File => self.place_file(entry, &parent, name, archive),
            Content::Dir => self
                .place_dir(entry, &parent, parent_path, name)
                .map_err(failed("create the directory")),
            Content::Symlink(target) => self
                .make(&parent, name, |dir| dir.symlink(path(target), name))
                .map_err(Refusal::from)
                .and_then(|()| self.attributes.finish(entry, FileKind::Symlink, &parent, name))
                .map_err(failed("create the symlink")),
            Content::HardLink(target) => self.place_link(entry, &parent, name, target),
            Content::Fifo => self
                .make(&parent, name, |dir| dir.mknod(name, FileKind::Fifo, entry.mode, (0, 0)))
                .map_err(Refusal::from)
                .and_then(|()| self.attributes.finish(entry, FileKind::Fifo, &parent, name))
                .map_err(failed("create the fifo")),
            Content::CharDevice(major, minor) => self
                .place_device(entry, &parent, name, (FileKind::CharDevice, *major, *minor))
                .map_err(failed("create the device")),
            Content::BlockDevice(major, minor) => self
                .place_device(entry, &parent, name, (FileKind::BlockDevice, *major, *minor))
                .map_err(failed("create the device")),
        }
    }

    fn place_file(
        &mut self,
        entry: &Entry,
        parent: &Parent,
        name: &OsStr,
        archive: &mut Archive<'_>,
    ) -> Result<()> {
        let failed = |e: std::io::Error| Error::tree("write the file", shown(entry), e);
        let mut file = self
            .make(parent, name, |dir| dir.create_file(name, entry.mode))
            .map_err(|e| Error::tree("create the file", shown(entry), e))?;
        let group =
            parent.group_of_new(&file).map_err(|e| Error::tree("examine", shown(entry), e))?;
        if let Some(finisher) = self.finisher.as_mut().filter(|_| Finisher::takes(entry)) {
            return finisher.take(file, entry, group, |buffer| {
                archive.read_data(&mut |bytes| {
                    buffer.extend_from_slice(bytes);
                    Ok(())
                })
            });
        }
        if let Some(sparse) = &entry.sparse {
            file.set_len(sparse.real_size).map_err(failed)?;
            for piece in &sparse.pieces {
                let (mut at, mut left) = (piece.offset, piece.length);
                while left > 0 {
                    let n = archive.read_some_data(left, &mut |bytes| {
                        file.write_all_at(bytes, at).map_err(failed)
                    })?;
                    at += n;
                    left -= n;
                }
            }
        } else {
            archive.read_data(&mut |bytes| file.write_all(bytes).map_err(failed))?;
        }
        self.attributes
            .finish_file(entry, &file, group)
            .map_err(refused(entry, "set the attributes of"))
    }

    fn place_dir(
        &mut self,
        entry: &Entry,
        parent: &Parent,
        parent_path: &[u8],
        name: &OsStr,
    ) -> Result<(), Refusal> {
        let path = below(parent_path, name.as_bytes());
        match parent.dir.mkdir(name, entry.mode) {
            Err(Errno::EXIST) => {
                let there = parent.dir.stat(name)?;
                if there.is_some_and(|there| there.kind == FileKind::Dir) {
                    // Named before, or needed before it is named.
                    if self.layer {
                        whiteout::clear_implicit(&parent.dir, name)?;
                    }
                    self.parents.forget(&path);
                } else {
                    let hides = self.layer && there.as_ref().is_some_and(whiteout::is_whiteout);
                    self.remove(parent, name)?;
                    parent.dir.mkdir(name, entry.mode)?;
                    if hides {
                        whiteout::make_opaque(&parent.dir, name)?;
                    }
                }
            }
            answer => answer?,
        }
        self.attributes.finish(entry, FileKind::Dir, parent, name)?;
        self.times.push((path, entry.mtime));
        Ok(())
    }

    fn place_link(
        &mut self,
        entry: &Entry,
        parent: &Parent,
        name: &OsStr,
        target: &[u8],
    ) -> Result<()> {
        let shown_target = || String::from_utf8_lossy(target).into_owned();
        let missing = || EntryFault::LinkTargetMissing(shown_target()).of(&entry.path);
        let invalid = || EntryFault::LinkTargetInvalid(shown_target()).of(&entry.path);
        let failed = |e: Errno| Error::tree("create the hard link", shown(entry), e);
        let clean_target = below(&self.base, &clean(target).map_err(|_| invalid())?);
        let (from_path, from_name) = split_clean(&clean_target).ok_or_else(invalid)?;
        let from_name = OsStr::from_bytes(from_name);
        let from = match self.parents.get(from_path) {
            Some(parent) => parent,
            None => match self.tree.open_dir(path(from_path)) {
                Ok(dir) => self.parents.put(from_path, dir),
                Err(_) => return Err(missing()),
            },
        };
        match from.dir.stat(from_name).map_err(failed)? {
            None => return Err(missing()),
            Some(there) if there.kind == FileKind::Dir => return Err(invalid()),
            Some(there) if self.layer && whiteout::is_whiteout(&there) => return Err(missing()),
            Some(there) => {
                if let Some(here) = parent.dir.stat(name).map_err(failed)? {
                    if (here.dev, here.ino) == (there.dev, there.ino) {
                        return Ok(());
                    }
                    self.remove(parent, name).map_err(failed)?;
                }
            }
        }
        parent.dir.hard_link(&from.dir, from_name, name).map_err(|e| match e {
            Errno::NOENT => missing(),
            e => failed(e),
        })
    }

    fn place_device(
        &mut self,
        entry: &Entry,
        parent: &Parent,
        name: &OsStr,
        (kind, major, minor): (FileKind, u32, u32),
    ) -> Result<(), Refusal> {
        let rdev = (major, minor);
        let made = self.make(parent, name, |dir| match whiteout::is_harmless(kind, rdev) {
            true => dir.mknod(name, kind, entry.mode, rdev),
            // As the kernel answers who may not: that the name is free comes first.
            false => dir.stat(name)?.map_or(Err(Errno::PERM), |_| Err(Errno::EXIST)),
        });
        match made {
            Err(Errno::PERM) => self.attributes.giver.stand_in(entry, kind, rdev, parent, name),
            Err(e) => Err(e.into()),
            Ok(()) => self.attributes.finish(entry, kind, parent, name),
        }
    }

    /// Hides what the directory `parent` has in lower layers.
    pub(crate) fn hide_lower(&mut self, entry: &Entry, parent: &[u8]) -> Result<()> {
        let dir = self.parent(parent, entry)?;
        whiteout::make_opaque(&dir.dir, OsStr::new("."))
            .map_err(|e| Error::tree("make opaque", path(parent), e))
    }

    /// Hides what lower layers have at `name` in `parent`. What this layer has there stays, since
    /// a whiteout is about lower layers only.
    pub(crate) fn white_out(&mut self, entry: &Entry, parent: &[u8], name: &[u8]) -> Result<()> {
        let parent = self.parent(parent, entry)?;
        let name = OsStr::from_bytes(name);
        let hide = || match parent.dir.stat(name)? {
            None => whiteout::make_whiteout(&parent.dir, name),
            Some(there) if there.kind == FileKind::Dir => whiteout::make_opaque(&parent.dir, name),
            Some(_) => Ok(()),
        };
        hide().map_err(|e| Error::tree("create the whiteout", shown(entry), e))
    }

    /// Sets what could not be set before, and says what came of it all.
    pub(crate) fn finish(mut self) -> Result<Applied> {
        if let Some(finisher) = &mut self.finisher {
            self.attributes.skipped += finisher.end()?;
        }
        let times = std::mem::take(&mut self.times);
        let implicit = std::mem::take(&mut self.implicit);
        self.parents.forget_all();
        // An implicit directory that got a name later is in both lists: the name wins.
        let implicit_times = implicit.iter().map(|p| (p.as_os_str().as_bytes(), IMPLICIT_TIME));
        let named_times = times.iter().map(|(p, time)| (p.as_slice(), *time));
        for (dir, time) in implicit_times.chain(named_times) {
            let set = match split_clean(dir) {
                None => self.tree.top().set_mtime(".", time),
                Some((parent, name)) => {
                    let parent = match self.parents.get(parent) {
                        Some(parent) => parent,
                        None => match self.tree.open_dir(path(parent)) {
                            Ok(dir) => self.parents.put(parent, dir),
                            // A later entry put something else in its place.
                            Err(_) => continue,
                        },
                    };
                    parent.dir.set_mtime(OsStr::from_bytes(name), time)
                }
            };
            match set {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(e) => return Err(Error::tree("set the time of", path(dir), e)),
            }
        }
        if self.layer {
            self.applied.implicit = still_implicit(self.tree, &implicit)?;
        }
        self.applied.skipped_xattrs = self.attributes.skipped;
        Ok(self.applied)
    }

    /// The directory `path`, made if it is missing.
    fn parent(&mut self, parent: &[u8], entry: &Entry) -> Result<Rc<Parent>> {
        if let Some(parent) = self.parents.get(parent) {
            return Ok(parent);
        }
        let (layer, implicit) = (self.layer, &mut self.implicit);
        let dir = self
            .tree
            .ensure_dir(path(parent), &mut |dir, name, there, at| {
                if layer {
                    make_implicit(dir, name, there)?;
                    implicit.push(at.to_owned());
                    return Ok(());
                }
                if there.is_some() {
                    return Err(Errno::NOTDIR);
                }
                dir.mkdir(name, 0o755)?;
                dir.chmod(name, 0o755)
            })
            .map_err(|e| match e {
                Error::Tree { operation, source, .. } => {
                    Error::Tree { operation, path: shown(entry), source }
                }
                e => e,
            })?;
        Ok(self.parents.put(parent, dir))
    }

    /// Makes something at `name`, removing what is there.
    fn make<T>(
        &mut self,
        parent: &Parent,
        name: &OsStr,
        make: impl Fn(&Dir) -> rustix::io::Result<T>,
    ) -> rustix::io::Result<T> {
        match make(&parent.dir) {
            Err(Errno::EXIST) => {
                self.remove(parent, name)?;
                make(&parent.dir)
            }
            answer => answer,
        }
    }

    fn remove(&mut self, parent: &Parent, name: &OsStr) -> rustix::io::Result<()> {
        self.parents.forget_all();
        parent.dir.remove_tree(name)
    }
}

fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

pub(super) fn shown(entry: &Entry) -> PathBuf {
    path(&entry.path).to_owned()
}

/// Says of which entry something is refused, and while what was done.
pub(super) fn refused(entry: &Entry, operation: &'static str) -> impl Fn(Refusal) -> Error {
    move |refusal| match refusal {
        Refusal::Owner(uid, gid) => EntryFault::OwnerNotMapped(uid, gid).of(&entry.path),
        Refusal::System(e) => Error::tree(operation, shown(entry), e),
    }
}
