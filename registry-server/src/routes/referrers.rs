//! `/v2/<name>/referrers/<digest>`: what refers to a manifest (distribution-spec, "Listing
//! Referrers"). It never answers 404, or clients would fall back to a tag of their own.

use axum::response::Response;
use http::header::{HeaderName, HeaderValue, LINK};
use http::request::Parts;
use oci::{Digest, MediaType};
use serde_json::{Map, Value, json};

use super::{digest_of, header, json, only_get};
use crate::document::Document;
use crate::name::Repository;
use crate::problem::Problem;
use crate::state::Entry;
use crate::storage::look;
use crate::{Registry, query};

const FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");
/// A page ends when its descriptors have this size, in bytes: clients take 4 MiB.
const MAX_LIST: usize = 3 << 20;

pub(crate) async fn answer(
    registry: &Registry,
    repository: &Repository,
    digest: &str,
    head: &Parts,
) -> Result<Response, Problem> {
    only_get(head)?;
    let subject = digest_of(digest)?;
    let wanted = query::first(&head.uri, "artifactType").filter(|text| !text.is_empty());
    let after = match query::first(&head.uri, "last") {
        Some(text) => Some(digest_of(&text)?),
        None => None,
    };
    registry.pull_referrers(repository, &subject).await;
    let state = registry.0.storage.0.state(repository).await?;
    let mut all = state.map(|state| look(&state).referrers(&subject)).unwrap_or_default();
    all.retain(|(digest, _)| after.as_ref().is_none_or(|after| digest > after));

    let (mut descriptors, mut length, mut next) = (Vec::new(), 0, None);
    let mut last: Option<&Digest> = None;
    for (digest, entry) in &all {
        let Some(document) = registry.document(repository, digest, entry).await? else { continue };
        if wanted.is_some() && document.artifact_type != wanted {
            continue;
        }
        let descriptor = describe(digest, entry, document);
        length += descriptor.to_string().len();
        if let (Some(last), true) = (last, length > MAX_LIST) {
            next = Some(last.clone());
            break;
        }
        descriptors.push(descriptor);
        last = Some(digest);
    }

    let list = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_INDEX.as_str(),
        "manifests": descriptors,
    });
    let mut response = json("application/vnd.oci.image.index.v1+json", &list);
    if wanted.is_some() {
        response.headers_mut().insert(FILTERS, HeaderValue::from_static("artifactType"));
    }
    if let Some(last) = next {
        let filter = wanted.map(|text| format!("artifactType={}&", query::encode(&text)));
        let filter = filter.unwrap_or_default();
        let link =
            format!("</v2/{repository}/referrers/{subject}?{filter}last={last}>; rel=\"next\"");
        response.headers_mut().insert(LINK, header(&link));
    }
    Ok(response)
}

fn describe(digest: &Digest, entry: &Entry, document: Document) -> Value {
    let mut descriptor = Map::new();
    descriptor.insert("mediaType".into(), entry.media_type.as_str().into());
    descriptor.insert("digest".into(), digest.to_string().into());
    descriptor.insert("size".into(), entry.size.into());
    if let Some(artifact_type) = document.artifact_type {
        descriptor.insert("artifactType".into(), artifact_type.into());
    }
    if !document.annotations.is_empty() {
        descriptor.insert("annotations".into(), json!(document.annotations));
    }
    Value::Object(descriptor)
}
