//! What is put into a registry as an artifact.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::num::NonZeroUsize;
use std::path::{Component, Path, PathBuf};

use layerfs::{Root, write_tree};
use oci::compress::{Compression, Encoder};
use oci::transfer::{Destination, Standing, Supply};
use oci::{
    BlobRead, Descriptor, Digest, Document, Error, HashedWrite, Manifest, MediaType, Raw,
    Reference, Verified,
};
use registry_client::blocking::RepositoryDestination;

use super::{EMPTY, EMPTY_TYPE, TAR_DIGEST, TITLE, UNKNOWN, UNPACK};
use crate::app::App;
use crate::error::{Doing, Failure};

const CREATED: &str = "org.opencontainers.image.created";
/// What a file is that nothing is said of.
const FILE_TYPE: &str = "application/octet-stream";
/// What a directory is that nothing is said of.
const DIR_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// An artifact that is being made of files.
pub(crate) struct Bundle {
    blobs: HashMap<Digest, Content>,
    config: Option<Descriptor>,
    layers: Vec<Descriptor>,
    threads: NonZeroUsize,
}

enum Content {
    Empty,
    File(PathBuf, u64),
    /// A directory, packed into a file without a name.
    Packed(File, u64),
}

impl Bundle {
    /// An artifact of nothing yet, packed by so many threads.
    pub(crate) fn new(threads: NonZeroUsize) -> Bundle {
        Bundle { blobs: HashMap::new(), config: None, layers: Vec::new(), threads }
    }

    /// Takes a file in, or a directory: `PATH`, or `PATH:MEDIA-TYPE`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn add(&mut self, text: &str) -> Result<(), Failure> {
        let (path, media_type) = with_type(text);
        let mut blob = match path.is_dir() {
            true => self.packed(path, media_type.unwrap_or(DIR_TYPE))?,
            false => self.file(path, media_type.unwrap_or(FILE_TYPE))?,
        };
        if let Some(title) = title(path) {
            blob.annotations.insert(TITLE.to_owned(), title.to_string_lossy().into_owned());
        }
        self.layers.push(blob);
        Ok(())
    }

    /// Takes a file as the artifact's configuration.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn set_config(&mut self, text: &str) -> Result<(), Failure> {
        let (path, media_type) = with_type(text);
        let blob = self.file(path, media_type.unwrap_or("application/vnd.unknown.config.v1+json"));
        self.config = Some(blob?);
        Ok(())
    }

    fn file(&mut self, path: &Path, media_type: &str) -> Result<Descriptor, Failure> {
        let mut file = File::open(path).doing(|| format!("cannot read {}", path.display()))?;
        let blob = described(&mut file, media_type, path)?;
        self.blobs.insert(blob.digest.clone(), Content::File(path.to_owned(), blob.size));
        Ok(blob)
    }

    /// A directory as `oras` packs it: everything below its own name.
    fn packed(&mut self, path: &Path, media_type: &str) -> Result<Descriptor, Failure> {
        let doing = || format!("cannot pack {}", path.display());
        let tree = Root::open(path).doing(doing)?;
        let mut file = tempfile::tempfile().doing(doing)?;
        let encoder = Encoder::new(Compression::GZIP, self.threads, &file).doing(doing)?;
        let mut tar = HashedWrite::new(encoder, oci::Algorithm::Sha256);
        let mut buffered = BufWriter::with_capacity(1 << 20, &mut tar);
        let top = title(path).unwrap_or_default();
        write_tree(&tree, Path::new("/"), &top, &mut buffered).doing(doing)?;
        buffered.flush().doing(doing)?;
        drop(buffered);
        let (encoder, tar_digest) = tar.finish();
        encoder.finish().doing(doing)?;
        file.seek(SeekFrom::Start(0)).doing(doing)?;
        let mut blob = described(&mut file, media_type, path)?;
        blob.annotations.insert(TAR_DIGEST.to_owned(), tar_digest.to_string());
        blob.annotations.insert(UNPACK.to_owned(), "true".to_owned());
        self.blobs.insert(blob.digest.clone(), Content::Packed(file, blob.size));
        Ok(blob)
    }

    /// The manifest of what was taken in; `notes` are `NAME=VALUE`.
    ///
    /// # Errors
    /// If a note is none, or `SOURCE_DATE_EPOCH` is no time.
    pub(crate) fn manifest(
        &mut self,
        app: &App,
        artifact_type: Option<&str>,
        notes: &[String],
    ) -> Result<Manifest, Failure> {
        let nothing = Descriptor::new(MediaType::new(EMPTY_TYPE), Digest::sha256(EMPTY), 2);
        self.blobs.insert(nothing.digest.clone(), Content::Empty);
        let artifact_type = match (artifact_type, &self.config) {
            (Some(named), _) => Some(named.to_owned()),
            // The configuration's type tells what it is.
            (None, Some(_)) => None,
            (None, None) => Some(UNKNOWN.to_owned()),
        };
        let config = self.config.take().unwrap_or_else(|| nothing.clone());
        let mut layers = std::mem::take(&mut self.layers);
        if layers.is_empty() {
            layers.push(nothing);
        }
        let mut manifest = Manifest::oci(config, layers);
        manifest.artifact_type = artifact_type;
        for note in notes {
            let (name, value) = note.split_once('=').ok_or_else(|| {
                Failure::new(format!("invalid annotation `{note}`: write it as NAME=VALUE"))
            })?;
            manifest.annotations.insert(name.to_owned(), value.to_owned());
        }
        if !manifest.annotations.contains_key(CREATED) {
            let now = app.machine.created()?;
            manifest.annotations.insert(CREATED.to_owned(), now);
        }
        Ok(manifest)
    }

    /// Puts blobs and manifest into a registry; the digest by which they are there.
    ///
    /// # Errors
    /// If the registry does not take them.
    pub(crate) fn put(
        &self,
        manifest: Manifest,
        registry: &RepositoryDestination,
        standing: Standing,
    ) -> oci::Result<Digest> {
        let mut put = HashSet::new();
        let blobs = manifest.layers.iter().chain([&manifest.config]);
        for blob in blobs.filter(|blob| put.insert(blob.digest.clone())) {
            registry.put_blob(blob, self, &|_| {})?;
        }
        let document = Document::Manifest(Raw::write(manifest));
        registry.put_document(&document, standing, self)?;
        Ok(document.digest().clone())
    }
}

