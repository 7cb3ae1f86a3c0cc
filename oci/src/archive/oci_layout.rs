//! Images of an OCI image layout (image-spec, "OCI Image Layout Specification").

use std::io::Read;

use serde::Deserialize;

use super::files::{Files, blob_path};
use super::names::{name_of, tag_of};
use super::open::ArchivedImage;
use super::{MAX_DOCUMENT, MAX_LIST, invalid};
use crate::{
    Descriptor, Digest, Document, Error, Image, Index, Manifest, Platform, Raw, Result, Verified,
};

/// How deep indexes may be nested.
const MAX_DEPTH: usize = 4;

/// An image layout.
#[derive(Debug)]
pub(super) struct OciLayout {
    files: Files,
    /// What `index.json` lists, each once.
    roots: Vec<Descriptor>,
    /// What `index.json` lists, line by line.
    entries: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LayoutFile {
    image_layout_version: String,
}

impl OciLayout {
    /// Reads the list of images; `None` if this is no layout.
    pub(super) fn open(files: Files) -> Result<Result<(OciLayout, Vec<ArchivedImage>), Files>> {
        let Some(index) = files.document("index.json", MAX_LIST)? else { return Ok(Err(files)) };
        if let Some(layout) = files.document("oci-layout", MAX_DOCUMENT)? {
            let layout: LayoutFile = serde_json::from_slice(&layout)
                .map_err(|e| invalid(format!("its `oci-layout` cannot be read: {e}")))?;
            if !layout.image_layout_version.starts_with("1.") {
                let version = layout.image_layout_version;
                return Err(invalid(format!("its layout has the unknown version `{version}`")));
            }
        }
        let index: Raw<Index> = Raw::parse(index, "image index")?;
        let mut roots: Vec<Descriptor> = Vec::new();
        let mut images: Vec<ArchivedImage> = Vec::new();
        for descriptor in &index.manifests {
            if !descriptor.media_type.is_manifest() && !descriptor.media_type.is_index() {
                continue;
            }
            let name = name_of(descriptor);
            let known = roots.iter().position(|root| root.digest == descriptor.digest);
            let position = known.unwrap_or_else(|| {
                roots.push(descriptor.clone());
                let position = roots.len() - 1;
                images.push(ArchivedImage { names: Vec::new(), tags: Vec::new(), position });
                position
            });
            images[position].names.extend(name);
            images[position].tags.extend(tag_of(descriptor));
        }
        let entries = index.manifests.clone();
        Ok(Ok((OciLayout { files, roots, entries }, images)))
    }

    /// The image at a position of the list, for a platform if it has several.
    pub(super) fn image(&self, position: usize, platform: &Platform) -> Result<Image> {
        let root = self.roots.get(position).ok_or_else(|| invalid("it has no such image"))?;
        let mut descriptor = root.clone();
        let mut index = None;
        for _ in 0..MAX_DEPTH {
            match self.document(&descriptor)? {
                Document::Manifest(manifest) => return self.assemble(manifest, index),
                Document::Index(found) => {
                    index.get_or_insert_with(|| found.digest().clone());
                    descriptor = choose(&found, platform)?.clone();
                }
            }
        }
        Err(invalid(format!("its index {} is nested too deeply", root.digest)))
    }

    /// What `index.json` lists.
    pub(super) fn entries(&self) -> &[Descriptor] {
        &self.entries
    }

    /// The position of the image that is known by `digest`.
    pub(super) fn position_of(&self, digest: &Digest) -> Option<usize> {
        self.roots.iter().position(|root| root.digest == *digest)
    }

    pub(super) fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        self.files.blob_size(digest)
    }

    pub(super) fn blob(&self, blob: &Descriptor) -> Result<Verified<Box<dyn Read + Send + '_>>> {
        self.files.open_blob(blob)
    }

    fn assemble(&self, manifest: Raw<Manifest>, index: Option<Digest>) -> Result<Image> {
        if !manifest.config.media_type.is_image_config() {
            return Err(Error::UnsupportedMediaType {
                digest: manifest.config.digest.clone(),
                media_type: manifest.config.media_type.to_string(),
            });
        }
        let config = self.bytes(&manifest.config)?;
        let config = Raw::parse_verified(config, &manifest.config.digest, "image config")?;
        Ok(Image { manifest, config, index })
    }

    pub(super) fn document(&self, descriptor: &Descriptor) -> Result<Document> {
        let bytes = self.bytes(descriptor)?;
        Document::parse(bytes, Some(&descriptor.media_type), Some(&descriptor.digest))
    }

    fn bytes(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        self.files
            .document(&blob_path(&descriptor.digest), MAX_DOCUMENT)?
            .ok_or_else(|| Error::BlobNotFound { digest: descriptor.digest.clone() })
    }
}

fn choose<'a>(index: &'a Raw<Index>, platform: &Platform) -> Result<&'a Descriptor> {
    index.select(platform).ok_or_else(|| {
        let platforms = index.manifests.iter().filter_map(|d| d.platform.as_ref());
        Error::PlatformNotFound {
            name: format!("index {}", index.digest()),
            wanted: Box::new(platform.clone()),
            available: platforms.map(ToString::to_string).collect::<Vec<_>>().join(", "),
        }
    })
}
