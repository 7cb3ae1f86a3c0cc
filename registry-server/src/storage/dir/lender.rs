//! Another store on this machine, from which blobs are taken without a copy.
//!
//! What is linked is the file that was hashed, not its name, and only if nobody but we and root
//! can write to it: a digest that was verified must stay the digest of its bytes. Any other file
//! is cloned or copied first, and what is hashed is the copy.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use oci::Digest;
use rustix::fs::{AtFlags, CWD, ioctl_ficlone, linkat};

use super::blobs::Blobs;
use super::file::{self, Fresh};
use crate::name::Repository;
use crate::{Error, Result};

/// A store whose blobs a directory may take as its own, when a client who may read everything
/// names them.
#[derive(Debug, Clone)]
pub struct Lender {
    /// The directory with `<algorithm>/<hex>` of each blob.
    pub blobs: PathBuf,
    /// What clients are told of it, so that they know whether it is the store that they have.
    pub name: String,
}

impl Lender {
    fn path(&self, digest: &Digest) -> PathBuf {
        self.blobs.join(digest.algorithm().as_str()).join(digest.hex())
    }

    /// The file of a blob, if it is there.
    fn open(&self, digest: &Digest) -> Result<Option<(File, Metadata)>> {
        let path = self.path(digest);
        // No link is followed and no pipe is waited for.
        let flags = libc_flags();
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(&path);
        let opened = opened.and_then(|file| Ok((file.metadata()?, file)));
        match opened {
            Ok((metadata, file)) => Ok(metadata.is_file().then_some((file, metadata))),
            Err(e) if file::is_missing(&e) => Ok(None),
            // Whatever stands there is no blob that we can read.
            Err(error) => {
                tracing::debug!(%error, path = %path.display(), "not taken");
                Ok(None)
            }
        }
    }

    /// Whether it has this very file under the name of a digest: one of the file's links is then
    /// the lender's.
    pub(super) fn holds(&self, digest: &Digest, file: &Metadata) -> bool {
        let held = std::fs::symlink_metadata(self.path(digest));
        held.is_ok_and(|held| (held.dev(), held.ino()) == (file.dev(), file.ino()))
    }
}

fn libc_flags() -> i32 {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    flags.bits().cast_signed()
}

/// Whether nobody but us, and root, can change the file's bytes.
fn is_ours_alone(metadata: &Metadata) -> bool {
    let us = rustix::process::geteuid().as_raw();
    [us, 0].contains(&metadata.uid()) && metadata.mode() & 0o022 == 0
}

impl Blobs {
    /// Gives the repository `to` a blob that the lender has; false if it has none.
    pub(super) fn borrow(&self, to: &Repository, digest: &Digest) -> Result<bool> {
        let Some(lender) = &self.lender else { return Ok(false) };
        let Some((file, metadata)) = lender.open(digest)? else { return Ok(false) };
        let (path, size) = (lender.path(digest), metadata.len());
        if file::size(&self.layout.blob(to, digest))? == Some(size) {
            return self.settle(to, digest).map(|held| held.is_some());
        }
        if is_ours_alone(&metadata) {
            if !is(&file, digest).map_err(|e| Error::at("read", &path, e))? {
                tracing::warn!(path = %path.display(), "a blob of the store is damaged");
                return Ok(false);
            }
            match self.link_opened(&file, size, to, digest) {
                Ok(()) => return Ok(true),
                Err(error) => tracing::debug!(%error, "copied instead"),
            }
        }
        self.copy_opened(&file, &path, size, to, digest)
    }

    /// Links the file itself, whatever its name stands for by now.
    fn link_opened(&self, file: &File, size: u64, to: &Repository, digest: &Digest) -> Result<()> {
        let target = self.layout.blob(to, digest);
        self.disk.make_parent(&target)?;
        let opened = format!("/proc/self/fd/{}", file.as_raw_fd());
        linkat(CWD, opened, CWD, &target, AtFlags::SYMLINK_FOLLOW)
            .map_err(|e| Error::at("link to", &target, e.into()))?;
        self.disk.settle(&target)?;
        self.share(&target, &self.layout.shared_blob(digest), size);
        Ok(())
    }

    /// Where it cannot be linked: another file system, or a file that others can write to.
    fn copy_opened(
        &self,
        source: &File,
        path: &Path,
        size: u64,
        to: &Repository,
        digest: &Digest,
    ) -> Result<bool> {
        let staged = self.staging.path();
        let copied = file::create(&staged).and_then(|mut target| {
            if ioctl_ficlone(&target, source).is_err() {
                io::copy(&mut io::Read::take(source, size), &mut target)?;
            }
            is(&target, digest)
        });
        let placed = match copied {
            Ok(true) => self.place(Fresh::Named(&staged), to, digest, size).map(|()| true),
            Ok(false) => Ok(false),
            Err(e) => Err(Error::at("copy", path, e)),
        };
        if !matches!(placed, Ok(true)) {
            file::remove(&staged)?;
        }
        placed
    }
}

/// Whether an open file has the bytes of a digest.
fn is(file: &File, digest: &Digest) -> io::Result<bool> {
    let size = file.metadata()?.len();
    Ok(file::digest(file, digest.algorithm(), size)? == *digest)
}
