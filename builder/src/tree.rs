//! Trees that COPY and ADD read: the build context, or the files of a stage or an image.

mod filter;

use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use layerfs::{Dir, FileKind, IdMode, Metadata, Root};

use crate::dockerignore::Ignore;
use crate::error::StepCause;
use crate::select::{Wanted, joined};

use filter::{Filter, Verdict, matches_of};

/// A directory's entries are looked at by several threads from this many on: below, starting
/// them costs more.
const PARALLEL_FROM: usize = 32;

/// Into how many shares each thread's work is cut, since some directories hold more than others.
const SHARES: usize = 8;

/// How many symlinks one path may lead through, as in the kernel.
const MAX_LINKS: usize = 40;

/// A tree, and what of it is not to be seen.
#[derive(Clone, Copy)]
pub(crate) struct FileTree<'a> {
    /// The files.
    pub(crate) root: &'a Root,
    /// For the context: what the ignore file leaves out. Its files belong to root and have no
    /// extended attributes, whatever they have on the machine.
    pub(crate) ignore: Option<&'a Ignore>,
    /// How owners are read.
    pub(crate) ids: IdMode,
    /// How many threads look at large directories.
    pub(crate) threads: usize,
}

/// A file of a tree.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Where it is, seen from the selected file or directory; empty for that itself.
    pub(crate) path: PathBuf,
    /// What the system says of it.
    pub(crate) metadata: Metadata,
    /// For a symlink: where it points.
    pub(crate) link: Option<PathBuf>,
    /// Its extended attributes, sorted by name.
    pub(crate) xattrs: Vec<(OsString, Vec<u8>)>,
}

impl FileTree<'_> {
    pub(crate) fn is_context(&self) -> bool {
        self.ignore.is_some()
    }

    /// Where `path` really is, all symlinks followed inside the tree; `None` if it is not there.
    /// What the ignore file says of it is not asked.
    pub(crate) fn resolve(&self, path: &Path) -> Result<Option<(PathBuf, Metadata)>, StepCause> {
        let mut todo: Vec<OsString> = names(path).rev().map(OsStr::to_owned).collect();
        let mut done = PathBuf::new();
        let mut links = 0;
        let mut metadata = self.stat(&done)?;
        while let Some(name) = todo.pop() {
            if name == ".." {
                done.pop();
                metadata = self.stat(&done)?;
                continue;
            }
            let at = done.join(&name);
            metadata = self.stat(&at)?;
            match metadata.as_ref().map(|metadata| metadata.kind) {
                None => return Ok(None),
                Some(FileKind::Symlink) if links >= MAX_LINKS => return Ok(None),
                Some(FileKind::Symlink) => {
                    links += 1;
                    let link = self.root.read_link(&at).map_err(|e| failed("read", &at, e))?;
                    if link.is_absolute() {
                        done = PathBuf::new();
                    }
                    todo.extend(names(&link).rev().map(OsStr::to_owned));
                    metadata = self.stat(&done)?;
                }
                Some(_) => done = at,
            }
        }
        Ok(metadata.map(|metadata| (done, metadata)))
    }

    fn stat(&self, path: &Path) -> Result<Option<Metadata>, StepCause> {
        self.root.stat(path).map_err(|e| failed("examine", path, e))
    }

    /// The names in the directory `path` that are to be seen, sorted by their bytes. A directory
    /// that is left out is seen all the same if something in it may be taken back in.
    pub(crate) fn names_in(&self, path: &Path) -> Result<Vec<(OsString, FileKind)>, StepCause> {
        let mut names = self.root.read_dir(path).map_err(|e| failed("list", path, e))?;
        if let Some(ignore) = self.ignore {
            let parent = matches_of(ignore, path);
            names.retain(|(name, kind)| {
                let at = path.join(name);
                let at = text(&at);
                !ignore.check(&at, &parent).0
                    || (*kind == FileKind::Dir && ignore.may_reinclude_below(&at))
            });
        }
        Ok(names)
    }

    /// Everything at and below `path`, which has no symlinks on its way: directories before what
    /// they hold, names in the order of their bytes. Nothing if all of it is left out.
    pub(crate) fn walk(&self, path: &Path, wanted: &Wanted<'_>) -> Result<Vec<Entry>, StepCause> {
        let mut entries = Vec::new();
        let Some(metadata) = self.stat(path)? else { return Ok(entries) };
        let (includes, excludes) = (wanted.includes(), &wanted.excludes.patterns);
        let filter = Filter { ignore: self.ignore, includes, excludes };
        let verdict = filter.top(path);
        let threads = self.threads;
        let mut walk = Walk { tree: self, filter, base: path, threads, entries: &mut entries };
        if metadata.kind == FileKind::Dir {
            let dir = self.root.open_dir(path).map_err(|e| failed("open", path, e))?;
            let xattrs = self.xattrs(&dir, OsStr::new("."), metadata.kind, path)?;
            walk.directory(&dir, Path::new(""), metadata, xattrs, &verdict)?;
        } else if !verdict.left_out {
            let (dir, name) = self.root.parent(path).map_err(|e| failed("open", path, e))?;
            walk.file(&dir, name, PathBuf::new(), metadata)?;
        }
        Ok(entries)
    }

    fn xattrs(
        &self,
        dir: &Dir,
        name: &OsStr,
        kind: FileKind,
        path: &Path,
    ) -> Result<Vec<(OsString, Vec<u8>)>, StepCause> {
        if self.is_context() || kind == FileKind::Symlink {
            return Ok(Vec::new());
        }
        let mut xattrs = dir.xattrs(name).map_err(|e| StepCause::Context {
            operation: "read the extended attributes of",
            path: path.to_owned(),
            source: e.into(),
        })?;
        xattrs.retain(|(key, _)| is_content(key));
        Ok(xattrs)
    }
}

