//! Storage in a directory, in the form of OCI image layouts.

mod blobs;
mod content;
mod file;
mod holdings;
mod index;
mod layout;
mod lender;
mod repository;
mod staged;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use oci::Digest;
use rustix::fs::{FlockOperation, statfs};

use self::blobs::Blobs;
use self::content::{SMALL, Streamed, Whole};
use self::file::{Disk, Staging};
use self::layout::Layout;
pub use self::lender::Lender;
use self::repository::Repo;
use self::staged::StagedFile;
use super::{
    Backend, Blob, Content, Durability, Holding, SharedState, Staged, change, locked, look,
};
use crate::name::Repository;
use crate::state::{Change, Refusal, State};
use crate::{Error, Result};

/// How many states can be read at once.
const OPENING: usize = 16;
/// What `statfs` calls a file system in memory (`TMPFS_MAGIC`).
const TMPFS: i64 = 0x0102_1994;

pub(super) struct Dir(Arc<Inner>);

struct Inner {
    blobs: Arc<Blobs>,
    /// The repositories whose state has been read.
    open: RwLock<HashMap<Repository, Arc<Repo>>>,
    /// Held while a state is read, so that each is read once. A repository has one of them by its
    /// name: a long read delays few others.
    opening: [Mutex<()>; OPENING],
    /// All repositories, once somebody has asked.
    names: Mutex<Option<BTreeSet<Repository>>>,
    _lock: File,
}

impl Dir {
    pub(super) fn open(root: &Path, durability: Durability, lender: Option<Lender>) -> Result<Dir> {
        Dir::over(root, durability, lender, Staging::open)
    }

    /// As on a file system without nameless files.
    #[cfg(test)]
    pub(super) fn with_names(root: &Path) -> Result<Dir> {
        Dir::over(root, Durability::default(), None, Staging::with_names)
    }

    fn over(
        root: &Path,
        durability: Durability,
        lender: Option<Lender>,
        stage: fn(PathBuf) -> Result<Staging>,
    ) -> Result<Dir> {
        let layout = Layout::new(root);
        fs::create_dir_all(root).map_err(|e| Error::at("create", root, e))?;
        let lock = lock(&layout)?;
        let staging = stage(layout.staging())?;
        let in_memory = statfs(root).is_ok_and(|found| found.f_type == TMPFS);
        let unlinking = Mutex::default();
        let disk = Disk::new(root, durability)?;
        let blobs = Arc::new(Blobs { layout, staging, disk, lender, in_memory, unlinking });
        Ok(Dir(Arc::new(Inner {
            blobs,
            open: RwLock::default(),
            opening: Default::default(),
            names: Mutex::default(),
            _lock: lock,
        })))
    }

    fn run<'a, T: Send + 'static>(
        &'a self,
        operation: &'static str,
        work: impl FnOnce(&Inner) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'a, Result<T>> {
        let inner = self.0.clone();
        blocking(operation, move || work(&inner)).boxed()
    }
}

/// Does blocking work where it delays nobody. Once begun it is completed, whoever stops waiting.
async fn blocking<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or(Err(Error::Interrupted { operation }))
}

fn lock(layout: &Layout) -> Result<File> {
    let path = layout.lock();
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|e| Error::at("open", &path, e))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::InUse { path: layout.root().to_owned() }),
        Err(e) => Err(Error::at("lock", &path, e.into())),
    }
}

impl Inner {
    fn opened(&self, repository: &Repository) -> Option<Arc<Repo>> {
        look(&self.open).get(repository).cloned()
    }

    /// The repository, read from its index if need be; `None` if there is none.
    fn repo(&self, repository: &Repository) -> Result<Option<Arc<Repo>>> {
        Ok(self.repo_or(repository, || None)?.filter(|repo| repo.exists()))
    }

