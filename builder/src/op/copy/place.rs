//! Puts files where a COPY wants them, by the rules of BuildKit's copier.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use layerfs::{Contents, Dir, FileKind, Metadata, Root, Timestamp};
use rustix::io::Errno;

use super::Place;
use super::attributes::Attributes;
use super::file::{FileCopier, New, is_linked};
use super::real_path::real_path;
use crate::error::StepCause;
use crate::paths::{clean_absolute, names_directory, parent};
use crate::select::{OfDirectory, Selected, shown};
use crate::tree::{Entry, FileTree, failed, failed_io};

/// Copies into one tree.
///
/// The times of directories are set at the very end: those that were there keep theirs, those
/// that are made get the time of their source or the fixed one of the step. A layer thus never
/// holds the time at which it happened to be made.
pub(super) struct Placer<'a> {
    pub(super) place: &'a Place<'a>,
    pub(super) attributes: Attributes<'a>,
    directory_times: BTreeMap<PathBuf, Timestamp>,
    /// The directory that was made last, while nothing has been looked for in it.
    fresh: Option<PathBuf>,
    pub(super) files: FileCopier<'a>,
    /// What the files hold of directories that were [filled](Placer::fill).
    pub(super) contents: Contents,
}

/// A directory that is being filled.
struct Level {
    /// Seen from the directory that was selected.
    path: PathBuf,
    from: Dir,
    to: Dir,
    /// What its owner, mode and time become when all is in it.
    entry: Option<Entry>,
}

impl<'a> Placer<'a> {
    pub(super) fn new(place: &'a Place<'a>, attributes: Attributes<'a>) -> Placer<'a> {
        let (directory_times, files) = (BTreeMap::new(), FileCopier::new(attributes));
        let contents = Contents::default();
        Placer { place, attributes, directory_times, fresh: None, files, contents }
    }

    fn root(&self) -> &'a Root {
        self.place.into
    }

    /// Copies one file, or what one directory holds, to `destination`. Answers whether all of it
    /// still was as it had been found.
    pub(super) fn copy(
        &mut self,
        destination: &str,
        tree: &FileTree<'_>,
        item: &Selected,
    ) -> Result<bool, StepCause> {
        let Some(top) = item.entries.first() else { return Ok(true) };
        self.fresh = None;
        let (target, there) = self.target(destination)?;
        let is_dir = there.as_ref().is_some_and(|there| there.kind == FileKind::Dir);
        if top.metadata.kind == FileKind::Dir {
            if there.is_some() && !is_dir {
                let reason = "a directory cannot replace what is not one";
                return Err(conflict(&item.path, &target, reason));
            }
            self.make_directories(&target)?;
            self.remember(&target)?;
            self.files.live = tree.is_context();
            let is_empty = self.is_empty(&target)?;
            let unchanged = match self.place.upper.filter(|_| is_empty) {
                Some(upper) => self.fill(upper, &target, tree, item)?,
                None => self.merge(&target, tree, item)?,
            };
            self.finish_target(&target, item)?;
            return Ok(unchanged);
        }
        let target = if is_dir { target.join(&item.name) } else { target };
        self.files.live = tree.is_context();
        let (dir, name) = self.directory_of(&target)?;
        let (from, from_name) =
            tree.root.parent(&item.path).map_err(|e| failed("open", &item.path, e))?;
        let mut links = HashMap::new();
        self.entry((&from, from_name), (&dir, &name), top, (&item.path, &target), &mut links)
    }

    /// Writes a file with the given content.
    pub(super) fn inline(
        &mut self,
        destination: &str,
        name: &str,
        content: &[u8],
    ) -> Result<(), StepCause> {
        let (target, there) = self.target(destination)?;
        let is_dir = there.is_some_and(|there| there.kind == FileKind::Dir);
        let target = if is_dir { target.join(name) } else { target };
        let (dir, file_name) = self.directory_of(&target)?;
        self.clear(&dir, &file_name, Path::new(name), &target)?;
        let write = |operation| {
            let target = &target;
            move |e: io::Error| failed_io(operation, target, e)
        };
        let document = self.document();
        let mode = self.attributes.creation_mode(&document.metadata);
        let mut file = dir.create_file(&file_name, mode).map_err(|e| write("create")(e.into()))?;
        file.write_all(content).map_err(write("write"))?;
        let finished = self.attributes.finish_file((&dir, &file_name), &file, &document, None);
        finished.map_err(write("set the attributes of"))
    }

