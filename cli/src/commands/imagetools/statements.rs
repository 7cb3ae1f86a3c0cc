//! What is said about the images of an index beside them: provenance and bills of materials.

use oci::{Descriptor, Document, Index, Reference, attestation};
use registry_client::Client;
use serde_json::{Map, Value};

use crate::error::Failure;

/// How long a statement may be, in bytes.
const MAX_STATEMENT: u64 = 32 << 20;

/// What is said, in the form in which buildx shows it: of one image, or by platforms.
pub(super) struct Said {
    /// `{"SLSA": …}`.
    pub(super) provenance: Value,
    /// `{"SPDX": …}`.
    pub(super) sbom: Value,
}

/// Reads what stands beside the images of an index.
pub(super) async fn read(
    client: &Client,
    name: &Reference,
    document: &Document,
) -> Result<Said, Failure> {
    let (mut provenance, mut sbom) = (Map::new(), Map::new());
    let Document::Index(index) = document else { return Ok(said(provenance, sbom, 1)) };
    for entry in &index.manifests {
        let Some(platform) = platform_of_subject(index, entry) else { continue };
        let listed = client.manifest(&name.with_digest(entry.digest.clone())).await?;
        let Document::Manifest(manifest) = listed else { continue };
        for layer in &manifest.layers {
            let bytes = client.blob_bytes(name, layer, MAX_STATEMENT).await?;
            let statement: Value = serde_json::from_slice(&bytes).map_err(|error| {
                Failure::new(format!("invalid statement about {}: {error}", name.familiar()))
            })?;
            let kind = statement["predicateType"].as_str().unwrap_or_default();
            let (all, key) = match kind {
                _ if kind.starts_with("https://slsa.dev/provenance/") => (&mut provenance, "SLSA"),
                "https://spdx.dev/Document" => (&mut sbom, "SPDX"),
                _ => continue,
            };
            let of = all.entry(platform.clone()).or_insert_with(|| Value::Object(Map::new()));
            of[key] = statement["predicate"].clone();
        }
    }
    Ok(said(provenance, sbom, index.manifests.iter().filter(|entry| is_image(entry)).count()))
}

/// What is about one image needs no platform.
fn said(provenance: Map<String, Value>, sbom: Map<String, Value>, images: usize) -> Said {
    let alone = |mut all: Map<String, Value>| match (images, all.keys().next().cloned()) {
        (1, Some(platform)) => all.remove(&platform).unwrap_or_default(),
        _ => Value::Object(all),
    };
    Said { provenance: alone(provenance), sbom: alone(sbom) }
}

fn is_image(entry: &Descriptor) -> bool {
    entry.media_type.is_manifest() && attestation::subject_of(entry).is_none()
}

/// The platform of the image that an entry is about.
fn platform_of_subject(index: &Index, entry: &Descriptor) -> Option<String> {
    let subject = attestation::subject_of(entry)?;
    let image = index.manifests.iter().find(|image| image.digest.to_string() == subject)?;
    image.platform.as_ref().map(ToString::to_string)
}
