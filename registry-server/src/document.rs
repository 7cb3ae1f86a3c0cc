//! What the registry needs to know of a manifest. The bytes stay as they came; this view of them
//! is lenient where producers differ (`null` for an empty list) and strict where a document could
//! be taken for two things (CVE-2021-41190).

use std::collections::BTreeMap;

use oci::{Digest, MediaType};
use serde::Deserialize;

/// A manifest or index that was understood.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) media_type: MediaType,
    /// Config and layers that the repository must hold.
    pub(crate) blobs: Vec<Digest>,
    /// Manifests that an index names.
    pub(crate) manifests: Vec<Digest>,
    pub(crate) subject: Option<Digest>,
    /// What a list of referrers says of it: for an image manifest without one, the type of its
    /// config (distribution-spec, "Listing Referrers").
    pub(crate) artifact_type: Option<String>,
    pub(crate) annotations: BTreeMap<String, String>,
}

/// Why a document is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("it is not a manifest: {0}")]
    Json(#[from] serde_json::Error),
    #[error("it has both `manifests` and `config` or `layers`")]
    Ambiguous,
    #[error("it calls itself `{declared}` and was sent as `{sent}`")]
    TypesDiffer { declared: MediaType, sent: MediaType },
    #[error("its media type `{0}` is not supported")]
    Unsupported(String),
    #[error("its content is not what its media type `{0}` says")]
    WrongShape(MediaType),
    #[error("its `schemaVersion` is not 2")]
    SchemaVersion,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct View {
    schema_version: Option<u32>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Link>,
    layers: Option<Vec<Link>>,
    manifests: Option<Vec<Link>>,
    subject: Option<Link>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    media_type: String,
    digest: Digest,
    #[serde(rename = "size")]
    _size: u64,
    urls: Option<Vec<String>>,
}

impl Link {
    /// Whether the registry must hold the content itself.
    fn is_ours(&self) -> bool {
        !MediaType::new(&self.media_type).is_foreign_layer()
            && self.urls.as_ref().is_none_or(Vec::is_empty)
    }
}

impl Document {
    /// Reads what came as `content_type`.
    pub(crate) fn parse(
        bytes: &[u8],
        content_type: Option<&MediaType>,
    ) -> Result<Document, Refused> {
        let view: View = serde_json::from_slice(bytes)?;
        let declared = view.media_type.as_deref().filter(|t| !t.is_empty()).map(MediaType::new);
        if let (Some(declared), Some(sent)) = (&declared, content_type)
            && declared != sent
        {
            return Err(Refused::TypesDiffer { declared: declared.clone(), sent: sent.clone() });
        }
        if view.schema_version != Some(2) {
            return Err(Refused::SchemaVersion);
        }
        if view.manifests.is_some() && (view.config.is_some() || view.layers.is_some()) {
            return Err(Refused::Ambiguous);
        }
        let media_type = content_type.cloned().or(declared).unwrap_or(if view.config.is_some() {
            MediaType::OCI_MANIFEST
        } else {
            MediaType::OCI_INDEX
        });
        Document::of(view, media_type)
    }

    fn of(view: View, media_type: MediaType) -> Result<Document, Refused> {
        let mut blobs = Vec::new();
        let mut artifact_type = view.artifact_type.filter(|text| !text.is_empty());
        if media_type.is_manifest() {
            let Some(config) = view.config else { return Err(Refused::WrongShape(media_type)) };
            if artifact_type.is_none() {
                artifact_type = Some(config.media_type.clone());
            }
            let links = std::iter::once(config).chain(view.layers.into_iter().flatten());
            blobs.extend(links.filter(Link::is_ours).map(|link| link.digest));
        } else if media_type.is_index() {
            if view.config.is_some() || view.layers.is_some() {
                return Err(Refused::WrongShape(media_type));
            }
        } else {
            return Err(Refused::Unsupported(media_type.to_string()));
        }
        let manifests = view.manifests.into_iter().flatten();
        Ok(Document {
            media_type,
            blobs,
            manifests: manifests.filter(Link::is_ours).map(|link| link.digest).collect(),
            subject: view.subject.map(|link| link.digest),
            artifact_type,
            annotations: view.annotations.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{"mediaType":"x/y","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}"#;

    fn parse(text: &str, content_type: Option<&MediaType>) -> Result<Document, Refused> {
        Document::parse(text.replace("CONFIG", CONFIG).as_bytes(), content_type)
    }

    #[test]
    fn producers_may_differ() {
        for (text, blobs, artifact_type) in [
            (r#"{"schemaVersion":2,"config":CONFIG,"layers":[CONFIG]}"#, 2, "x/y"),
            (r#"{"schemaVersion":2,"config":CONFIG,"layers":null,"annotations":null}"#, 1, "x/y"),
            (r#"{"schemaVersion":2,"config":CONFIG,"artifactType":"a/b","other":[]}"#, 1, "a/b"),
        ] {
            let document = parse(text, Some(&MediaType::OCI_MANIFEST)).unwrap();
            assert_eq!(document.blobs.len(), blobs, "{text}");
            assert_eq!(document.artifact_type.as_deref(), Some(artifact_type), "{text}");
            assert_eq!(parse(text, None).unwrap().media_type, MediaType::OCI_MANIFEST);
        }
        let index = parse(r#"{"schemaVersion":2,"manifests":[CONFIG]}"#, None).unwrap();
        assert_eq!((index.manifests.len(), index.artifact_type), (1, None));
        let foreign =
            CONFIG.replace("x/y", "application/vnd.oci.image.layer.nondistributable.v1.tar");
        let text = format!(r#"{{"schemaVersion":2,"config":CONFIG,"layers":[{foreign}]}}"#);
        assert_eq!(parse(&text, None).unwrap().blobs.len(), 1);
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        let (manifest, index) = (MediaType::OCI_MANIFEST, MediaType::OCI_INDEX);
        for (text, content_type) in [
            ("", &manifest),
            ("[]", &manifest),
            ("{}", &manifest),
            (r#"{"schemaVersion":1,"config":CONFIG}"#, &manifest),
            (r#"{"schemaVersion":2,"layers":[CONFIG]}"#, &manifest),
            (r#"{"schemaVersion":2,"config":CONFIG,"manifests":[]}"#, &manifest),
            (r#"{"schemaVersion":2,"config":CONFIG}"#, &index),
            (r#"{"schemaVersion":2,"manifests":[CONFIG]}"#, &manifest),
            (r#"{"schemaVersion":2,"mediaType":"a/b","config":CONFIG}"#, &manifest),
            (r#"{"schemaVersion":2,"config":CONFIG}"#, &MediaType::OCI_CONFIG),
            (r#"{"schemaVersion":2,"config":{"digest":"sha256:1","size":1}}"#, &manifest),
            (r#"{"schemaVersion":2,"config":CONFIG,"layers":[{"size":-1}]}"#, &manifest),
        ] {
            assert!(parse(text, Some(content_type)).is_err(), "{text} as {content_type}");
        }
    }
}