    /// A here-document as a file to copy.
    fn document(&self) -> Entry {
        let metadata = Metadata {
            kind: FileKind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            size: 0,
            rdev: (0, 0),
            mtime: self.attributes.made(),
            ctime: self.attributes.made(),
            dev: 0,
            ino: 0,
            nlink: 1,
        };
        Entry { path: PathBuf::new(), metadata, link: None, xattrs: Vec::new() }
    }

    /// Makes a directory and what is missing above it, and answers with where it really is.
    pub(super) fn make_directories(&mut self, path: &Path) -> Result<PathBuf, StepCause> {
        let (real, there) = real_path(self.root(), path)?;
        if there.as_ref().is_some_and(|there| there.kind == FileKind::Dir) {
            return Ok(real);
        }
        self.remember_nearest(&real)?;
        let made = self
            .root()
            .mkdir_all(&real, self.attributes.directory_mode(), None)
            .map_err(|e| failed("create the directory", &real, e))?;
        for path in made {
            let dir = self.root().open_dir(&path).map_err(|e| failed("open", &path, e))?;
            let owned = self.attributes.own_directory(&dir);
            owned.map_err(|e| failed_io("change the owner of", &path, e.into()))?;
            self.directory_times.insert(path, self.attributes.made());
        }
        self.fresh = Some(real.clone());
        Ok(real)
    }

    /// Whether there is nothing in a directory, which then stands where the tree keeps what is new.
    fn is_empty(&mut self, directory: &Path) -> Result<bool, StepCause> {
        if self.fresh.take().is_some_and(|fresh| fresh == directory) {
            return Ok(true);
        }
        let dir = self.root().open_dir(directory).map_err(|e| failed("open", directory, e))?;
        if !dir.read().map_err(|e| failed_io("list", directory, e.into()))?.is_empty() {
            return Ok(false);
        }
        // Any change of a directory of the layers below takes it up to the new one, even into
        // what it is already.
        let there = dir.metadata().map_err(|e| failed_io("examine", directory, e.into()))?;
        dir.chmod(".", there.mode)
            .map_err(|e| failed_io("set the mode of", directory, e.into()))?;
        Ok(true)
    }

    /// Gives the directories their times, and says what the files hold as far as that is known.
    pub(super) fn finish(self) -> Result<Contents, StepCause> {
        for (path, time) in &self.directory_times {
            let dir = self.place.into.open_dir(path).map_err(|e| failed("open", path, e))?;
            dir.set_mtime(".", *time).map_err(|e| failed_io("set the time of", path, e.into()))?;
        }
        Ok(self.contents)
    }

    /// Makes the directories that `destination` needs, and says where it really is and what is
    /// there.
    fn target(&mut self, destination: &str) -> Result<(PathBuf, Option<Metadata>), StepCause> {
        let clean = clean_absolute(destination);
        let needed = if names_directory(destination) { &clean } else { parent(&clean) };
        self.make_directories(Path::new(needed))?;
        real_path(self.root(), Path::new(&clean))
    }

    /// The directory of a path without symlinks, made if need be, and the name in it.
    fn directory_of(&mut self, target: &Path) -> Result<(Dir, OsString), StepCause> {
        let Some(name) = target.file_name() else {
            return Err(conflict(Path::new(""), target, "a file cannot replace the root"));
        };
        let parent = target.parent().unwrap_or(Path::new(""));
        self.make_directories(parent)?;
        self.remember(parent)?;
        let dir = self.root().open_dir(parent).map_err(|e| failed("open", parent, e))?;
        Ok((dir, name.to_owned()))
    }

    /// Keeps the time of the nearest directory above `path` that is there.
    fn remember_nearest(&mut self, path: &Path) -> Result<(), StepCause> {
        for above in path.ancestors().skip(1) {
            let there = self.root().stat(above).map_err(|e| failed("examine", above, e))?;
            if there.is_some_and(|there| there.kind == FileKind::Dir) {
                return self.remember(above);
            }
        }
        Ok(())
    }

    fn remember(&mut self, directory: &Path) -> Result<(), StepCause> {
        if self.directory_times.contains_key(directory) {
            return Ok(());
        }
        let stat = self.root().stat(directory).map_err(|e| failed("examine", directory, e))?;
        if let Some(stat) = stat {
            self.directory_times.insert(directory.to_owned(), stat.mtime);
        }
        Ok(())
    }

