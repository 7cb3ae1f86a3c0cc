//! Media types of the image format, OCI's and Docker's.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A media type, without parameters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MediaType(std::borrow::Cow<'static, str>);

/// How the tar of a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LayerCompression {
    /// A plain tar.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl MediaType {
    /// An OCI image manifest.
    pub const OCI_MANIFEST: MediaType = known("application/vnd.oci.image.manifest.v1+json");
    /// An OCI image index.
    pub const OCI_INDEX: MediaType = known("application/vnd.oci.image.index.v1+json");
    /// An OCI image config.
    pub const OCI_CONFIG: MediaType = known("application/vnd.oci.image.config.v1+json");
    /// An OCI layer, plain.
    pub const OCI_LAYER: MediaType = known("application/vnd.oci.image.layer.v1.tar");
    /// An OCI layer, gzip.
    pub const OCI_LAYER_GZIP: MediaType = known("application/vnd.oci.image.layer.v1.tar+gzip");
    /// An OCI layer, zstd.
    pub const OCI_LAYER_ZSTD: MediaType = known("application/vnd.oci.image.layer.v1.tar+zstd");
    /// The empty JSON object, `{}`.
    pub const OCI_EMPTY: MediaType = known("application/vnd.oci.empty.v1+json");
    /// Docker's image manifest, version 2, schema 2.
    pub const DOCKER_MANIFEST: MediaType =
        known("application/vnd.docker.distribution.manifest.v2+json");
    /// Docker's manifest list.
    pub const DOCKER_LIST: MediaType =
        known("application/vnd.docker.distribution.manifest.list.v2+json");
    /// Docker's image config.
    pub const DOCKER_CONFIG: MediaType = known("application/vnd.docker.container.image.v1+json");
    /// Docker's layer, gzip.
    pub const DOCKER_LAYER_GZIP: MediaType =
        known("application/vnd.docker.image.rootfs.diff.tar.gzip");
    /// Docker's layer, plain, as archives hold it.
    pub const DOCKER_LAYER: MediaType = known("application/vnd.docker.image.rootfs.diff.tar");

    /// All manifest types that we read, in the order of preference, for `Accept`.
    pub const MANIFESTS: [MediaType; 4] = [
        MediaType::OCI_MANIFEST,
        MediaType::OCI_INDEX,
        MediaType::DOCKER_MANIFEST,
        MediaType::DOCKER_LIST,
    ];

    /// A media type from a header or document; parameters are cut off.
    pub fn new(text: &str) -> MediaType {
        let essence = text.split(';').next().unwrap_or_default().trim();
        MediaType(essence.to_ascii_lowercase().into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is a single image's manifest.
    pub fn is_manifest(&self) -> bool {
        *self == MediaType::OCI_MANIFEST || *self == MediaType::DOCKER_MANIFEST
    }

    /// Whether this is a list of manifests.
    pub fn is_index(&self) -> bool {
        *self == MediaType::OCI_INDEX || *self == MediaType::DOCKER_LIST
    }

    /// Whether this is an image config, and not an artifact's.
    pub fn is_image_config(&self) -> bool {
        *self == MediaType::OCI_CONFIG || *self == MediaType::DOCKER_CONFIG
    }

    /// How the layer of this type is compressed; `None` if it is no layer that we can unpack.
    pub fn layer_compression(&self) -> Option<LayerCompression> {
        let text = self.as_str();
        let suffix = text
            .strip_prefix("application/vnd.oci.image.layer.v1.tar")
            .or_else(|| {
                text.strip_prefix("application/vnd.oci.image.layer.nondistributable.v1.tar")
            })
            .or_else(|| text.strip_prefix("application/vnd.docker.image.rootfs.diff.tar"))
            .or_else(|| {
                text.strip_prefix("application/vnd.docker.image.rootfs.foreign.diff.tar")
            })?;
        match suffix {
            "" => Some(LayerCompression::None),
            "+gzip" | ".gzip" => Some(LayerCompression::Gzip),
            "+zstd" | ".zstd" => Some(LayerCompression::Zstd),
            _ => None,
        }
    }

    /// Whether the bytes of such a layer are not to be pushed to other registries.
    pub fn is_foreign_layer(&self) -> bool {
        self.as_str().contains(".nondistributable.") || self.as_str().contains(".foreign.")
    }
}

impl LayerCompression {
    /// The OCI media type of a layer compressed so.
    pub fn oci_media_type(self) -> MediaType {
        match self {
            LayerCompression::None => MediaType::OCI_LAYER,
            LayerCompression::Gzip => MediaType::OCI_LAYER_GZIP,
            LayerCompression::Zstd => MediaType::OCI_LAYER_ZSTD,
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const fn known(text: &'static str) -> MediaType {
    MediaType(std::borrow::Cow::Borrowed(text))
}