    fn repo_or(
        &self,
        repository: &Repository,
        missing: impl FnOnce() -> Option<State>,
    ) -> Result<Option<Arc<Repo>>> {
        if let Some(repo) = self.opened(repository) {
            return Ok(Some(repo));
        }
        let mut hasher = DefaultHasher::new();
        repository.hash(&mut hasher);
        let _opening = locked(&self.opening[hasher.finish() as usize % OPENING]);
        if let Some(repo) = self.opened(repository) {
            return Ok(Some(repo));
        }
        let found = index::read(&self.blobs, repository)?;
        let exists = found.is_some();
        let Some(state) = found.or_else(missing) else { return Ok(None) };
        let repo = Arc::new(Repo::new(repository.clone(), state, exists));
        change(&self.open).insert(repository.clone(), repo.clone());
        Ok(Some(repo))
    }

    fn commit(&self, repository: &Repository, change: Change) -> Result<Result<(), Refusal>> {
        // Only a push makes a repository.
        let first = matches!(change, Change::Put { .. }).then(State::default);
        let Some(repo) = self.repo_or(repository, || first)? else {
            return Ok(Err(Refusal::Unknown));
        };
        let outcome = repo.commit(&self.blobs, change)?;
        if outcome.is_ok()
            && let Some(names) = locked(&self.names).as_mut()
        {
            names.insert(repository.clone());
        }
        Ok(outcome)
    }

    fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<Repository>> {
        let mut names = locked(&self.names);
        if names.is_none() {
            let mut found = BTreeSet::new();
            walk(self.blobs.layout.root(), "", &mut found)?;
            *names = Some(found);
        }
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let page = names.iter().flat_map(|names| names.range::<str, _>((after, Bound::Unbounded)));
        Ok(page.take(limit).cloned().collect())
    }

    /// Removes the shared links of blobs that no repository holds. The removal of the last of them
    /// leaves such a link if it could not see that it was the last: somebody else had linked the
    /// file, too. One that comes meanwhile loses its link at most, and is as good without.
    fn sweep(&self) -> Result<()> {
        let shared = holdings::files(&self.blobs.layout.shared())?;
        let mut found = Vec::new();
        holdings::walk(self.blobs.layout.root(), "", &mut found)?;
        let held: HashSet<&Digest> = found.iter().map(|holding| &holding.digest).collect();
        for (digest, entry) in shared.iter().filter(|(digest, _)| !held.contains(digest)) {
            tracing::debug!(%digest, "nobody holds it");
            file::remove(&entry.path())?;
        }
        Ok(())
    }

    fn blob(&self, repository: &Repository, digest: &Digest) -> Result<Option<Blob>> {
        let Some((file, size)) = self.blobs.open(repository, digest)? else { return Ok(None) };
        let content: Box<dyn Content> = if size <= SMALL {
            let bytes = content::read(&file, 0..size);
            let path = || self.blobs.layout.blob(repository, digest);
            Box::new(Whole(bytes.map_err(|e| Error::at("read", &path(), e))?))
        } else {
            Box::new(Streamed(Arc::new(file)))
        };
        Ok(Some(Blob { size, content }))
    }

    /// The blob, if it can be had without waiting for a disk: then to hand the work to another
    /// thread would take longer than to do it.
    fn cached_blob(&self, repository: &Repository, digest: &Digest) -> Option<Blob> {
        let (file, size) = self.blobs.open_cached(repository, digest)?;
        let content: Box<dyn Content> = if size <= SMALL {
            Box::new(Whole(content::read_cached(&file, 0..size, self.blobs.in_memory)?))
        } else {
            Box::new(Streamed(Arc::new(file)))
        };
        Some(Blob { size, content })
    }
}

/// Finds the repositories below a directory.
fn walk(dir: &Path, prefix: &str, found: &mut BTreeSet<Repository>) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(|e| Error::at("list", dir, e))? {
        let entry = entry.map_err(|e| Error::at("list", dir, e))?;
        let file_name = entry.file_name();
        let Some(component) = file_name.to_str().and_then(layout::component_of) else { continue };
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        // What is not named like a repository is none of ours (`lost+found`).
        let name = format!("{prefix}{component}");
        let Some(repository) = Repository::parse(&name) else { continue };
        let path = entry.path();
        if file::size(&path.join("index.json"))?.is_some() {
            found.insert(repository);
        }
        walk(&path, &format!("{name}/"), found)?;
    }
    Ok(())
}

