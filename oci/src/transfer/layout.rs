//! Copies into the directory of an OCI image layout.

use std::io;
use std::path::PathBuf;

use super::{Arrival, Destination, Standing, Supply};
use crate::archive::OciLayoutDir;
use crate::archive::names::REF_NAME;
use crate::{BlobRead, BlobStore, Descriptor, Document, Error, Result};

/// A name in an OCI image layout.
#[derive(Debug)]
pub struct LayoutDestination {
    layout: OciLayoutDir,
    name: Option<String>,
}

impl LayoutDestination {
    /// Opens the layout in `root` or begins one. The copy is listed as `name`, word for word;
    /// without one it is listed by its digest.
    ///
    /// # Errors
    /// If the directory cannot be made, or holds something else than a layout.
    pub fn create(root: impl Into<PathBuf>, name: Option<String>) -> Result<LayoutDestination> {
        Ok(LayoutDestination { layout: OciLayoutDir::create(root)?, name })
    }

    fn is_ours(&self, entry: &Descriptor) -> bool {
        entry.annotations.get(REF_NAME) == self.name.as_ref()
    }
}

impl Destination for LayoutDestination {
    fn is_there(&self, root: &Descriptor, parts: &[&Descriptor]) -> Result<bool> {
        let index = self.layout.read_index()?;
        if !index.manifests.iter().any(|other| other.digest == root.digest && self.is_ours(other)) {
            return Ok(false);
        }
        let blobs = self.layout.blobs();
        for part in parts {
            if blobs.size(&part.digest)? != Some(part.size) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn put_blob(
        &self,
        blob: &Descriptor,
        supply: &dyn Supply,
        moved: &(dyn Fn(u64) + Sync),
    ) -> Result<Arrival> {
        let blobs = self.layout.blobs();
        if blobs.size(&blob.digest)?.is_some() {
            return Ok(Arrival::Present);
        }
        let mut ingest = blobs.ingest()?;
        let mut counted = Counted { inner: supply.open(blob)?, bytes: 0, moved };
        io::copy(&mut counted, &mut ingest)
            .map_err(|e| Error::io("copy", format!("blob {}", blob.digest), e))?;
        ingest.commit(Some(&blob.digest))?;
        Ok(Arrival::Taken)
    }

    fn put_document(&self, document: &Document, standing: Standing, _: &dyn Supply) -> Result<()> {
        self.layout.ingest(document.digest(), document.bytes())?;
        let mut entry = document.descriptor();
        match standing {
            Standing::Part => Ok(()),
            Standing::Root => {
                if let Some(name) = &self.name {
                    entry.annotations.insert(REF_NAME.into(), name.clone());
                }
                let digest = entry.digest.clone();
                let named = self.name.is_some();
                self.layout
                    .list(entry, |other| self.is_ours(other) && (named || other.digest == digest))
            }
            // Found again by their subject.
            Standing::Referrer => {
                let digest = entry.digest.clone();
                self.layout.list(entry, |other| {
                    other.digest == digest && !other.annotations.contains_key(REF_NAME)
                })
            }
        }
    }

    fn finish(&self) -> Result<()> {
        Ok(())
    }
}

/// Tells how much was read.
pub(super) struct Counted<'a, R> {
    pub(super) inner: R,
    pub(super) bytes: u64,
    pub(super) moved: &'a (dyn Fn(u64) + Sync),
}

impl<R: io::Read> io::Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes += count as u64;
        (self.moved)(self.bytes);
        Ok(count)
    }
}
