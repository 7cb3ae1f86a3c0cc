//! Images written to a tar, as one stream.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use indexmap::IndexMap;
use serde::Serialize;
use tar_core::EntryType;
use tar_core::builder::EntryBuilder;

use super::files::blob_path;
use super::{invalid, names};
use crate::{
    BlobRead, Descriptor, Digest, Document, Error, Image, ImageSink, Index, Manifest, MediaType,
    Raw, Reference, Result,
};

/// What `oci-layout` holds (image-layout, "oci-layout file").
pub(super) const LAYOUT_FILE: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// The formats of archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveFormat {
    /// What `docker save` has written since docker 25: an OCI layout that also has the
    /// `manifest.json` of old. Every engine loads it.
    Docker,
    /// An OCI image layout and nothing else.
    Oci,
}

/// Writes images to a tar as they come; [`finish`](ArchiveWriter::finish) makes it whole.
///
/// The bytes depend on the images, their names and their order alone. A blob that several
/// images share is written once.
pub struct ArchiveWriter<W> {
    format: ArchiveFormat,
    state: Mutex<State<W>>,
}

struct State<W> {
    output: W,
    /// Everything written so far, by digest.
    written: HashSet<Digest>,
    images: Vec<Written>,
    /// Whether the archive ends within an entry, and nothing can follow.
    broken: bool,
}

/// Something whose blobs are in the archive.
struct Written {
    names: Vec<Reference>,
    /// What its entry in `index.json` is annotated with, where it has no names.
    annotations: IndexMap<String, String>,
    descriptor: Descriptor,
    /// For docker's `manifest.json`, if it is an image.
    docker: Option<DockerPaths>,
}

struct DockerPaths {
    config: String,
    layers: Vec<String>,
}

/// An image of docker's `manifest.json`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Listed<'a> {
    config: &'a str,
    repo_tags: Option<Vec<String>>,
    layers: &'a [String],
}

impl<W: Write + Send> ArchiveWriter<W> {
    /// Begins an archive.
    pub fn new(format: ArchiveFormat, output: W) -> ArchiveWriter<W> {
        let state = State { output, written: HashSet::new(), images: Vec::new(), broken: false };
        ArchiveWriter { format, state: Mutex::new(state) }
    }

    /// Takes an image that has no name.
    ///
    /// # Errors
    /// As [`ImageSink::put`].
    pub fn put_unnamed(&self, image: &Image, blobs: &dyn BlobRead) -> Result<Digest> {
        self.add(None, image, blobs)
    }

    /// Takes a manifest, with the blobs that it lists.
    ///
    /// # Errors
    /// As [`ImageSink::put`].
    pub fn put_manifest(&self, manifest: &Raw<Manifest>, blobs: &dyn BlobRead) -> Result<()> {
        self.lock().whole(|state| {
            for blob in manifest.layers.iter().filter(|layer| !layer.media_type.is_foreign_layer())
            {
                state.blob(blob, blobs)?;
            }
            state.blob(&manifest.config, blobs)?;
            state.bytes(manifest.digest(), manifest.bytes())
        })
    }

    /// Takes an index, whose manifests were taken before.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn put_index(&self, index: &Raw<Index>) -> Result<()> {
        self.lock().whole(|state| state.bytes(index.digest(), index.bytes()))
    }

    /// Lists a document that was taken, under names or with annotations of another kind. In
    /// docker's format it must be an image.
    ///
    /// # Errors
    /// If it is none.
    pub fn list(
        &self,
        document: &Document,
        names: &[Reference],
        annotations: IndexMap<String, String>,
    ) -> Result<()> {
        let docker = match document {
            Document::Manifest(manifest) if manifest.config.media_type.is_image_config() => {
                let layers = manifest.layers.iter().map(|layer| blob_path(&layer.digest));
                let config = blob_path(&manifest.config.digest);
                Some(DockerPaths { config, layers: layers.collect() })
            }
            _ if self.format == ArchiveFormat::Docker => {
                return Err(invalid("docker's format holds images of one platform, nothing else"));
            }
            _ => None,
        };
        let (names, descriptor) = (names.to_vec(), document.descriptor());
        self.lock().images.push(Written { names, annotations, descriptor, docker });
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the lists of images and the end of the tar, and gives the output back, flushed.
    ///
    /// # Errors
    /// If writing fails, or an earlier image could not be written whole.
    pub fn finish(self) -> Result<W> {
        let mut state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        state.check()?;
        let index = Raw::write(Index::oci(state.images.iter().flat_map(Written::roots).collect()));
        state.file("index.json", index.bytes())?;
        if self.format == ArchiveFormat::Docker {
            let list: Vec<_> = state.images.iter().filter_map(Written::listed).collect();
            let list = serde_json::to_vec(&list).expect("our documents have string keys only");
            state.file("manifest.json", &list)?;
        }
        state.file("oci-layout", LAYOUT_FILE)?;
        let State { mut output, .. } = state;
        output.write_all(&[0; 1024]).and_then(|()| output.flush()).map_err(unwritable)?;
        Ok(output)
    }

    fn add(&self, name: Option<&Reference>, image: &Image, blobs: &dyn BlobRead) -> Result<Digest> {
        let mut state = self.lock();
        state.check()?;
        let position = match state.position_of(image.manifest.digest()) {
            Some(position) => position,
            None => {
                state.whole(|state| state.write_image(image, blobs))?;
                state.images.len() - 1
            }
        };
        let names = &mut state.images[position].names;
        if let Some(name) = name.map(|name| name.clone().with_default_tag())
            && !names.contains(&name)
        {
            names.push(name);
        }
        Ok(image.manifest.digest().clone())
    }
}

