//! Blobs as files. Every blob has one link in each repository that holds it and one that all
//! share, by which the next repository gets it without a copy.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Mutex;

use oci::Digest;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};

use super::file::{self, Disk, Fresh, Staging};
use super::layout::Layout;
use super::lender::Lender;
use crate::name::Repository;
use crate::storage::locked;
use crate::{Error, Result};

pub(super) struct Blobs {
    pub(super) layout: Layout,
    pub(super) staging: Staging,
    pub(super) disk: Disk,
    /// Where blobs can be taken from without a copy.
    pub(super) lender: Option<Lender>,
    /// Whether its file system has no disk to wait for.
    pub(super) in_memory: bool,
    /// Held while the last links of a blob are counted and removed; never while bytes move.
    pub(super) unlinking: Mutex<()>,
}

impl Blobs {
    pub(super) fn size(&self, repository: &Repository, digest: &Digest) -> Result<Option<u64>> {
        file::size(&self.layout.blob(repository, digest))
    }

    /// Opens a blob; `None` if the repository does not hold it.
    pub(super) fn open(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<(File, u64)>> {
        let path = self.layout.blob(repository, digest);
        let opened = File::open(&path).and_then(|file| Ok((file.metadata()?, file)));
        match opened {
            Ok((metadata, file)) => Ok(Some((file, metadata.len()))),
            Err(e) if file::is_missing(&e) => Ok(None),
            Err(e) => Err(Error::at("open", &path, e)),
        }
    }

    /// Opens a blob as [`Blobs::open`] does, but only if no disk has to be waited for: `None` says
    /// nothing of whether it is there.
    pub(super) fn open_cached(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Option<(File, u64)> {
        let (path, flags) =
            (self.layout.blob(repository, digest), OFlags::RDONLY | OFlags::CLOEXEC);
        let file = openat2(CWD, &path, flags, Mode::empty(), ResolveFlags::CACHED).ok()?;
        let file = File::from(file);
        let metadata = file.metadata().ok()?;
        metadata.is_file().then_some((file, metadata.len()))
    }

    /// Makes a fresh file a blob of the repository. Its digest is verified and it has `size`
    /// bytes. What is there already is not written again.
    pub(super) fn place(
        &self,
        fresh: Fresh<'_>,
        repository: &Repository,
        digest: &Digest,
        size: u64,
    ) -> Result<()> {
        let (target, shared) =
            (self.layout.blob(repository, digest), self.layout.shared_blob(digest));
        // A size that differs tells of damage: then these bytes take the place of those.
        if file::size(&target)? == Some(size) {
            self.disk.settle(&target)?;
            return fresh.remove();
        }
        if file::size(&shared)? == Some(size) && self.disk.link(&shared, &target).is_ok() {
            return fresh.remove();
        }
        self.disk.settle_at(fresh, &target, &self.staging)?;
        self.share(&target, &shared, size);
        Ok(())
    }

    /// Gives a blob its shared link. Without it the blob is as good; only the next repository has
    /// to be sent it again.
    pub(super) fn share(&self, blob: &Path, shared: &Path, size: u64) {
        let done = self.disk.make_parent(shared).and_then(|()| {
            if file::size(shared)?.is_some_and(|there| there != size) {
                file::remove(shared)?;
            }
            match fs::hard_link(blob, shared) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                    Err(Error::at("link to", shared, e))
                }
                _ => Ok(()),
            }
        });
        if let Err(error) = done {
            tracing::warn!(%error, "a blob is not shared among repositories");
        }
    }

    /// Gives a blob of `from`, or a shared one, to the repository `to`.
    pub(super) fn mount(
        &self,
        from: Option<&Repository>,
        to: &Repository,
        digest: &Digest,
    ) -> Result<bool> {
        let target = self.layout.blob(to, digest);
        let source = match from {
            Some(from) => self.layout.blob(from, digest),
            None => self.layout.shared_blob(digest),
        };
        let Some(size) = file::size(&source)? else {
            return if from.is_none() { self.borrow(to, digest) } else { Ok(false) };
        };
        if file::size(&target)? == Some(size) {
            return self.disk.settle(&target).map(|()| true);
        }
        match self.disk.link(&source, &target) {
            Ok(()) => Ok(true),
            Err(Error::Io { source, .. }) if file::is_missing(&source) => Ok(false),
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
                Ok(true)
            }
            // A file system without links, or a file with all the links it can have.
            Err(_) => self.copy(&source, &target, size),
        }
    }

    fn copy(&self, source: &Path, target: &Path, size: u64) -> Result<bool> {
        let staged = self.staging.path();
        let copied = fs::copy(source, &staged).and_then(|copied| {
            if copied != size {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            File::open(&staged)?.sync_data()
        });
        let placed = copied
            .map_err(|e| Error::at("copy", source, e))
            .and_then(|()| self.disk.rename(&staged, target));
        if placed.is_err() {
            file::remove(&staged)?;
        }
        placed.map(|()| true)
    }

    /// Makes durable what a repository holds, whoever brought it; `None` if it does not.
    pub(super) fn settle(&self, repository: &Repository, digest: &Digest) -> Result<Option<u64>> {
        let path = self.layout.blob(repository, digest);
        let size = file::size(&path)?;
        if size.is_some() {
            self.disk.settle(&path)?;
        }
        Ok(size)
    }

    /// Takes a blob from a repository, and its shared link when no other repository holds it.
    pub(super) fn remove(&self, repository: &Repository, digest: &Digest) -> Result<bool> {
        let (target, shared) =
            (self.layout.blob(repository, digest), self.layout.shared_blob(digest));
        let guard = locked(&self.unlinking);
        if self.is_last(&target, &shared, digest) {
            file::remove(&shared)?;
        }
        let removed = file::remove(&target)?;
        drop(guard);
        if removed {
            self.disk.sync_parent(&target)?;
        }
        Ok(removed)
    }

    /// Whether a shared file has no links but its own, this repository's and the lender's.
    fn is_last(&self, target: &Path, shared: &Path, digest: &Digest) -> bool {
        let (Ok(ours), Ok(common)) = (fs::metadata(target), fs::metadata(shared)) else {
            return false;
        };
        let is_same = (ours.dev(), ours.ino()) == (common.dev(), common.ino());
        let lent = self.lender.as_ref().is_some_and(|lender| lender.holds(digest, &common));
        is_same && common.nlink() <= 2 + u64::from(lent)
    }
}