impl Backend for Dir {
    fn state<'a>(
        &'a self,
        repository: &'a Repository,
    ) -> BoxFuture<'a, Result<Option<SharedState>>> {
        if let Some(repo) = self.0.opened(repository) {
            let state = repo.exists().then(|| repo.state());
            return std::future::ready(Ok(state)).boxed();
        }
        let repository = repository.clone();
        self.run("read of an index", move |inner| {
            Ok(inner.repo(&repository)?.map(|repo| repo.state()))
        })
    }

    fn commit<'a>(
        &'a self,
        repository: &'a Repository,
        change: Change,
    ) -> BoxFuture<'a, Result<Result<(), Refusal>>> {
        let repository = repository.clone();
        self.run("change of a repository", move |inner| inner.commit(&repository, change))
    }

    fn repositories<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Repository>>> {
        let after = after.map(str::to_owned);
        self.run("list of repositories", move |inner| inner.list(after.as_deref(), limit))
    }

    fn blob_size<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<u64>>> {
        if let Some((_, size)) = self.0.blobs.open_cached(repository, digest) {
            return std::future::ready(Ok(Some(size))).boxed();
        }
        let (repository, digest) = (repository.clone(), digest.clone());
        self.run("look-up of a blob", move |inner| inner.blobs.size(&repository, &digest))
    }

    fn open_blob<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<Blob>>> {
        if let Some(blob) = self.0.cached_blob(repository, digest) {
            return std::future::ready(Ok(Some(blob))).boxed();
        }
        let (repository, digest) = (repository.clone(), digest.clone());
        self.run("read of a blob", move |inner| inner.blob(&repository, &digest))
    }

    fn missing_blobs<'a>(
        &'a self,
        repository: &'a Repository,
        digests: Vec<Digest>,
    ) -> BoxFuture<'a, Result<Vec<Digest>>> {
        let repository = repository.clone();
        self.run("look-up of blobs", move |inner| {
            let mut missing = Vec::new();
            for digest in digests {
                if inner.blobs.size(&repository, &digest)?.is_none() {
                    missing.push(digest);
                }
            }
            Ok(missing)
        })
    }

    fn mount_blob<'a>(
        &'a self,
        from: Option<&'a Repository>,
        to: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<bool>> {
        let (from, to, digest) = (from.cloned(), to.clone(), digest.clone());
        self.run("mount of a blob", move |inner| inner.blobs.mount(from.as_ref(), &to, &digest))
    }

    fn remove_blob<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<bool>> {
        let (repository, digest) = (repository.clone(), digest.clone());
        self.run("removal of a blob", move |inner| inner.blobs.remove(&repository, &digest))
    }

    fn renew_blob<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<u64>>> {
        let (repository, digest) = (repository.clone(), digest.clone());
        self.run("renewal of a blob", move |inner| inner.blobs.settle(&repository, &digest))
    }

    fn holdings(&self) -> BoxFuture<'_, Result<Vec<Holding>>> {
        self.run("list of blobs", |inner| {
            let mut found = Vec::new();
            holdings::walk(inner.blobs.layout.root(), "", &mut found)?;
            Ok(found)
        })
    }

    fn sweep(&self, _grace: Duration) -> BoxFuture<'_, Result<()>> {
        self.run("sweep of shared blobs", Inner::sweep)
    }

    fn lender(&self) -> Option<&str> {
        self.0.blobs.lender.as_ref().map(|lender| lender.name.as_str())
    }

    fn stage(&self) -> Box<dyn Staged> {
        Box::new(StagedFile::nameless(self.0.blobs.clone()))
    }

    fn stage_open(&self) -> Box<dyn Staged> {
        Box::new(StagedFile::named(self.0.blobs.clone()))
    }
}
