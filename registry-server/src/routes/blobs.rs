//! `/v2/<name>/blobs/<digest>`: pull, look up and delete a blob.

use std::ops::Range;

use axum::body::Body;
use axum::response::Response;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderValue,
    IF_MATCH, IF_NONE_MATCH, RANGE,
};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, Version};
use oci::Digest;

use super::{CONTENT_DIGEST, created, digest_header, digest_of, empty, header};
use crate::Registry;
use crate::condition::{Condition, etag, range_applies};
use crate::name::Repository;
use crate::problem::{Code, Problem};
use crate::range::{self, Wanted};
use crate::sendfile::Outbox;
use crate::storage::{Content, look};

pub(crate) async fn answer(
    registry: &Registry,
    repository: &Repository,
    digest: &str,
    head: &Parts,
) -> Result<Response, Problem> {
    let digest = digest_of(digest)?;
    match head.method {
        Method::GET => get(registry, repository, &digest, head).await,
        Method::HEAD => look_up(registry, repository, &digest, &head.headers).await,
        Method::DELETE => delete(registry, repository, &digest).await,
        _ => Err(Problem::method("GET, HEAD, DELETE")),
    }
}

async fn get(
    registry: &Registry,
    repository: &Repository,
    digest: &Digest,
    head: &Parts,
) -> Result<Response, Problem> {
    let headers = &head.headers;
    let mut opened = registry.0.storage.0.open_blob(repository, digest).await?;
    if opened.is_none()
        && let Some(coming) = registry.pull_blob(repository, digest).await?
    {
        let is_plain = ![RANGE, IF_MATCH, IF_NONE_MATCH].iter().any(|n| headers.contains_key(n));
        if is_plain {
            let mut response = described(digest, coming.size());
            *response.body_mut() = coming.body(registry, repository, digest);
            return Ok(response);
        }
        coming.landed(digest).await?;
        opened = registry.0.storage.0.open_blob(repository, digest).await?;
    }
    let blob = opened.ok_or_else(|| unknown(digest))?;
    if let Some(answer) = conditional(digest, headers)? {
        return Ok(answer);
    }
    if let Some(address) = blob.content.address().await {
        return Ok(created(StatusCode::TEMPORARY_REDIRECT, &address, Some(digest)));
    }
    let asked = headers.get(RANGE).and_then(|value| value.to_str().ok());
    let asked = asked.filter(|_| range_applies(headers, digest));
    let size = blob.size;
    let (mut response, part) = match range::wanted(asked, size) {
        Wanted::Whole => (described(digest, size), 0..size),
        Wanted::Part(part) => {
            let mut response = described(digest, part.end - part.start);
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
            response.headers_mut().insert(CONTENT_RANGE, header(&range));
            (response, part)
        }
        Wanted::Unsatisfiable => {
            let status = StatusCode::RANGE_NOT_SATISFIABLE;
            return Err(Problem::new(status, Code::SizeInvalid, "the blob has no such range")
                .with(CONTENT_RANGE, header(&format!("bytes */{size}"))));
        }
    };
    if !part.is_empty() {
        *response.body_mut() = body(blob.content, part, head);
    }
    Ok(response)
}

/// A part of a blob; where the connection can do it, the kernel sends it from the file.
fn body(content: Box<dyn Content>, part: Range<u64>, head: &Parts) -> Body {
    let outbox = head.extensions.get::<Outbox>().filter(|_| head.version <= Version::HTTP_11);
    match (outbox, content.file()) {
        (Some(outbox), Some(file)) => Body::from_stream(outbox.clone().body(file, part)),
        _ => Body::from_stream(content.stream(part)),
    }
}

async fn look_up(
    registry: &Registry,
    repository: &Repository,
    digest: &Digest,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let size = match relied_on(registry, repository, digest).await? {
        None => registry.upstream_blob_size(repository, digest).await?,
        here => here,
    };
    let size = size.ok_or_else(|| unknown(digest))?;
    Ok(conditional(digest, headers)?.unwrap_or_else(|| described(digest, size)))
}

/// The size of a blob that is here, and stays here for a while.
async fn relied_on(
    registry: &Registry,
    repository: &Repository,
    digest: &Digest,
) -> Result<Option<u64>, Problem> {
    let _gate = registry.0.collector.relying(repository).await;
    let size = registry.0.storage.0.blob_size(repository, digest).await?;
    if size.is_some() {
        registry.0.collector.lease(repository, digest);
    }
    Ok(size)
}

/// What a condition of the request makes of it: 304, 412, or `None` to go on.
fn conditional(digest: &Digest, headers: &HeaderMap) -> Result<Option<Response>, Problem> {
    let condition = Condition::of(headers);
    if !condition.matches(Some(digest)) {
        return Err(Problem::precondition());
    }
    if condition.differs(Some(digest)) {
        return Ok(None);
    }
    let mut response = empty(StatusCode::NOT_MODIFIED);
    response.headers_mut().insert(ETAG, etag(digest));
    response.headers_mut().insert(CONTENT_DIGEST, digest_header(digest));
    Ok(Some(response))
}

/// An answer with the headers of a blob and no body yet.
fn described(digest: &Digest, length: u64) -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CONTENT_DIGEST, digest_header(digest));
    headers.insert(ETAG, etag(digest));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=31536000, immutable"));
    response
}

async fn delete(
    registry: &Registry,
    repository: &Repository,
    digest: &Digest,
) -> Result<Response, Problem> {
    let storage = &registry.0.storage.0;
    if let Some(state) = storage.state(repository).await?
        && look(&state).manifest(digest).is_some()
    {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        return Err(Problem::new(status, Code::Unsupported, "it is a manifest: delete it as one"));
    }
    if storage.remove_blob(repository, digest).await? {
        registry.0.ledger.forget();
        Ok(empty(StatusCode::ACCEPTED))
    } else {
        Err(unknown(digest))
    }
}

pub(crate) fn unknown(digest: &Digest) -> Problem {
    Problem::unknown(Code::BlobUnknown, format!("blob {digest} is unknown to this repository"))
}
