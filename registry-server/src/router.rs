//! From a request to its endpoint.

use std::convert::Infallible;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT,
};
use http::request::Parts;
use http::{Method, StatusCode};

use crate::Registry;
use crate::access::{Actions, Caller, answer_token, unauthorized};
use crate::linger::lingering;
use crate::metrics::Answered;
use crate::name::Repository;
use crate::path::Endpoint;
use crate::problem::{Code, Problem};
use crate::query;
use crate::routes::{blobs, catalog, manifests, operation, page, referrers, tags, uploads};

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
/// Names the store whose blobs need not be sent, since they can be mounted.
const LENDER: HeaderName = HeaderName::from_static("tierce-blobs-of");

/// The registry as a service, to be nested, layered, or called without a socket.
pub fn router(registry: Registry) -> Router {
    Router::new().fallback(answer).with_state(registry)
}

async fn answer(State(registry): State<Registry>, request: Request) -> Response {
    let began = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let agent = request.headers().get(USER_AGENT).cloned();
    let mut endpoint = Endpoint::parse(&path);
    if let Some(prefix) = namespace(&registry, &request) {
        endpoint = endpoint.map(|endpoint| endpoint.below(&prefix));
    }
    let kind = endpoint.as_ref().map_or("none", Endpoint::kind);
    let (mut head, body) = request.into_parts();
    let body = lingering(&head.headers, body);
    let mut user = String::from("-");
    let answered = match endpoint {
        None => Err(Problem::unknown(Code::Unsupported, "there is no such endpoint")),
        Some(endpoint) => match admit(&registry, &endpoint, &head).await {
            Err(problem) => Err(problem),
            Ok(caller) => {
                caller.name().clone_into(&mut user);
                head.extensions.insert(caller);
                route(&registry, endpoint, &head, body).await
            }
        },
    };
    let mut response = answered.unwrap_or_else(IntoResponse::into_response);
    let length = response.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0);
    let (status, took) = (response.status().as_u16(), began.elapsed());
    let agent = agent.as_ref().and_then(|agent| agent.to_str().ok()).unwrap_or("-");
    tracing::info!(target: "registry_server::access", %method, path, status, user, bytes = length,
        milliseconds = took.as_millis() as u64, agent, "request");
    registry.0.metrics.count(&Answered { endpoint: kind, method: &method, status, took, length });
    without_body(&method, &mut response);
    let headers = response.headers_mut();
    headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    headers.insert(
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    );
    registry.0.config.faults.after(response)
}

/// Takes the body from an answer that has none, and nothing of what is said of it: a length is that
/// of the body that a GET would bring, and where there never is one, none is given.
fn without_body(method: &Method, response: &mut Response) {
    if matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        // Of a stream nobody below us knows the length.
        *response.body_mut() = Body::from_stream(stream::empty::<Result<Bytes, Infallible>>());
    } else if method == Method::HEAD {
        if let Some(length) = response.body().size_hint().exact() {
            response.headers_mut().entry(CONTENT_LENGTH).or_insert(length.into());
        }
        *response.body_mut() = Body::empty();
    }
}

/// The prefix of the mirror that a request means, if it only says which registry is mirrored, as
/// containerd does.
fn namespace(registry: &Registry, request: &Request) -> Option<String> {
    let namespace = query::first(request.uri(), "ns")?;
    let mirrors = &registry.0.config.mirrors;
    let found = mirrors.iter().find(|mirror| mirror.namespace.as_ref() == Some(&namespace))?;
    Some(found.prefix.clone()).filter(|prefix| !prefix.is_empty())
}