    /// Copies what the selected directory holds into `target`, which is a directory.
    fn merge(
        &mut self,
        target: &Path,
        tree: &FileTree<'_>,
        item: &Selected,
    ) -> Result<bool, StepCause> {
        let from = tree.root.open_dir(&item.path).map_err(|e| failed("open", &item.path, e))?;
        let to = self.root().open_dir(target).map_err(|e| failed("open", target, e))?;
        let mut levels = vec![Level { path: PathBuf::new(), from, to, entry: None }];
        let mut links = HashMap::new();
        let mut unchanged = true;
        for entry in &item.entries[1..] {
            if self.place.cancel.is_cancelled() {
                return Err(StepCause::Cancelled);
            }
            let parent = entry.path.parent().unwrap_or(Path::new(""));
            while levels.last().is_some_and(|level| level.path != parent) {
                self.leave(levels.pop())?;
            }
            let level = levels.last().expect("every entry but the first is below the first");
            let name = entry.path.file_name().unwrap_or_default();
            let (source, path) = (item.path.join(&entry.path), target.join(&entry.path));
            if entry.metadata.kind == FileKind::Dir {
                let next = self.enter(level, name, entry, (&source, &path))?;
                levels.push(next);
            } else {
                let (from, to) = ((&level.from, name), (&level.to, name));
                unchanged &= self.entry(from, to, entry, (&source, &path), &mut links)?;
            }
        }
        while let Some(level) = levels.pop() {
            self.leave(Some(level))?;
        }
        Ok(unchanged)
    }

    /// Gives the directory that was copied into what it has from its source.
    fn finish_target(&mut self, target: &Path, item: &Selected) -> Result<(), StepCause> {
        let top = &item.entries[0];
        let time = self.attributes.time(&top.metadata);
        match item.of_directory {
            // A directory whose content is copied passes on its time and nothing else.
            OfDirectory::Content => drop(self.directory_times.insert(target.to_owned(), time)),
            OfDirectory::Itself => {
                self.directory_times.insert(target.to_owned(), time);
                let dir = self.root().open_dir(target).map_err(|e| failed("open", target, e))?;
                let finished = self.attributes.finish(&dir, OsStr::new("."), top);
                finished.map_err(|e| failed_io("set the attributes of", target, e.into()))?;
            }
            OfDirectory::Parts => {}
        }
        Ok(())
    }

    fn enter(
        &self,
        level: &Level,
        name: &OsStr,
        entry: &Entry,
        (source, path): (&Path, &Path),
    ) -> Result<Level, StepCause> {
        let failed = |operation| move |e: Errno| failed_io(operation, path, e.into());
        match level.to.stat(name).map_err(failed("examine"))?.map(|there| there.kind) {
            None => level.to.mkdir(name, 0o700).map_err(failed("create the directory"))?,
            Some(FileKind::Dir) => {}
            Some(_) => {
                let reason = "a directory cannot replace what is not one";
                return Err(conflict(source, path, reason));
            }
        }
        let from = level.from.open_dir(name).map_err(|e| failed_io("open", source, e.into()))?;
        let to = level.to.open_dir(name).map_err(failed("open"))?;
        Ok(Level { path: entry.path.clone(), from, to, entry: Some(entry.clone()) })
    }

    fn leave(&self, level: Option<Level>) -> Result<(), StepCause> {
        let Some(Level { path, to, entry: Some(entry), .. }) = level else { return Ok(()) };
        let failed = |e: Errno| failed_io("set the attributes of", &path, e.into());
        self.attributes.finish(&to, OsStr::new("."), &entry).map_err(failed)
    }

    /// Copies what is no directory.
    fn entry(
        &mut self,
        (from, from_name): (&Dir, &OsStr),
        (to, name): (&Dir, &OsStr),
        entry: &Entry,
        (source, target): (&Path, &Path),
        links: &mut HashMap<(u64, u64), PathBuf>,
    ) -> Result<bool, StepCause> {
        self.clear(to, name, source, target)?;
        if is_linked(entry) {
            let inode = (entry.metadata.dev, entry.metadata.ino);
            if let Some(first) = links.get(&inode) {
                let linked = self.root().hard_link(first, target);
                return linked.map(|()| true).map_err(|e| failed("link", target, e));
            }
            links.insert(inode, target.to_owned());
        }
        let new = New { dir: to, name, group: None };
        self.files.copy((from, from_name), new, entry, (source, target))
    }

    /// Removes what is in the way of a file.
    fn clear(&self, to: &Dir, name: &OsStr, source: &Path, target: &Path) -> Result<(), StepCause> {
        let failed = |e: Errno| failed_io("replace", target, e.into());
        match to.stat(name).map_err(failed)?.map(|there| there.kind) {
            None => Ok(()),
            Some(FileKind::Dir) => {
                Err(conflict(source, target, "a file cannot replace a directory"))
            }
            Some(_) => to.unlink(name).map_err(failed),
        }
    }
}

fn conflict(source: &Path, target: &Path, reason: &'static str) -> StepCause {
    StepCause::Conflict { source_path: shown(source), destination: shown(target), reason }
}
