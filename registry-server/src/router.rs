//! From a request to its endpoint.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, StatusCode};

use crate::Registry;
use crate::linger::lingering;
use crate::name::Repository;
use crate::path::Endpoint;
use crate::problem::{Code, Problem};
use crate::routes::{blobs, catalog, manifests, referrers, tags, uploads};

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// The registry as a service, to be nested, layered, or called without a socket.
pub fn router(registry: Registry) -> Router {
    Router::new().fallback(answer).with_state(registry)
}

async fn answer(State(registry): State<Registry>, request: Request) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = match route(&registry, request).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    };
    tracing::debug!(%method, path, status = response.status().as_u16(), "request");
    if method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    let headers = response.headers_mut();
    headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    headers.insert(
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    );
    response
}

async fn route(registry: &Registry, request: Request) -> Result<Response, Problem> {
    let Some(endpoint) = Endpoint::parse(request.uri().path()) else {
        return Err(Problem::unknown(Code::Unsupported, "there is no such endpoint"));
    };
    // Apart, so that the head can be shared between threads.
    let (head, body) = request.into_parts();
    let body = lingering(&head.headers, body);
    match endpoint {
        Endpoint::Ping => ping(&head.method),
        Endpoint::Catalog => catalog::answer(registry, &head).await,
        Endpoint::Blob { name, digest } => {
            blobs::answer(registry, &named(&name)?, &digest, &head).await
        }
        Endpoint::Uploads { name } => uploads::begin(registry, &named(&name)?, &head, body).await,
        Endpoint::Upload { name, id } => {
            uploads::answer(registry, &named(&name)?, &id, &head, body).await
        }
        Endpoint::Manifest { name, reference } => {
            manifests::answer(registry, &named(&name)?, &reference, &head, body).await
        }
        Endpoint::Tags { name } => tags::answer(registry, &named(&name)?, &head).await,
        Endpoint::Referrers { name, digest } => {
            referrers::answer(registry, &named(&name)?, &digest, &head).await
        }
    }
}

fn named(name: &str) -> Result<Repository, Problem> {
    Repository::parse(name)
        .ok_or_else(|| Problem::bad(Code::NameInvalid, "the repository's name is invalid"))
}

fn ping(method: &Method) -> Result<Response, Problem> {
    if method != Method::GET && method != Method::HEAD {
        return Err(Problem::method("GET, HEAD"));
    }
    let json = HeaderValue::from_static("application/json");
    Ok((StatusCode::OK, [(CONTENT_TYPE, json)], "{}").into_response())
}