/// Lets a request in, or not.
async fn admit(registry: &Registry, endpoint: &Endpoint, head: &Parts) -> Result<Caller, Problem> {
    let reads = head.method == Method::GET || head.method == Method::HEAD;
    if matches!(endpoint, Endpoint::Health | Endpoint::Token) {
        return Ok(Caller::anybody());
    }
    let Some(access) = registry.access() else {
        return if registry.0.config.read_only && !reads {
            Err(read_only())
        } else {
            Ok(Caller::anybody())
        };
    };
    let identity = access.identify(&head.headers).await;
    let identity = identity.map_err(|_| unauthorized(&access, head, None))?;
    let caller = Caller::new(identity, access.clone());
    let (actions, named) = match endpoint {
        Endpoint::Blob { .. } | Endpoint::Manifest { .. } if head.method == Method::DELETE => {
            (Actions::DELETE, "delete")
        }
        Endpoint::Uploads { .. } | Endpoint::Upload { .. } => (Actions::PUSH, "pull,push"),
        _ if reads => (Actions::PULL, "pull"),
        _ => (Actions::PUSH, "pull,push"),
    };
    let allowed = match endpoint.repository() {
        // At this one clients learn how to log in.
        None if matches!(endpoint, Endpoint::Ping) => head.headers.contains_key(AUTHORIZATION),
        None => {
            matches!(endpoint, Endpoint::Page { .. } | Endpoint::Catalog) || !caller.is_anonymous()
        }
        Some(name) => Repository::parse(name).is_none_or(|name| caller.may(actions, &name)),
    };
    if allowed {
        let refused = registry.0.config.read_only && !reads;
        return if refused { Err(read_only()) } else { Ok(caller) };
    }
    if caller.is_anonymous() || access.issuer.is_some() {
        let name = endpoint.repository().and_then(Repository::parse);
        return Err(unauthorized(&access, head, name.as_ref().map(|name| (name, named))));
    }
    Err(Problem::new(StatusCode::FORBIDDEN, Code::Denied, "you may not do that here"))
}

fn read_only() -> Problem {
    Problem::method("GET, HEAD")
}

async fn route(
    registry: &Registry,
    endpoint: Endpoint,
    head: &Parts,
    body: Body,
) -> Result<Response, Problem> {
    if !matches!(endpoint, Endpoint::Health | Endpoint::Metrics) {
        registry.0.config.faults.before().await?;
    }
    match endpoint {
        Endpoint::Ping => ping(registry, &head.method),
        Endpoint::Catalog => catalog::answer(registry, head).await,
        Endpoint::Health => operation::health(registry, head).await,
        Endpoint::Metrics => operation::metrics(registry, head),
        Endpoint::Token => match registry.access() {
            Some(access) => answer_token(&access, head).await,
            None => Err(Problem::unknown(Code::Unsupported, "no tokens are needed here")),
        },
        Endpoint::Page { name, digest } => {
            page::answer(registry, name.as_deref(), digest.as_deref(), head).await
        }
        Endpoint::Blob { name, digest } => {
            blobs::answer(registry, &named(&name)?, &digest, head).await
        }
        Endpoint::Uploads { name } => uploads::begin(registry, &named(&name)?, head, body).await,
        Endpoint::Upload { name, id } => {
            uploads::answer(registry, &named(&name)?, &id, head, body).await
        }
        Endpoint::Manifest { name, reference } => {
            manifests::answer(registry, &named(&name)?, &reference, head, body).await
        }
        Endpoint::Tags { name } => tags::answer(registry, &named(&name)?, head).await,
        Endpoint::Referrers { name, digest } => {
            referrers::answer(registry, &named(&name)?, &digest, head).await
        }
    }
}

fn named(name: &str) -> Result<Repository, Problem> {
    Repository::parse(name)
        .ok_or_else(|| Problem::bad(Code::NameInvalid, "the repository's name is invalid"))
}

fn ping(registry: &Registry, method: &Method) -> Result<Response, Problem> {
    if method != Method::GET && method != Method::HEAD {
        return Err(Problem::method("GET, HEAD"));
    }
    let json = HeaderValue::from_static("application/json");
    let mut response = (StatusCode::OK, [(CONTENT_TYPE, json)], "{}").into_response();
    let lender = registry.0.storage.0.lender().and_then(|name| HeaderValue::from_str(name).ok());
    response.headers_mut().extend(lender.map(|name| (LENDER, name)));
    Ok(response)
}