impl<W: Write + Send> ImageSink for ArchiveWriter<W> {
    /// The name is in the archive once [`finish`](ArchiveWriter::finish) has written the lists.
    fn put(&self, name: &Reference, image: &Image, blobs: &dyn BlobRead) -> Result<Digest> {
        self.add(Some(name), image, blobs)
    }
}

impl<W: Write> State<W> {
    fn check(&self) -> Result<()> {
        if self.broken {
            return Err(invalid("an earlier image could not be written to it whole"));
        }
        Ok(())
    }

    /// Writes something that leaves the archive broken unless all of it is there.
    fn whole(&mut self, write: impl FnOnce(&mut State<W>) -> Result<()>) -> Result<()> {
        self.check()?;
        self.broken = true;
        write(self)?;
        self.broken = false;
        Ok(())
    }

    fn position_of(&self, manifest: &Digest) -> Option<usize> {
        self.images.iter().position(|image| image.descriptor.digest == *manifest)
    }

    fn write_image(&mut self, image: &Image, blobs: &dyn BlobRead) -> Result<()> {
        let media_type = image.manifest.media_type.clone().unwrap_or(MediaType::OCI_MANIFEST);
        let digest = image.manifest.digest().clone();
        let mut descriptor = Descriptor::new(media_type, digest, image.manifest.size());
        descriptor.platform = Some(image.config.platform());
        self.bytes(image.manifest.digest(), image.manifest.bytes())?;
        self.bytes(&image.manifest.config.digest, image.config.bytes())?;
        for layer in &image.manifest.layers {
            self.blob(layer, blobs)?;
        }
        let layers = image.manifest.layers.iter().map(|layer| blob_path(&layer.digest)).collect();
        let config = blob_path(&image.manifest.config.digest);
        let docker = Some(DockerPaths { config, layers });
        let annotations = IndexMap::new();
        self.images.push(Written { names: Vec::new(), annotations, descriptor, docker });
        Ok(())
    }

    /// Writes a small blob that is at hand.
    fn bytes(&mut self, digest: &Digest, bytes: &[u8]) -> Result<()> {
        if !self.written.insert(digest.clone()) {
            return Ok(());
        }
        self.directories(digest)?;
        self.file(&blob_path(digest), bytes)
    }

    fn blob(&mut self, blob: &Descriptor, blobs: &dyn BlobRead) -> Result<()> {
        if !self.written.insert(blob.digest.clone()) {
            return Ok(());
        }
        self.directories(&blob.digest)?;
        let mut reader = blobs.open(blob)?;
        self.header(&blob_path(&blob.digest), blob.size, EntryType::Regular)?;
        let mut buffer = vec![0; 1 << 18];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return self.pad(blob.size),
                Ok(count) => self.output.write_all(&buffer[..count]).map_err(unwritable)?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io("read", format!("blob {}", blob.digest), e)),
            }
        }
    }

    /// Names the parents of the first blob of an algorithm: some readers make none by themselves.
    fn directories(&mut self, digest: &Digest) -> Result<()> {
        let algorithm = digest.algorithm();
        if self.written.len() == 1 {
            self.header("blobs/", 0, EntryType::Directory)?;
        }
        if self.written.iter().filter(|other| other.algorithm() == algorithm).count() == 1 {
            self.header(&format!("blobs/{}/", algorithm.as_str()), 0, EntryType::Directory)?;
        }
        Ok(())
    }

    fn file(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        self.header(path, bytes.len() as u64, EntryType::Regular)?;
        self.output.write_all(bytes).map_err(unwritable)?;
        self.pad(bytes.len() as u64)
    }

    fn header(&mut self, path: &str, size: u64, kind: EntryType) -> Result<()> {
        let mode = if kind == EntryType::Directory { 0o755 } else { 0o644 };
        let mut entry = EntryBuilder::new_ustar();
        let header = entry
            .path(path)
            .entry_type(kind)
            .mode(mode)
            .and_then(|entry| entry.uid(0)?.gid(0)?.mtime(0)?.size(size))
            .map_err(|e| invalid(format!("no tar can hold `{path}` of {size} bytes: {e}")))?
            .finish_bytes();
        self.output.write_all(&header).map_err(unwritable)
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        let padding = usize::try_from(size.wrapping_neg() % 512).expect("less than 512");
        self.output.write_all(&[0; 512][..padding]).map_err(unwritable)
    }
}

impl Written {
    /// The image as `index.json` lists it: once for each name.
    fn roots(&self) -> Vec<Descriptor> {
        if self.names.is_empty() {
            let annotations = self.annotations.clone();
            return vec![Descriptor { annotations, ..self.descriptor.clone() }];
        }
        let named =
            |name| Descriptor { annotations: names::annotations(name), ..self.descriptor.clone() };
        self.names.iter().map(named).collect()
    }

    fn listed(&self) -> Option<Listed<'_>> {
        let docker = self.docker.as_ref()?;
        // A digest is no tag: docker lists such an image without a name. The whole name, because
        // podman takes a short one for its own (`localhost/…`).
        let tags: Vec<_> = self
            .names
            .iter()
            .filter(|name| name.digest().is_none())
            .map(ToString::to_string)
            .collect();
        let repo_tags = (!tags.is_empty()).then_some(tags);
        Some(Listed { config: &docker.config, repo_tags, layers: &docker.layers })
    }
}

fn unwritable(e: io::Error) -> Error {
    Error::io("write", "image archive", e)
}
