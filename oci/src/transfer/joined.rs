//! Several images as one: an index of them, that is nowhere yet.

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Mutex, PoisonError};

use super::Origin;
use crate::{
    BlobRead, Descriptor, Digest, Document, Error, ImageConfig, Index, Manifest, MediaType,
    Platform, Raw, Reference, Result, Verified,
};

/// How long a config may be that is read for its platform, in bytes.
const MAX_CONFIG: u64 = 8 << 20;

/// An index of images that are at places of their own.
pub struct Joined {
    origins: Vec<Box<dyn Origin>>,
    /// The images that were read for the index.
    parts: Vec<Document>,
    /// Which of the origins has a document or a blob, as far as documents told.
    homes: Mutex<HashMap<Digest, usize>>,
    root: Document,
}

impl Joined {
    /// Joins images of known platforms, in this order.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub fn new(images: Vec<(Platform, Box<dyn Origin>)>) -> Result<Joined> {
        let mut listed = Listed::default();
        let mut origins = Vec::new();
        for (home, (platform, origin)) in images.into_iter().enumerate() {
            let document = origin.root()?;
            let mut entry = document.descriptor();
            entry.platform = Some(platform);
            listed.add(entry, home);
            listed.part(document, home);
            origins.push(origin);
        }
        Ok(listed.into_index(origins))
    }

    /// Joins images and indexes: what an index lists stands in its place, and an image gets the
    /// platform that its config names. What comes twice is listed where it came first. An index
    /// that is alone stays as it is, as does an image alone with `alone_as_it_is`.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub fn of_all(origins: Vec<Box<dyn Origin>>, alone_as_it_is: bool) -> Result<Joined> {
        let mut listed = Listed::default();
        let mut only = None;
        for (home, origin) in origins.iter().enumerate() {
            let document = origin.root()?;
            match &document {
                Document::Index(index) => {
                    for entry in &index.manifests {
                        listed.add(entry.clone(), home);
                    }
                }
                Document::Manifest(manifest) => {
                    let mut entry = document.descriptor();
                    entry.platform = platform_of(&**origin, manifest)?;
                    if entry.platform.is_none() {
                        entry.artifact_type = document.as_referrer().artifact_type;
                    }
                    listed.add(entry, home);
                }
            }
            let keeps = alone_as_it_is || matches!(document, Document::Index(_));
            only = (origins.len() == 1 && keeps).then(|| document.clone());
            listed.part(document, home);
        }
        let mut joined = listed.into_index(origins);
        if let Some(only) = only {
            joined.root = only;
        }
        Ok(joined)
    }

    fn note(&self, document: &Document, home: usize) {
        let mut homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
        note(&mut homes, document, home);
    }

    fn home(&self, digest: &Digest) -> Option<usize> {
        self.homes.lock().unwrap_or_else(PoisonError::into_inner).get(digest).copied()
    }

    /// The origins that may have something, the likeliest first.
    fn candidates(&self, digest: &Digest) -> impl Iterator<Item = (usize, &dyn Origin)> {
        let home = self.home(digest);
        let all = || self.origins.iter().enumerate();
        let first = all().filter(move |(at, _)| Some(*at) == home);
        let others = all().filter(move |(at, _)| Some(*at) != home);
        first.chain(others).map(|(at, origin)| (at, &**origin))
    }
}

/// Where a document's parts are: beside it.
fn note(homes: &mut HashMap<Digest, usize>, document: &Document, home: usize) {
    let parts: Vec<&Descriptor> = match document {
        Document::Manifest(manifest) => {
            std::iter::once(&manifest.config).chain(&manifest.layers).collect()
        }
        Document::Index(index) => index.manifests.iter().collect(),
    };
    for digest in parts.into_iter().map(|part| &part.digest).chain([document.digest()]) {
        homes.entry(digest.clone()).or_insert(home);
    }
}

/// The platform of an image; an artifact has none.
fn platform_of(origin: &dyn Origin, manifest: &Manifest) -> Result<Option<Platform>> {
    if !manifest.config.media_type.is_image_config() || manifest.config.size > MAX_CONFIG {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    origin
        .open(&manifest.config)?
        .read_to_end(&mut bytes)
        .map_err(|e| Error::io("read", manifest.config.digest.to_string(), e))?;
    let config = Raw::<ImageConfig>::parse(bytes, "image config")?;
    Ok(Some(config.platform()).filter(|platform| !platform.os.is_empty()))
}

/// An index as it comes about.
#[derive(Default)]
struct Listed {
    entries: Vec<Descriptor>,
    parts: Vec<Document>,
    homes: HashMap<Digest, usize>,
}

impl Listed {
    fn add(&mut self, entry: Descriptor, home: usize) {
        if self.entries.iter().all(|known| known.digest != entry.digest) {
            self.homes.entry(entry.digest.clone()).or_insert(home);
            self.entries.push(entry);
        }
    }

    fn part(&mut self, document: Document, home: usize) {
        note(&mut self.homes, &document, home);
        self.parts.push(document);
    }

    /// An index of Docker's kind where all that it lists is, else OCI's.
    fn into_index(self, origins: Vec<Box<dyn Origin>>) -> Joined {
        let Listed { entries, parts, homes } = self;
        let is_docker = |entry: &Descriptor| entry.media_type == MediaType::DOCKER_MANIFEST;
        let all_docker = !entries.is_empty() && entries.iter().all(is_docker);
        let mut index = Index::oci(entries);
        if all_docker {
            index.media_type = Some(MediaType::DOCKER_LIST);
        }
        let root = Document::Index(Raw::write(index));
        Joined { origins, parts, homes: Mutex::new(homes), root }
    }
}

impl BlobRead for Joined {
    fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        for (_, origin) in self.candidates(digest) {
            if let Some(size) = origin.size(digest)? {
                return Ok(Some(size));
            }
        }
        Ok(None)
    }

    fn open(&self, blob: &Descriptor) -> Result<Verified<Box<dyn Read + Send + '_>>> {
        for (_, origin) in self.candidates(&blob.digest) {
            match origin.open(blob) {
                Err(Error::BlobNotFound { .. }) => {}
                opened => return opened,
            }
        }
        Err(Error::BlobNotFound { digest: blob.digest.clone() })
    }
}

impl Origin for Joined {
    fn root(&self) -> Result<Document> {
        Ok(self.root.clone())
    }

    fn document(&self, descriptor: &Descriptor) -> Result<Document> {
        let is_it = |document: &&Document| *document.digest() == descriptor.digest;
        if let Some(document) = self.parts.iter().find(is_it) {
            return Ok(document.clone());
        }
        let mut missing = Error::BlobNotFound { digest: descriptor.digest.clone() };
        for (at, origin) in self.candidates(&descriptor.digest) {
            match origin.document(descriptor) {
                Ok(document) => {
                    self.note(&document, at);
                    return Ok(document);
                }
                // What the likeliest says is the reason.
                Err(error) if matches!(missing, Error::BlobNotFound { .. }) => missing = error,
                Err(_) => {}
            }
        }
        Err(missing)
    }

    /// What is nowhere yet has none.
    fn referrers(&self, _: &Digest) -> Result<Vec<Descriptor>> {
        Ok(Vec::new())
    }

    fn repository_of(&self, digest: &Digest) -> Option<&Reference> {
        self.origins.get(self.home(digest)?)?.repository_of(digest)
    }
}
