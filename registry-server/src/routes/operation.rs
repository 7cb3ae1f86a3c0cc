//! `/healthz`, `/readyz` and `/metrics`: for those who keep the server running.

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts;

use super::only_get;
use crate::Registry;
use crate::problem::Problem;

/// Says that the server runs, and at `/readyz` that its storage answers, too.
pub(crate) async fn health(registry: &Registry, head: &Parts) -> Result<Response, Problem> {
    only_get(head)?;
    if head.uri.path() == "/readyz" {
        registry.0.storage.0.repositories(None, 1).await?;
    }
    Ok(text("text/plain", "ok\n".to_owned()))
}

/// All counters.
pub(crate) fn metrics(registry: &Registry, head: &Parts) -> Result<Response, Problem> {
    only_get(head)?;
    let counted = registry.0.metrics.text(registry.0.sessions.count());
    Ok(text("text/plain; version=0.0.4", counted))
}

fn text(content_type: &'static str, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
