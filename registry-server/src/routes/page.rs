//! `/`, `/ui/<repository>` and `/ui/<repository>@<digest>`: what is here, for people. HTML made
//! here, without scripts.

mod html;
mod image;
mod layer;

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderValue};
use http::request::Parts;
use oci::Digest;

pub(crate) use self::layer::MOST_AT_ONCE;

use self::html::{code, escape, link, page, table};
use super::only_get;
use crate::Registry;
use crate::access::{Actions, Caller};
use crate::name::Repository;
use crate::problem::{Code, Problem};
use crate::storage::look;

/// How many repositories or tags a page lists.
const MOST: usize = 1000;

pub(crate) async fn answer(
    registry: &Registry,
    name: Option<&str>,
    digest: Option<&str>,
    head: &Parts,
) -> Result<Response, Problem> {
    only_get(head)?;
    let body = match (name, digest) {
        (None, _) => repositories(registry, head).await?,
        (Some(name), None) => repository(registry, name, head).await?,
        (Some(name), Some(digest)) => content(registry, name, digest, head).await?,
    };
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    Ok(response)
}

async fn repositories(registry: &Registry, head: &Parts) -> Result<String, Problem> {
    let mut names = registry.0.storage.0.repositories(None, usize::MAX).await?;
    if let Some(caller) = head.extensions.get::<Caller>() {
        names.retain(|name| caller.may(Actions::PULL, name));
    }
    let count = names.len();
    let mut out = format!("<p>{count} repositories</p><ul>");
    for name in names.iter().take(MOST) {
        // Names have no characters that mean something in HTML.
        out.push_str(&format!("<li><a href=\"/ui/{name}\">{name}</a></li>"));
    }
    out.push_str("</ul>");
    Ok(page("Repositories", &out))
}

async fn repository(registry: &Registry, name: &str, head: &Parts) -> Result<String, Problem> {
    let unknown = || Problem::unknown(Code::NameUnknown, "the repository is unknown");
    let name = Repository::parse(name).ok_or_else(unknown)?;
    let state = registry.0.storage.0.state(&name).await?.ok_or_else(unknown)?;
    let state = look(&state).clone();
    let mut rows = Vec::new();
    for (tag, digest) in state.tags().iter().take(MOST) {
        let Some(entry) = state.manifest(digest) else { continue };
        let document = registry.document(&name, digest, entry).await?;
        let content =
            document.map_or_else(String::new, |document| match document.manifests.len() {
                0 => format!("{} blobs", document.blobs.len()),
                count => format!("{count} manifests"),
            });
        let manifest = link(&format!("/ui/{name}@{digest}"), &code(&digest.to_string()));
        rows.push(vec![
            escape(tag.as_str()),
            format!("{manifest}<br>{}", escape(entry.media_type.as_str())),
            content,
            state.referrers(digest).len().to_string(),
            code(&format!("tierce pull {}/{name}:{tag}", host(head))),
        ]);
    }
    let back = link("/", "all repositories");
    let tags = table(&["Tag", "Manifest", "Content", "Referrers", "Pull"], &rows);
    Ok(page(name.as_str(), &format!("<p>{back}</p>{tags}")))
}

/// A manifest or a layer.
async fn content(
    registry: &Registry,
    name: &str,
    digest: &str,
    head: &Parts,
) -> Result<String, Problem> {
    let unknown = || Problem::unknown(Code::NameUnknown, "there is no such manifest and no blob");
    let name = Repository::parse(name).ok_or_else(unknown)?;
    let digest: Digest = digest.parse().map_err(|_| unknown())?;
    if let Some(page) = image::answer(registry, &name, &digest, head).await? {
        return Ok(page);
    }
    layer::answer(registry, &name, &digest).await?.ok_or_else(unknown)
}

/// What clients call this server.
fn host(head: &Parts) -> &str {
    head.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost")
}
