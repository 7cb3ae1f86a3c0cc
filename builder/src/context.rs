//! The build context: a directory of the machine, less what its ignore file leaves out.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use layerfs::{FileKind, FileStat, IdMode, Metadata, Root, StatIndex, Store};

use crate::dockerignore::Ignore;
use crate::error::StepCause;
use crate::select::DigestIndex;
use crate::tree::{FileTree, failed};

/// The context, opened when the first step reads it. Only what steps select is looked at.
pub(crate) struct Context {
    root: Root,
    ignore: Ignore,
    index: RwLock<StatIndex>,
    threads: usize,
}

impl Context {
    /// Opens the directory and the index of what earlier builds read of it. The index is looked
    /// for by the directory's real path, and believed only for files in the very state (inode
    /// and times of change included) in which they were read.
    pub(crate) fn open(
        path: &Path,
        ignore: Ignore,
        store: &Store,
        threads: usize,
    ) -> Result<Context, StepCause> {
        let real = path.canonicalize().map_err(|source| StepCause::Context {
            operation: "open the build context",
            path: path.to_owned(),
            source,
        })?;
        let index = StatIndex::load(&store.stat_index_path(&real))
            .map_err(StepCause::store("read the index of the build context"))?;
        let root = Root::open(&real).map_err(|e| failed("open", Path::new(""), e))?;
        Ok(Context { root, ignore, index: RwLock::new(index), threads })
    }

    /// The files that steps see.
    pub(crate) fn tree(&self) -> FileTree<'_> {
        FileTree {
            root: &self.root,
            ignore: Some(&self.ignore),
            ids: IdMode::Full,
            threads: self.threads,
        }
    }

    /// Keeps what was read for the next build. That it cannot be kept costs time and nothing
    /// else.
    pub(crate) fn save(&self) {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = index.save() {
            tracing::warn!(%error, "the index of the build context is not kept");
        }
    }
}

impl DigestIndex for Context {
    fn lookup(&self, path: &Path, metadata: &Metadata) -> Option<[u8; 32]> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.lookup(path, &stat(metadata))
    }

    fn insert(&self, path: &Path, metadata: &Metadata, digest: [u8; 32]) {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        index.insert(path, &stat(metadata), digest);
    }
}

fn stat(metadata: &Metadata) -> FileStat {
    let kind = match metadata.kind {
        FileKind::File => 0o100_000,
        _ => 0,
    };
    FileStat {
        dev: metadata.dev,
        ino: metadata.ino,
        size: metadata.size,
        mode: kind | metadata.mode,
        mtime: (metadata.mtime.seconds, metadata.mtime.nanoseconds),
        ctime: (metadata.ctime.seconds, metadata.ctime.nanoseconds),
    }
}

/// The context of a build, opened at most once.
pub(crate) struct LazyContext<'a> {
    path: Option<PathBuf>,
    ignore: Ignore,
    store: &'a Store,
    threads: usize,
    opened: Mutex<Option<std::sync::Arc<Context>>>,
    hashing: Mutex<()>,
}

impl<'a> LazyContext<'a> {
    /// The context at `path`; `threads` look at its files.
    pub(crate) fn new(
        path: Option<&Path>,
        ignore: Ignore,
        store: &'a Store,
        threads: usize,
    ) -> LazyContext<'a> {
        let path = path.map(Path::to_owned);
        LazyContext {
            path,
            ignore,
            store,
            threads,
            opened: Mutex::new(None),
            hashing: Mutex::new(()),
        }
    }

    /// The context; `wanted` is the path that asks for it, for the error when there is none.
    pub(crate) fn get(&self, wanted: &str) -> Result<std::sync::Arc<Context>, StepCause> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(context) = &*opened {
            return Ok(context.clone());
        }
        let Some(path) = &self.path else {
            return Err(StepCause::NoContext { path: wanted.to_owned() });
        };
        let context = Context::open(path, self.ignore.clone(), self.store, self.threads)?;
        Ok(opened.insert(std::sync::Arc::new(context)).clone())
    }

    /// Held by who computes digests of its files.
    pub(crate) fn hashing(&self) -> MutexGuard<'_, ()> {
        self.hashing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what was read of it, if it was opened.
    pub(crate) fn save(&self) {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(context) = &*opened {
            context.save();
        }
    }
}
