//! Documents anew, where a copy changes what they list.

use std::collections::HashMap;

use serde::Serialize;

use super::edit::Supplied;
use super::tree::{Entry, Node, refused};
use crate::attestation::SUBJECT;
use crate::{
    Descriptor, Digest, Document, Index, LayerCompression, Manifest, MediaType, Raw, Result,
};

/// The two families of media types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManifestFormat {
    /// The Open Container Initiative's.
    Oci,
    /// Docker's, version 2, schema 2.
    Docker,
}

/// What a copy changes.
pub(super) struct Changes<'a> {
    pub(super) format: Option<ManifestFormat>,
    /// The edits, and what they have to work with.
    pub(super) supply: &'a Supplied<'a>,
}

/// A document as it is written to the destination.
pub(super) struct Rewritten {
    pub(super) descriptor: Descriptor,
    pub(super) document: Document,
}

impl Changes<'_> {
    /// The documents of a tree, each after those that it lists, the root last. What does not
    /// change keeps its bytes.
    pub(super) fn apply(&self, root: &Node) -> Result<Vec<Rewritten>> {
        let mut all = Vec::new();
        self.node(root, &mut all)?;
        Ok(all)
    }

    fn node(&self, node: &Node, all: &mut Vec<Rewritten>) -> Result<Descriptor> {
        let document = match &node.document {
            Document::Manifest(manifest) => self.manifest(manifest, node)?,
            Document::Index(index) => {
                let mut entries = Vec::new();
                for entry in &node.entries {
                    entries.push(match entry {
                        Entry::Listed(descriptor) => (**descriptor).clone(),
                        Entry::Node(node) => self.node(node, all)?,
                    });
                }
                let images: Vec<Descriptor> = entries.iter().filter(is_image).cloned().collect();
                let index = self.index(index, entries, node)?;
                self.with_beside(index, &images, all)?
            }
        };
        let written = document.descriptor();
        let descriptor = Descriptor {
            digest: written.digest,
            size: written.size,
            media_type: written.media_type,
            ..node.descriptor.clone()
        };
        all.push(Rewritten { descriptor: descriptor.clone(), document });
        Ok(descriptor)
    }

    /// The index, listing also what stands beside its images.
    fn with_beside(
        &self,
        document: Document,
        images: &[Descriptor],
        all: &mut Vec<Rewritten>,
    ) -> Result<Document> {
        let mut added = Vec::new();
        for image in images {
            for edit in self.supply.edits {
                if let Some((descriptor, document)) = edit.beside(image)? {
                    added.push(descriptor.clone());
                    all.push(Rewritten { descriptor, document });
                }
            }
        }
        let Document::Index(index) = &document else { return Ok(document) };
        if added.is_empty() {
            return Ok(document);
        }
        let mut index = (**index).clone();
        index.manifests.extend(added);
        Ok(Document::Index(Raw::write(index)))
    }

    fn manifest(&self, raw: &Raw<Manifest>, node: &Node) -> Result<Document> {
        let document = &node.document;
        let mut new = (**raw).clone();
        // What is said about an image is no image, though BuildKit gives it such a config.
        if new.config.media_type.is_image_config()
            && !node.descriptor.annotations.contains_key(SUBJECT)
        {
            for edit in self.supply.edits {
                new = edit.manifest(new, self.supply)?;
            }
        }
        let is_image = new.config.media_type.is_image_config();
        match self.format {
            Some(ManifestFormat::Oci) if is_image => as_oci(&mut new),
            Some(ManifestFormat::Docker) if is_image => as_docker(&mut new, document)?,
            Some(ManifestFormat::Docker) => {
                return Err(refused(document, "an artifact has no form in docker's format"));
            }
            _ => {}
        }
        if new == **raw {
            return Ok(document.clone());
        }
        if new.media_type == Some(MediaType::DOCKER_MANIFEST) {
            let bytes = serde_json::to_vec(&DockerManifest::of(&new));
            let bytes = bytes.expect("our documents have string keys only");
            return Document::parse(bytes, None, None);
        }
        Ok(Document::Manifest(Raw::write(new)))
    }

    fn index(&self, raw: &Raw<Index>, entries: Vec<Descriptor>, node: &Node) -> Result<Document> {
        let mut new = (**raw).clone();
        new.manifests = entries;
        let changed: HashMap<String, String> = node
            .entries
            .iter()
            .zip(&new.manifests)
            .filter_map(|(before, after)| match before {
                Entry::Node(node) => {
                    Some((node.descriptor.digest.to_string(), after.digest.to_string()))
                }
                Entry::Listed(_) => None,
            })
            .collect();
        for entry in &mut new.manifests {
            if let Some(subject) = entry.annotations.get_mut(SUBJECT)
                && let Some(now) = changed.get(subject)
            {
                subject.clone_from(now);
            }
        }
        for edit in self.supply.edits {
            new = edit.index(new)?;
        }
        let format = self.format.filter(|_| new != **raw || self.format.is_some());
        match format {
            Some(ManifestFormat::Oci) => new.media_type = Some(MediaType::OCI_INDEX),
            Some(ManifestFormat::Docker) => new.media_type = Some(MediaType::DOCKER_LIST),
            None => {}
        }
        let same = new == **raw;
        Ok(if same { node.document.clone() } else { Document::Index(Raw::write(new)) })
    }
}