/// The parts of `PATH:MEDIA-TYPE`.
fn with_type(text: &str) -> (&Path, Option<&str>) {
    match text.rsplit_once(':') {
        Some((path, kind)) if kind.contains('/') => (Path::new(path), Some(kind)),
        _ => (Path::new(text), None),
    }
}

/// What a file is called in the artifact: its path, if that leads down from here; else its name.
fn title(path: &Path) -> Option<PathBuf> {
    let down = path.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    match down {
        true => Some(path.components().filter(|c| *c != Component::CurDir).collect()),
        false => path.file_name().map(PathBuf::from),
    }
}

fn described(file: &mut File, media_type: &str, path: &Path) -> Result<Descriptor, Failure> {
    let mut hasher = oci::Algorithm::Sha256.hasher();
    let size = io::copy(file, &mut hasher).doing(|| format!("cannot read {}", path.display()))?;
    Ok(Descriptor::new(MediaType::new(media_type), hasher.finish(), size))
}

impl BlobRead for Bundle {
    fn size(&self, digest: &Digest) -> oci::Result<Option<u64>> {
        Ok(self.blobs.get(digest).map(|content| match content {
            Content::Empty => EMPTY.len() as u64,
            Content::File(_, size) | Content::Packed(_, size) => *size,
        }))
    }

    fn open(&self, blob: &Descriptor) -> oci::Result<Verified<Box<dyn Read + Send + '_>>> {
        let failed =
            |operation, object: String| move |source| Error::Io { operation, object, source };
        let reader: Box<dyn Read + Send> = match self.blobs.get(&blob.digest) {
            Some(Content::Empty) => Box::new(EMPTY),
            Some(Content::File(path, _)) => {
                Box::new(File::open(path).map_err(failed("open", path.display().to_string()))?)
            }
            Some(Content::Packed(file, _)) => {
                let again = || {
                    let mut file = file.try_clone()?;
                    file.seek(SeekFrom::Start(0))?;
                    Ok(file)
                };
                Box::new(again().map_err(failed("read", "a packed directory".to_owned()))?)
            }
            None => return Err(Error::BlobNotFound { digest: blob.digest.clone() }),
        };
        Ok(Verified::new(reader, blob))
    }
}

impl Supply for Bundle {
    fn repository(&self, _: &Digest) -> Option<&Reference> {
        None
    }
}
