//! Manifests and indexes (OCI image-spec 1.1; Docker's version 2, schema 2, is read as well).

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::null_as_default;
use crate::{Descriptor, Digest, Error, MediaType, Platform, Raw, Result};

/// The manifest of one image, or of an artifact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// The manifest's own type. We always write it: some registries demand it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// For an artifact: its type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The image's config.
    pub config: Descriptor,
    /// The layers, lowest first.
    #[serde(default, deserialize_with = "null_as_default")]
    pub layers: Vec<Descriptor>,
    /// What this refers to (a signature to its image).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free-form notes.
    #[serde(
        default,
        skip_serializing_if = "IndexMap::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub annotations: IndexMap<String, String>,
    /// Whatever else the document says.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Manifest {
    /// An OCI image manifest.
    pub fn oci(config: Descriptor, layers: Vec<Descriptor>) -> Manifest {
        Manifest {
            schema_version: 2,
            media_type: Some(MediaType::OCI_MANIFEST),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: IndexMap::new(),
            extra: Map::new(),
        }
    }
}

/// A list of manifests, one a platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// The index's own type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// For an artifact: its type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The manifests; nested indexes are allowed.
    #[serde(default, deserialize_with = "null_as_default")]
    pub manifests: Vec<Descriptor>,
    /// What this refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free-form notes.
    #[serde(
        default,
        skip_serializing_if = "IndexMap::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub annotations: IndexMap<String, String>,
    /// Whatever else the document says.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Index {
    /// An OCI image index.
    pub fn oci(manifests: Vec<Descriptor>) -> Index {
        Index {
            schema_version: 2,
            media_type: Some(MediaType::OCI_INDEX),
            artifact_type: None,
            manifests,
            subject: None,
            annotations: IndexMap::new(),
            extra: Map::new(),
        }
    }

    /// The image (or nested index) that serves `platform` best; of equals the first. Where no
    /// image says what it is for, a single one serves everybody.
    pub fn select(&self, platform: &Platform) -> Option<&Descriptor> {
        let images = || {
            self.manifests.iter().filter(|d| d.media_type.is_manifest() || d.media_type.is_index())
        };
        let best = images()
            .filter_map(|d| Some((d.platform.as_ref()?.serves(platform)?, d)))
            .min_by_key(|(distance, _)| *distance);
        match (best, images().next()) {
            (Some((_, best)), _) => Some(best),
            (None, Some(only)) if images().count() == 1 && only.platform.is_none() => Some(only),
            _ => None,
        }
    }
}

/// What may stand behind a tag.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "there are few, and they are moved rarely")]
pub enum Document {
    /// One image.
    Manifest(Raw<Manifest>),
    /// Several.
    Index(Raw<Index>),
}

