//! Build contexts: directories of the machine, less what their ignore files leave out.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use layerfs::{FileKind, FileStat, IdMode, Metadata, Root, StatIndex, Store};

use crate::build::Ignores;
use crate::dockerignore::Ignore;
use crate::error::StepCause;
use crate::named_context::{ContextDirectory, Origin};
use crate::op::ContextId;
use crate::request::BuildRequest;
use crate::select::DigestIndex;
use crate::tree::{FileTree, failed};

/// The context, opened when the first step reads it. Only what steps select is looked at.
pub(crate) struct Context {
    /// Where it is, without symlinks.
    path: PathBuf,
    root: Root,
    /// What is left out; none where the files are taken as they are.
    ignore: Option<Ignore>,
    /// What earlier builds read, where there may have been some.
    index: Option<RwLock<StatIndex>>,
    ids: IdMode,
    threads: usize,
}

impl Context {
    /// Opens the directory and the index of what earlier builds read of it. The index is looked
    /// for by the directory's real path, and believed only for files in the very state (inode
    /// and times of change included) in which they were read.
    pub(crate) fn open(
        directory: &ContextDirectory,
        ignore: Ignore,
        store: &Store,
        ids: IdMode,
        threads: usize,
    ) -> Result<Context, StepCause> {
        let path = &directory.path;
        let real = path.canonicalize().map_err(|source| StepCause::Context {
            operation: "open the build context",
            path: path.clone(),
            source,
        })?;
        let (ignore, index) = match &directory.origin {
            Origin::Fetched => (None, None),
            Origin::Local { .. } => {
                let index = StatIndex::load(&store.stat_index_path(&real))
                    .map_err(StepCause::store("read the index of the build context"))?;
                (Some(ignore), Some(RwLock::new(index)))
            }
        };
        let root = Root::open(&real).map_err(|e| failed("open", Path::new(""), e))?;
        Ok(Context { path: real, root, ignore, index, ids, threads })
    }

    /// Where it is, if it will be there for the next build as well.
    pub(crate) fn lasting_path(&self) -> Option<&Path> {
        self.index.as_ref().map(|_| self.path.as_path())
    }

    /// The files that steps see.
    pub(crate) fn tree(&self) -> FileTree<'_> {
        FileTree {
            root: &self.root,
            ignore: self.ignore.as_ref(),
            ids: self.ids,
            threads: self.threads,
        }
    }

    /// Keeps what was read for the next build. That it cannot be kept costs time and nothing
    /// else.
    pub(crate) fn save(&self) {
        let Some(index) = &self.index else { return };
        let index = index.read().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = index.save() {
            tracing::warn!(%error, "the index of the build context is not kept");
        }
    }
}

impl DigestIndex for Context {
    fn lookup(&self, path: &Path, metadata: &Metadata) -> Option<[u8; 32]> {
        let index = self.index.as_ref()?.read().unwrap_or_else(PoisonError::into_inner);
        index.lookup(path, &stat(metadata))
    }

    fn insert(&self, path: &Path, metadata: &Metadata, digest: [u8; 32]) {
        let Some(index) = &self.index else { return };
        let mut index = index.write().unwrap_or_else(PoisonError::into_inner);
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

/// The contexts of a build.
pub(crate) struct Contexts<'a> {
    contexts: HashMap<ContextId, LazyContext<'a>>,
    hashing: Mutex<()>,
}

impl<'a> Contexts<'a> {
    /// Those that the request names, none of them opened.
    pub(crate) fn new(
        request: &BuildRequest,
        ignores: Ignores,
        store: &'a Store,
        ids: IdMode,
    ) -> Contexts<'a> {
        let threads = request.parallelism.get();
        let lazy = |directory, ignore| LazyContext::new(directory, ignore, store, ids, threads);
        let named = request.contexts.directories().zip(ignores.named);
        let mut contexts: HashMap<_, _> = named
            .map(|((index, directory), ignore)| {
                (ContextId::Named(index), lazy(Some(directory), ignore))
            })
            .collect();
        contexts.insert(ContextId::Main, lazy(request.context.as_ref(), ignores.main));
        Contexts { contexts, hashing: Mutex::new(()) }
    }

    /// A context; `wanted` is the path that asks for it, for the error when there is none.
    pub(crate) fn get(
        &self,
        id: ContextId,
        wanted: &str,
    ) -> Result<std::sync::Arc<Context>, StepCause> {
        self.contexts.get(&id).expect("only contexts that are there are named").get(wanted)
    }

    /// Held by who computes digests of their files.
    pub(crate) fn hashing(&self) -> MutexGuard<'_, ()> {
        self.hashing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what was read of those that were opened.
    pub(crate) fn save(&self) {
        self.contexts.values().for_each(LazyContext::save);
    }
}

/// A context, opened at most once.
struct LazyContext<'a> {
    directory: Option<ContextDirectory>,
    ignore: Ignore,
    store: &'a Store,
    ids: IdMode,
    threads: usize,
    opened: Mutex<Option<std::sync::Arc<Context>>>,
}

impl<'a> LazyContext<'a> {
    /// The context in `directory`; `threads` look at its files.
    fn new(
        directory: Option<&ContextDirectory>,
        ignore: Ignore,
        store: &'a Store,
        ids: IdMode,
        threads: usize,
    ) -> LazyContext<'a> {
        LazyContext {
            directory: directory.cloned(),
            ignore,
            store,
            ids,
            threads,
            opened: Mutex::new(None),
        }
    }

    /// The context; `wanted` is the path that asks for it, for the error when there is none.
    fn get(&self, wanted: &str) -> Result<std::sync::Arc<Context>, StepCause> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(context) = &*opened {
            return Ok(context.clone());
        }
        let Some(directory) = &self.directory else {
            return Err(StepCause::NoContext { path: wanted.to_owned() });
        };
        let context =
            Context::open(directory, self.ignore.clone(), self.store, self.ids, self.threads)?;
        Ok(opened.insert(std::sync::Arc::new(context)).clone())
    }

    /// Keeps what was read of it, if it was opened.
    fn save(&self) {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(context) = &*opened {
            context.save();
        }
    }
}