/// Whether an extended attribute belongs to a file's content and not to the machine it is on.
fn is_content(key: &OsStr) -> bool {
    let key = key.to_string_lossy();
    key == "security.capability"
        || (key.starts_with("user.")
            && !key.starts_with("user.overlay.")
            && !key.starts_with("user.tierce."))
}

struct Walk<'a, 'e> {
    tree: &'a FileTree<'a>,
    filter: Filter<'a>,
    base: &'a Path,
    /// How many threads may look at one directory's entries.
    threads: usize,
    entries: &'e mut Vec<Entry>,
}

impl Walk<'_, '_> {
    fn directory(
        &mut self,
        dir: &Dir,
        path: &Path,
        metadata: Metadata,
        xattrs: Vec<(OsString, Vec<u8>)>,
        verdict: &Verdict,
    ) -> Result<(), StepCause> {
        let first = self.entries.len();
        let here = joined(self.base, path);
        let metadata = self
            .owned(dir, OsStr::new("."), metadata)
            .map_err(|e| failed_io("examine", &here, e.into()))?;
        self.entries.push(Entry { path: path.to_owned(), metadata, link: None, xattrs });
        let names = dir.read().map_err(|e| failed_io("list", &here, e.into()))?;
        if self.threads > 1 && names.len() >= PARALLEL_FROM {
            self.in_parallel(dir, path, &names, verdict)?;
        } else {
            for (name, _) in &names {
                self.entry(dir, path, name, verdict)?;
            }
        }
        // A directory that is left out is there only for the sake of what it holds.
        if verdict.left_out && self.entries.len() == first + 1 {
            self.entries.pop();
        }
        Ok(())
    }

    /// An entry of a directory, with all below it.
    fn entry(
        &mut self,
        dir: &Dir,
        parent: &Path,
        name: &OsStr,
        of_parent: &Verdict,
    ) -> Result<(), StepCause> {
        let at = parent.join(name);
        let in_tree = joined(self.base, &at);
        let verdict = self.filter.entry(self.base, &at, &of_parent.below);
        if verdict.left_out && !verdict.may_hold {
            return Ok(());
        }
        // What vanished since it was listed was never there.
        let stat = dir.stat(name).map_err(|e| failed_io("examine", &in_tree, e.into()))?;
        let Some(metadata) = stat else { return Ok(()) };
        if metadata.kind == FileKind::Dir {
            let child = dir.open_dir(name).map_err(|e| failed_io("open", &in_tree, e.into()))?;
            let xattrs = self.tree.xattrs(dir, name, metadata.kind, &in_tree)?;
            return self.directory(&child, &at, metadata, xattrs, &verdict);
        }
        if verdict.left_out {
            return Ok(());
        }
        self.file(dir, name, at, metadata)
    }