/// Whether an index lists an image here, and nothing that is said about one.
fn is_image(entry: &&Descriptor) -> bool {
    entry.media_type.is_manifest() && !entry.annotations.contains_key(SUBJECT)
}

fn as_oci(manifest: &mut Manifest) {
    manifest.media_type = Some(MediaType::OCI_MANIFEST);
    manifest.config.media_type = MediaType::OCI_CONFIG;
    for layer in &mut manifest.layers {
        if let Some(compression) = layer.media_type.layer_compression()
            && !layer.media_type.is_foreign_layer()
        {
            layer.media_type = compression.oci_media_type();
        }
    }
}

fn as_docker(manifest: &mut Manifest, document: &Document) -> Result<()> {
    if manifest.subject.is_some() {
        return Err(refused(document, "docker's format has no subjects"));
    }
    manifest.media_type = Some(MediaType::DOCKER_MANIFEST);
    manifest.config.media_type = MediaType::DOCKER_CONFIG;
    for layer in &mut manifest.layers {
        if layer.media_type.is_foreign_layer() {
            continue;
        }
        layer.media_type = match layer.media_type.layer_compression() {
            Some(LayerCompression::Gzip) => MediaType::DOCKER_LAYER_GZIP,
            Some(LayerCompression::None) => MediaType::DOCKER_LAYER,
            Some(LayerCompression::Zstd) => {
                let reason = "docker's format has no zstd layers; compress them as gzip as well";
                return Err(refused(document, reason));
            }
            None => return Err(refused(document, "a layer has no form in docker's format")),
        };
    }
    Ok(())
}

/// Docker's manifest with its fields in the order in which docker and skopeo write them, so that
/// the digest is the same.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DockerManifest<'a> {
    schema_version: u32,
    media_type: MediaType,
    config: DockerDescriptor<'a>,
    layers: Vec<DockerDescriptor<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DockerDescriptor<'a> {
    media_type: &'a MediaType,
    size: u64,
    digest: &'a Digest,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    urls: &'a [String],
}

impl DockerManifest<'_> {
    fn of(manifest: &Manifest) -> DockerManifest<'_> {
        let media_type = MediaType::DOCKER_MANIFEST;
        let config = DockerDescriptor::of(&manifest.config);
        let layers = manifest.layers.iter().map(DockerDescriptor::of).collect();
        DockerManifest { schema_version: 2, media_type, config, layers }
    }
}

impl DockerDescriptor<'_> {
    fn of(descriptor: &Descriptor) -> DockerDescriptor<'_> {
        DockerDescriptor {
            media_type: &descriptor.media_type,
            size: descriptor.size,
            digest: &descriptor.digest,
            urls: &descriptor.urls,
        }
    }
}
