//! `/` and `/ui/<repository>`: what is here, for people. HTML made here, without scripts.

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderValue};
use http::request::Parts;

use super::only_get;
use crate::Registry;
use crate::access::{Actions, Caller};
use crate::name::Repository;
use crate::problem::{Code, Problem};
use crate::storage::look;

/// How many repositories or tags a page lists.
const MOST: usize = 1000;
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;\
padding:0 1rem;color:#222}table{border-collapse:collapse;width:100%}td,th{text-align:left;\
padding:.3rem .8rem .3rem 0;border-bottom:1px solid #ddd;vertical-align:top}code{font-size:85%;\
word-break:break-all}a{color:#05c}";

pub(crate) async fn answer(
    registry: &Registry,
    name: Option<&str>,
    head: &Parts,
) -> Result<Response, Problem> {
    only_get(head)?;
    let body = match name {
        None => repositories(registry, head).await?,
        Some(name) => repository(registry, name, head).await?,
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
    let mut out = String::from("<p><a href=\"/\">all repositories</a></p><table><tr><th>Tag</th>");
    out.push_str("<th>Manifest</th><th>Content</th><th>Referrers</th><th>Pull</th></tr>");
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    for (tag, digest) in state.tags().iter().take(MOST) {
        let Some(entry) = state.manifest(digest) else { continue };
        let document = registry.document(&name, digest, entry).await?;
        let content =
            document.map_or_else(String::new, |document| match document.manifests.len() {
                0 => format!("{} blobs", document.blobs.len()),
                count => format!("{count} manifests"),
            });
        let referrers = state.referrers(digest).len();
        let pull = escape(&format!("tierce pull {host}/{name}:{tag}"));
        out.push_str(&format!(
            "<tr><td>{tag}</td><td><a href=\"/v2/{name}/manifests/{tag}\"><code>{digest}</code></a>\
             <br>{}</td><td>{content}</td><td>{referrers}</td><td><code>{pull}</code></td></tr>",
            escape(entry.media_type.as_str()),
        ));
    }
    out.push_str("</table>");
    Ok(page(name.as_str(), &out))
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style>\
         <h1>{title}</h1>{body}</html>"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