impl Document {
    /// Reads what came with the given `Content-Type`, which must agree with the document itself
    /// (CVE-2021-41190), and with `digest` if it was asked for by that.
    ///
    /// # Errors
    /// If the bytes have another digest, are neither manifest nor index, or could be both.
    pub fn parse(
        bytes: Vec<u8>,
        content_type: Option<&MediaType>,
        digest: Option<&Digest>,
    ) -> Result<Document> {
        let known_by = digest.cloned().unwrap_or_else(|| Digest::sha256(&bytes));
        let refused = |reason: String| Error::RefusedDocument {
            kind: "manifest",
            digest: known_by.clone(),
            reason,
        };
        let shape: Shape = serde_json::from_slice(&bytes).map_err(|source| {
            Error::InvalidDocument { kind: "manifest", digest: known_by.clone(), source }
        })?;
        if shape.schema_version == Some(1) {
            return Err(refused(
                "schema 1 is obsolete; push the image again with a newer tool".into(),
            ));
        }
        let (is_index, is_manifest) =
            (shape.manifests.is_some(), shape.layers.is_some() || shape.config.is_some());
        if is_index && is_manifest {
            return Err(refused("it has both `manifests` and `layers` or `config`".into()));
        }
        let declared = shape.media_type.as_ref().map(|text| MediaType::new(text));
        if let (Some(declared), Some(sent)) = (&declared, content_type)
            && declared != sent
            && (sent.is_manifest() || sent.is_index())
        {
            return Err(refused(format!("it calls itself {declared} and was sent as {sent}")));
        }
        let says_index = declared.as_ref().or(content_type).map(MediaType::is_index);
        if is_index && says_index != Some(false) {
            Ok(Document::Index(Raw::parse_verified(bytes, &known_by, "image index")?))
        } else if is_manifest && says_index != Some(true) {
            Ok(Document::Manifest(Raw::parse_verified(bytes, &known_by, "manifest")?))
        } else {
            Err(refused("its content is not what its media type says".into()))
        }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Document::Manifest(raw) => raw.bytes(),
            Document::Index(raw) => raw.bytes(),
        }
    }

    /// The digest of the bytes.
    pub fn digest(&self) -> &Digest {
        match self {
            Document::Manifest(raw) => raw.digest(),
            Document::Index(raw) => raw.digest(),
        }
    }

    /// The media type, as the document says it or as its kind usually has it.
    pub fn media_type(&self) -> MediaType {
        match self {
            Document::Manifest(raw) => raw.media_type.clone().unwrap_or(MediaType::OCI_MANIFEST),
            Document::Index(raw) => raw.media_type.clone().unwrap_or(MediaType::OCI_INDEX),
        }
    }

    /// What the document refers to.
    pub fn subject(&self) -> Option<&Descriptor> {
        match self {
            Document::Manifest(raw) => raw.subject.as_ref(),
            Document::Index(raw) => raw.subject.as_ref(),
        }
    }

    /// The document as the list of its subject's referrers names it (distribution-spec, "Listing
    /// Referrers").
    pub fn as_referrer(&self) -> Descriptor {
        let mut referrer = self.descriptor();
        let (artifact_type, annotations) = match self {
            Document::Manifest(raw) => {
                let of_config = || raw.config.media_type.to_string();
                (Some(raw.artifact_type.clone().unwrap_or_else(of_config)), &raw.annotations)
            }
            Document::Index(raw) => (raw.artifact_type.clone(), &raw.annotations),
        };
        referrer.artifact_type = artifact_type;
        referrer.annotations = annotations.clone();
        referrer
    }

    /// A descriptor of the document.
    pub fn descriptor(&self) -> Descriptor {
        let size = self.bytes().len() as u64;
        Descriptor::new(self.media_type(), self.digest().clone(), size)
    }
}

/// Just enough of a document to tell what it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: Option<u32>,
    media_type: Option<String>,
    manifests: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
    config: Option<serde::de::IgnoredAny>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, content_type: &MediaType) -> Result<Document> {
        Document::parse(text.as_bytes().to_vec(), Some(content_type), None)
    }

    #[test]
    fn a_document_is_what_both_it_and_the_header_say() {
        let index = r#"{"schemaVersion":2,"manifests":[]}"#;
        assert!(matches!(parse(index, &MediaType::OCI_INDEX), Ok(Document::Index(_))));
        assert!(parse(index, &MediaType::OCI_MANIFEST).is_err());
        let both = r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#;
        assert!(parse(both, &MediaType::OCI_INDEX).is_err());
        let named = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
        assert!(parse(named, &MediaType::DOCKER_LIST).is_err());
        assert!(parse(r#"{"schemaVersion":1,"name":"x"}"#, &MediaType::OCI_MANIFEST).is_err());
        assert!(parse("[]", &MediaType::OCI_MANIFEST).is_err());
    }

    #[test]
    fn go_writes_null_for_an_empty_list() {
        let empty = r#"{"mediaType":"application/vnd.oci.empty.v1+json","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}"#;
        let text =
            format!(r#"{{"schemaVersion":2,"config":{empty},"layers":null,"annotations":null}}"#);
        assert!(matches!(parse(&text, &MediaType::OCI_MANIFEST), Ok(Document::Manifest(_))));
        let index = r#"{"schemaVersion":2,"manifests":null}"#;
        assert!(parse(index, &MediaType::OCI_INDEX).is_err(), "nothing says which of both it is");
    }

    #[test]
    fn a_wrong_digest_is_refused() {
        let bytes = br#"{"schemaVersion":2,"manifests":[]}"#.to_vec();
        let wrong = Digest::sha256(b"other");
        let error = Document::parse(bytes, None, Some(&wrong)).unwrap_err();
        assert!(matches!(error, Error::DigestMismatch { .. }));
    }
}
