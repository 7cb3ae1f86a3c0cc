//! Images in the format of `docker save` since 1.10: `manifest.json`, configs, layers.
//!
//! Such an archive has no manifests. Each image is given one, whose layers are the archive's
//! files as they are: a plain tar is known by the DiffID that the config claims, and whoever
//! reads it finds out whether it holds; a compressed one is hashed when the archive is opened.

use std::collections::HashMap;
use std::io::{self, Read};

use serde::Deserialize;

use super::files::Files;
use super::open::ArchivedImage;
use super::{MAX_DOCUMENT, MAX_LIST, invalid};
use crate::compress::{Format, sniff};
use crate::{
    Algorithm, Descriptor, DiffId, Digest, Error, Image, ImageConfig, LayerCompression, Manifest,
    MediaType, Raw, Reference, Result, Verified,
};

/// An archive of `docker save`.
#[derive(Debug)]
pub(super) struct DockerArchive {
    files: Files,
    images: Vec<Image>,
    /// The file of each blob.
    paths: HashMap<Digest, String>,
}

/// An image of `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

impl DockerArchive {
    /// Reads the list of images; `Err` gives the files back if there is none.
    pub(super) fn open(files: Files) -> Result<Result<(DockerArchive, Vec<ArchivedImage>), Files>> {
        let Some(list) = files.document("manifest.json", MAX_LIST)? else { return Ok(Err(files)) };
        let list: Vec<Listed> = serde_json::from_slice(&list)
            .map_err(|e| invalid(format!("its `manifest.json` cannot be read: {e}")))?;
        let mut archive = DockerArchive { files, images: Vec::new(), paths: HashMap::new() };
        let mut compressed = HashMap::new();
        let mut images = Vec::new();
        for listed in list {
            let image = archive.assemble(&listed, &mut compressed)?;
            images.push(ArchivedImage {
                tags: Vec::new(),
                names: names(listed.repo_tags.unwrap_or_default())?,
                position: archive.images.len(),
            });
            archive.images.push(image);
        }
        Ok(Ok((archive, images)))
    }

    pub(super) fn image(&self, position: usize) -> Result<Image> {
        self.images.get(position).cloned().ok_or_else(|| invalid("it has no such image"))
    }

    /// The position of the image that is known by `digest`.
    pub(super) fn position_of(&self, digest: &Digest) -> Option<usize> {
        self.images.iter().position(|image| image.manifest.digest() == digest)
    }

    pub(super) fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        let Some(path) = self.paths.get(digest) else { return Ok(None) };
        Ok(self.files.open(path)?.map(|(size, _)| size))
    }

    pub(super) fn blob(&self, blob: &Descriptor) -> Result<Verified<Box<dyn Read + Send + '_>>> {
        let missing = || Error::BlobNotFound { digest: blob.digest.clone() };
        let path = self.paths.get(&blob.digest).ok_or_else(missing)?;
        let (_, reader) = self.files.open(path)?.ok_or_else(missing)?;
        Ok(Verified::new(reader, blob))
    }

    fn assemble(
        &mut self,
        listed: &Listed,
        compressed: &mut HashMap<String, Descriptor>,
    ) -> Result<Image> {
        let bytes = self.files.document(&listed.config, MAX_DOCUMENT)?;
        let bytes = bytes.ok_or_else(|| missing(&listed.config))?;
        let config: Raw<ImageConfig> = Raw::parse(bytes, "image config")?;
        self.paths.insert(config.digest().clone(), listed.config.clone());
        let paths = listed.layers.as_deref().unwrap_or_default();
        let diff_ids = &config.rootfs.diff_ids;
        if paths.len() != diff_ids.len() {
            return Err(invalid(format!(
                "image {} has {} layers, and its config tells of {}",
                config.digest(),
                paths.len(),
                diff_ids.len()
            )));
        }
        let mut layers = Vec::with_capacity(paths.len());
        for (path, diff_id) in paths.iter().zip(diff_ids) {
            let layer = match compressed.get(path) {
                Some(known) => known.clone(),
                None => self.layer(path, diff_id, compressed)?,
            };
            self.paths.insert(layer.digest.clone(), path.clone());
            layers.push(layer);
        }
        let config_type = MediaType::OCI_CONFIG;
        let of_config = Descriptor::new(config_type, config.digest().clone(), config.size());
        let manifest = Raw::write(Manifest::oci(of_config, layers));
        Ok(Image { manifest, config, index: None })
    }

    fn layer(
        &self,
        path: &str,
        diff_id: &DiffId,
        compressed: &mut HashMap<String, Descriptor>,
    ) -> Result<Descriptor> {
        let unreadable = |e| Error::io("read", format!("layer `{path}` of the image archive"), e);
        let (size, mut reader) = self.files.open(path)?.ok_or_else(|| missing(path))?;
        let mut prefix = Vec::new();
        (&mut reader).take(512).read_to_end(&mut prefix).map_err(unreadable)?;
        let kind = match sniff(&prefix) {
            None | Some(Format::Tar) => {
                let digest = diff_id.digest().clone();
                return Ok(Descriptor::new(MediaType::OCI_LAYER, digest, size));
            }
            Some(Format::Gzip) => LayerCompression::Gzip,
            Some(Format::Zstd) => LayerCompression::Zstd,
            Some(Format::Bzip2 | Format::Xz) => {
                return Err(invalid(format!("its layer `{path}` is neither gzip, zstd nor plain")));
            }
        };
        let mut hasher = Algorithm::Sha256.hasher();
        hasher.update(&prefix);
        io::copy(&mut io::BufReader::with_capacity(1 << 18, reader), &mut hasher)
            .map_err(unreadable)?;
        let layer = Descriptor::new(kind.oci_media_type(), hasher.finish(), size);
        compressed.insert(path.to_owned(), layer.clone());
        Ok(layer)
    }
}

fn names(tags: Vec<String>) -> Result<Vec<Reference>> {
    tags.into_iter().map(|tag| tag.parse().map(Reference::with_default_tag)).collect()
}

fn missing(path: &str) -> Error {
    invalid(format!("its `manifest.json` names `{path}`, which is not there"))
}
