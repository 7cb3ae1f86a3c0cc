//! Copies out of archives and layouts, and into archives.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use indexmap::IndexMap;

use super::{Arrival, Destination, Origin, Standing, Supply};
use crate::archive::names::{REF_NAME, name_of};
use crate::archive::{Archive, ArchiveFormat, ArchiveWriter, invalid};
use crate::{BlobRead, Descriptor, Digest, Document, Error, Reference, Result, Verified};

/// One image, index or artifact of an archive, or of the directory of an OCI layout.
#[derive(Debug)]
pub struct ArchiveOrigin {
    archive: Archive,
    root: Descriptor,
}

impl ArchiveOrigin {
    /// Opens an archive at what it calls `wanted`: the name or tag as it stands there, a name
    /// that means the same, a digest behind an `@`, or a position behind one (`@0`). Without, it
    /// must have one image alone.
    ///
    /// # Errors
    /// As [`Archive::open`]; [`Error::ImageNotFound`] if nothing is called so.
    pub fn open(path: &Path, staging: &Path, wanted: Option<&str>) -> Result<ArchiveOrigin> {
        let archive = Archive::open(path, staging)?;
        let entries = archive.entries();
        let root = match wanted {
            Some(wanted) => find(&entries, wanted),
            None => only(&entries)?,
        };
        let root = root.cloned().ok_or_else(|| Error::ImageNotFound {
            name: format!("{}:{}", path.display(), wanted.unwrap_or_default()),
        })?;
        Ok(ArchiveOrigin { archive, root })
    }
}

fn find<'a>(entries: &'a [Descriptor], wanted: &str) -> Option<&'a Descriptor> {
    if let Some(which) = wanted.strip_prefix('@') {
        let by_digest = entries.iter().find(|entry| entry.digest.to_string() == which);
        return by_digest.or_else(|| entries.get(which.parse::<usize>().ok()?));
    }
    let word = |entry: &&Descriptor| entry.annotations.get(REF_NAME).is_some_and(|n| n == wanted);
    let name = wanted.parse().map(Reference::with_default_tag).ok();
    let means = |entry: &&Descriptor| name.is_some() && name_of(entry) == name;
    let tag = |entry: &&Descriptor| name_of(entry).is_some_and(|n| n.tag() == Some(wanted));
    let mut found = entries.iter();
    found.find(word).or_else(|| entries.iter().find(means)).or_else(|| entries.iter().find(tag))
}

/// What there is, if it is one thing; what merely refers to another does not count.
fn only(entries: &[Descriptor]) -> Result<Option<&Descriptor>> {
    let documents =
        || entries.iter().filter(|e| e.media_type.is_manifest() || e.media_type.is_index());
    let is_image = |entry: &&Descriptor| entry.artifact_type.is_none();
    let mut candidates: Vec<&Descriptor> = documents().filter(is_image).collect();
    if candidates.is_empty() {
        candidates = documents().collect();
    }
    candidates.dedup_by(|a, b| a.digest == b.digest);
    match candidates[..] {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => {
            let names: Vec<String> = candidates
                .iter()
                .map(|e| {
                    e.annotations.get(REF_NAME).cloned().unwrap_or_else(|| e.digest.to_string())
                })
                .collect();
            Err(invalid(format!("it has several images; name one: {}", names.join(", "))))
        }
    }
}

impl BlobRead for ArchiveOrigin {
    fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        self.archive.size(digest)
    }

    fn open(&self, blob: &Descriptor) -> Result<Verified<Box<dyn Read + Send + '_>>> {
        self.archive.open(blob)
    }
}

impl Origin for ArchiveOrigin {
    fn root(&self) -> Result<Document> {
        self.archive.document(&self.root)
    }

    fn document(&self, descriptor: &Descriptor) -> Result<Document> {
        self.archive.document(descriptor)
    }

    fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let mut found: Vec<Descriptor> = Vec::new();
        for entry in self.archive.entries() {
            if !entry.media_type.is_manifest() && !entry.media_type.is_index() {
                continue;
            }
            let document = self.archive.document(&entry)?;
            if document.subject().is_some_and(|s| s.digest == *subject)
                && found.iter().all(|known| known.digest != entry.digest)
            {
                found.push(document.as_referrer());
            }
        }
        Ok(found)
    }
}

/// A new archive of one image, index or artifact.
pub struct ArchiveDestination<W> {
    writer: Mutex<Option<ArchiveWriter<W>>>,
    name: ArchiveName,
}

/// What an archive calls what is copied into it.
#[derive(Debug, Clone)]
pub enum ArchiveName {
    /// Names of images.
    Images(Vec<Reference>),
    /// A word, as it stands in the layout's list.
    Word(String),
}

impl<W: Write + Send> ArchiveDestination<W> {
    /// Begins an archive.
    pub fn new(format: ArchiveFormat, name: ArchiveName, output: W) -> ArchiveDestination<W> {
        let writer = Mutex::new(Some(ArchiveWriter::new(format, output)));
        ArchiveDestination { writer, name }
    }
}

impl<W: Write + Send> Destination for ArchiveDestination<W> {
    fn is_there(&self, _: &Descriptor, _: &[&Descriptor]) -> Result<bool> {
        Ok(false)
    }

    /// Later: the order of what is written depends on the documents alone.
    fn put_blob(
        &self,
        _: &Descriptor,
        _: &dyn Supply,
        _: &(dyn Fn(u64) + Sync),
    ) -> Result<Arrival> {
        Ok(Arrival::WithManifest)
    }

    fn put_document(
        &self,
        document: &Document,
        standing: Standing,
        supply: &dyn Supply,
    ) -> Result<()> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let writer = writer.as_ref().ok_or_else(|| invalid("it is complete already"))?;
        match document {
            Document::Manifest(manifest) => writer.put_manifest(manifest, &Blobs(supply))?,
            Document::Index(index) => writer.put_index(index)?,
        }
        match (standing, &self.name) {
            (Standing::Part, _) => Ok(()),
            (Standing::Root, ArchiveName::Images(names)) => {
                writer.list(document, names, IndexMap::new())
            }
            (Standing::Root, ArchiveName::Word(word)) => {
                let annotation = [(REF_NAME.to_owned(), word.clone())];
                writer.list(document, &[], annotation.into_iter().collect())
            }
            (Standing::Referrer, _) => writer.list(document, &[], IndexMap::new()),
        }
    }

    fn finish(&self) -> Result<()> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        writer.map_or(Ok(()), |writer| writer.finish().map(drop))
    }
}

/// A supply as the blobs that it has.
struct Blobs<'a>(&'a dyn Supply);

impl BlobRead for Blobs<'_> {
    fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        self.0.size(digest)
    }

    fn open(&self, blob: &Descriptor) -> Result<Verified<Box<dyn Read + Send + '_>>> {
        self.0.open(blob)
    }
}