    /// A directory's entries, by several threads, in their order. Below that each goes on alone.
    fn in_parallel(
        &mut self,
        dir: &Dir,
        path: &Path,
        names: &[(OsString, FileKind)],
        verdict: &Verdict,
    ) -> Result<(), StepCause> {
        let chunks: Vec<_> = names.chunks(names.len().div_ceil(self.threads * SHARES)).collect();
        let next = AtomicUsize::new(0);
        let (tree, filter, base) = (self.tree, self.filter, self.base);
        let work = || {
            let mut done = Vec::new();
            while let Some((number, chunk)) = {
                let number = next.fetch_add(1, Ordering::Relaxed);
                chunks.get(number).map(|chunk| (number, chunk))
            } {
                let mut entries = Vec::new();
                let mut walk = Walk { tree, filter, base, threads: 1, entries: &mut entries };
                let walked =
                    chunk.iter().try_for_each(|(name, _)| walk.entry(dir, path, name, verdict));
                done.push((number, walked.map(|()| entries)));
            }
            done
        };
        let mut walked = std::thread::scope(|scope| {
            let others: Vec<_> = (1..self.threads).map(|_| scope.spawn(work)).collect();
            let mut walked = work();
            for other in others {
                let done = other.join();
                walked.extend(done.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            walked
        });
        walked.sort_unstable_by_key(|(number, _)| *number);
        for (_, entries) in walked {
            self.entries.append(&mut entries?);
        }
        Ok(())
    }

    fn file(
        &mut self,
        dir: &Dir,
        name: &OsStr,
        path: PathBuf,
        metadata: Metadata,
    ) -> Result<(), StepCause> {
        let at = joined(self.base, &path);
        let link = match metadata.kind {
            FileKind::Symlink => {
                Some(dir.read_link(name).map_err(|e| failed_io("read", &at, e.into()))?)
            }
            _ => None,
        };
        let xattrs = self.tree.xattrs(dir, name, metadata.kind, &at)?;
        let metadata =
            self.owned(dir, name, metadata).map_err(|e| failed_io("examine", &at, e.into()))?;
        self.entries.push(Entry { path, metadata, link, xattrs });
        Ok(())
    }

    /// Metadata with the owner that a copy passes on.
    fn owned(
        &self,
        dir: &Dir,
        name: &OsStr,
        mut metadata: Metadata,
    ) -> rustix::io::Result<Metadata> {
        if self.tree.is_context() {
            (metadata.uid, metadata.gid) = (0, 0);
            return Ok(metadata);
        }
        match self.tree.ids {
            IdMode::Full => Ok(metadata),
            IdMode::Single => layerfs::as_intended(dir, name, metadata),
        }
    }
}

/// The names that a path consists of; `..` stays.
fn names(path: &Path) -> impl DoubleEndedIterator<Item = &OsStr> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name),
        Component::ParentDir => Some(OsStr::new("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

/// A path as patterns see it. A byte that is no UTF-8 matches wildcards only.
pub(crate) fn text(path: &Path) -> std::borrow::Cow<'_, str> {
    path.to_string_lossy()
}

pub(crate) fn failed(operation: &'static str, path: &Path, source: layerfs::Error) -> StepCause {
    let path = format!("/{}", path.display());
    StepCause::File { operation, path, source: Box::new(source) }
}

pub(crate) fn failed_io(operation: &'static str, path: &Path, source: std::io::Error) -> StepCause {
    StepCause::Context { operation, path: path.to_owned(), source }
}
