//! `/v2/<name>/blobs/uploads/`: push a blob, in one request or many, or mount one.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, HeaderName, HeaderValue, LOCATION, RANGE,
};
use http::request::Parts;
use http::{Method, StatusCode};
use oci::{Algorithm, Digest};

use super::{created, digest_of, empty, header};
use crate::Registry;
use crate::access::{Actions, Caller};
use crate::name::Repository;
use crate::problem::{Code, Problem};
use crate::receive::{Broken, receive};
use crate::session::{Closing, Held, Session};
use crate::upload::{Unfinished, Upload};
use crate::{query, range};

const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");
/// The answer to a chunk that does not go on where the upload ends.
const OUT_OF_ORDER: StatusCode = StatusCode::RANGE_NOT_SATISFIABLE;
/// What a client that meets too many open uploads is told to wait, in seconds.
const RETRY: u32 = 30;

/// POST: begins an upload, takes a whole blob, or mounts one.
pub(crate) async fn begin(
    registry: &Registry,
    repository: &Repository,
    head: &Parts,
    body: Body,
) -> Result<Response, Problem> {
    if head.method != Method::POST {
        return Err(Problem::method("POST"));
    }
    registry.refuse_push_to_mirror(repository)?;
    let uri = &head.uri;
    if let Some(mount) = query::said(uri, "mount") {
        let digest = digest_of(&mount)?;
        let from = query::first(uri, "from");
        if mounted(registry, repository, &digest, from.as_deref(), head).await? {
            return Ok(blob_created(repository, &digest));
        }
        // "unable to mount": the client may upload it instead.
        let session = open(registry, repository, digest.algorithm()).await?;
        return Ok(status_of(StatusCode::ACCEPTED, repository, &session));
    }
    if let Some(digest) = query::said(uri, "digest") {
        let digest = digest_of(&digest)?;
        let upload = Upload::begin(&registry.0.storage, digest.algorithm());
        let session = open_here(registry, repository, upload)?;
        // Nobody else knows of this session: it must not outlive the request.
        let _closing = Closing(&registry.0.sessions, &session);
        return take_last(registry, repository, &session, &digest, head, body).await;
    }
    let algorithm = match query::first(uri, "digest-algorithm").as_deref() {
        None | Some("" | "sha256") => Algorithm::Sha256,
        Some("sha512") => Algorithm::Sha512,
        Some(_) => {
            let message = "only sha256 and sha512 can be verified";
            return Err(Problem::bad(Code::DigestInvalid, message));
        }
    };
    let session = open(registry, repository, algorithm).await?;
    Ok(status_of(StatusCode::ACCEPTED, repository, &session))
}

/// Mounts a blob if it can be found where the caller may read it (CVE-2024-39897). `from` is
/// optional to those who may read everything.
async fn mounted(
    registry: &Registry,
    repository: &Repository,
    digest: &Digest,
    from: Option<&str>,
    head: &Parts,
) -> Result<bool, Problem> {
    let caller = head.extensions.get::<Caller>();
    let reads = |from: &Repository| caller.is_none_or(|caller| caller.may(Actions::PULL, from));
    match from.filter(|from| !from.is_empty()).map(Repository::parse) {
        None if caller.is_some_and(|caller| !caller.reads_all()) => Ok(false),
        None => mount(registry, None, repository, digest).await,
        Some(Some(from)) if !reads(&from) => Ok(false),
        Some(Some(from)) => mount(registry, Some(&from), repository, digest).await,
        // A name of another registry's: nothing to be found here.
        Some(None) => Ok(false),
    }
}

/// Mounts a blob that may be read. How much it is, is known when it is there.
async fn mount(
    registry: &Registry,
    from: Option<&Repository>,
    repository: &Repository,
    digest: &Digest,
) -> Result<bool, Problem> {
    let storage = &registry.0.storage.0;
    let _gate = registry.0.collector.relying(repository).await;
    if storage.renew_blob(repository, digest).await?.is_some() {
        registry.0.collector.lease(repository, digest);
        return Ok(true);
    }
    if !storage.mount_blob(from, repository, digest).await? {
        return Ok(false);
    }
    let size = storage.blob_size(repository, digest).await?.unwrap_or_default();
    match registry.admit(repository, size).await? {
        Ok(reserved) => reserved.settle(),
        Err(full) => {
            storage.remove_blob(repository, digest).await?;
            return Err(full.into());
        }
    }
    registry.0.collector.lease(repository, digest);
    Ok(true)
}

/// Begins an upload that other requests go on with.
async fn open(
    registry: &Registry,
    repository: &Repository,
    algorithm: Algorithm,
) -> Result<Arc<Session>, Problem> {
    let inner = &registry.0;
    let Some(uploads) = inner.storage.0.uploads() else {
        return open_here(registry, repository, Upload::begin_open(&inner.storage, algorithm));
    };
    let (most, expiry) = (inner.config.limits.uploads, inner.config.limits.upload_expiry);
    if !inner.sessions.has_room(most, expiry) {
        return Err(too_many());
    }
    let id = uploads.begin(repository, algorithm).await?;
    let ours = registry.clone();
    tokio::spawn(async move { ours.0.sessions.expire_shared(&ours.0.storage, expiry).await });
    Ok(Arc::new(inner.sessions.opened(repository, id)))
}

/// Begins an upload of this process.
fn open_here(
    registry: &Registry,
    repository: &Repository,
    upload: Upload,
) -> Result<Arc<Session>, Problem> {
    let limits = &registry.0.config.limits;
    registry
        .0
        .sessions
        .open(repository, upload, limits.uploads, limits.upload_expiry)
        .ok_or_else(too_many)
}

fn too_many() -> Problem {
    Problem::later(RETRY, "too many uploads are open")
}

/// GET, PATCH, PUT and DELETE of one upload.
pub(crate) async fn answer(
    registry: &Registry,
    repository: &Repository,
    id: &str,
    head: &Parts,
    body: Body,
) -> Result<Response, Problem> {
    let allowed = [Method::GET, Method::HEAD, Method::PATCH, Method::PUT, Method::DELETE];
    if !allowed.contains(&head.method) {
        return Err(Problem::method("GET, HEAD, PATCH, PUT, DELETE"));
    }
    let session = match registry.0.storage.0.uploads() {
        Some(_) => Arc::new(registry.0.sessions.shared(repository, id)),
        None => registry.0.sessions.get(repository, id).ok_or_else(unknown)?,
    };
    match head.method {
        Method::PATCH => patch(registry, repository, &session, head, body).await,
        Method::PUT => put(registry, repository, &session, head, body).await,
        Method::DELETE => cancel(registry, &session).await,
        _ if session.look_again(&registry.0.storage).await? => {
            Ok(status_of(StatusCode::NO_CONTENT, repository, &session))
        }
        _ => Err(unknown()),
    }
}

async fn patch(
    registry: &Registry,
    repository: &Repository,
    session: &Arc<Session>,
    head: &Parts,
    body: Body,
) -> Result<Response, Problem> {
    let held = take_body(registry, repository, session, None, head, body).await?;
    let released = session.release(held).await;
    if let Err(error) = released {
        return Err(refused(error, registry, repository, session).await);
    }
    Ok(status_of(StatusCode::ACCEPTED, repository, session))
}

async fn put(
    registry: &Registry,
    repository: &Repository,
    session: &Arc<Session>,
    head: &Parts,
    body: Body,
) -> Result<Response, Problem> {
    let Some(digest) = query::first(&head.uri, "digest") else {
        return Err(Problem::bad(Code::DigestInvalid, "`digest` is missing"));
    };
    let digest = digest_of(&digest)?;
    take_last(registry, repository, session, &digest, head, body).await
}

async fn cancel(registry: &Registry, session: &Session) -> Result<Response, Problem> {
    let known = registry.0.sessions.close(session);
    let is_ours = registry.0.storage.0.uploads().is_none();
    if is_ours && !known || !session.cancel(&registry.0.storage).await? {
        return Err(unknown());
    }
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Takes the last part of an upload and makes the whole a blob. Whatever the outcome after the
/// body has come, the upload has ended.
async fn take_last(
    registry: &Registry,
    repository: &Repository,
    session: &Arc<Session>,
    digest: &Digest,
    head: &Parts,
    body: Body,
) -> Result<Response, Problem> {
    let mut held = take_body(registry, repository, session, Some(digest), head, body).await?;
    let mut upload = held.take().ok_or_else(unknown)?;
    upload.end();
    registry.0.sessions.close(session);
    drop(held);
    // A task of its own: once begun, this ends even if the client does not wait for it.
    let (ours, name, expected) = (registry.clone(), repository.clone(), digest.clone());
    let finished = tokio::spawn(async move { ours.finish(upload, &name, &expected).await }).await;
    match finished {
        Ok(Ok(_)) => Ok(blob_created(repository, digest)),
        Ok(Err(Unfinished::Digest(actual))) => {
            let message = format!("the blob should be {digest} and is {actual}");
            Err(Problem::bad(Code::DigestInvalid, message))
        }
        Ok(Err(Unfinished::OverQuota(full))) => Err(full.into()),
        Ok(Err(Unfinished::Storage(error))) => {
            Err(refused(error, registry, repository, session).await)
        }
        Err(_) => Err(crate::Error::Interrupted { operation: "commit of an upload" }.into()),
    }
}

/// Adds the body of a request to an upload, whose digest may be known.
async fn take_body(
    registry: &Registry,
    repository: &Repository,
    session: &Arc<Session>,
    digest: Option<&Digest>,
    head: &Parts,
    body: Body,
) -> Result<Held, Problem> {
    let chunk = chunk_of(&head.headers)?;
    let at = chunk.as_ref().map(|chunk| chunk.start);
    let held = match session.hold(&registry.0.storage, at).await {
        Ok(held) => held,
        Err(crate::Error::Contended) if at.is_some() => {
            let problem = refused(crate::Error::Contended, registry, repository, session).await;
            let message = "the chunk does not begin where the upload ends";
            return Err(match at != Some(session.received()) && problem.status == OUT_OF_ORDER {
                true => out_of_order(repository, session, message),
                false => problem,
            });
        }
        Err(error) => return Err(refused(error, registry, repository, session).await),
    };
    let before = held.as_ref().map(Upload::size).ok_or_else(unknown)?;
    let rules = registry.rules(repository, digest).await?;
    let (held, arrived) = receive(body, held, session, rules).await;
    let held = match held {
        Ok(held) => held,
        Err(error) => return Err(refused(error, registry, repository, session).await),
    };
    if let Err(broken) = arrived {
        // What has come is kept, and the client goes on after it.
        if let Err(error) = session.release(held).await {
            return Err(refused(error, registry, repository, session).await);
        }
        return Err(problem_of(broken, repository, session));
    }
    let after = held.as_ref().map_or(before, Upload::size);
    if chunk.is_some_and(|chunk| chunk.end - chunk.start != after - before) {
        session.release(held).await?;
        let message = "the chunk has another length than its range";
        return Err(Problem::bad(Code::SizeInvalid, message));
    }
    Ok(held)
}

/// The answer to a request that storage did not let go on.
async fn refused(
    error: crate::Error,
    registry: &Registry,
    repository: &Repository,
    session: &Session,
) -> Problem {
    match error {
        crate::Error::Ended => unknown(),
        crate::Error::Contended => match session.look_again(&registry.0.storage).await {
            Ok(true) => out_of_order(repository, session, "another request writes to this upload"),
            Ok(false) => unknown(),
            Err(error) => error.into(),
        },
        error => {
            let problem = Problem::from(error);
            recoverable(problem, repository, session)
                .with(CONNECTION, HeaderValue::from_static("close"))
        }
    }
}

/// The `Content-Range` of a chunk. That it disagrees with `Content-Length` is known at once.
fn chunk_of(headers: &HeaderMap) -> Result<Option<std::ops::Range<u64>>, Problem> {
    let Some(value) = headers.get(CONTENT_RANGE) else { return Ok(None) };
    let chunk = value.to_str().ok().and_then(range::chunk).ok_or_else(|| {
        Problem::bad(Code::BlobUploadInvalid, "`Content-Range` is not `<first>-<last>`")
    })?;
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length != chunk.end - chunk.start) {
        let message = "`Content-Length` is not the length of `Content-Range`";
        return Err(Problem::bad(Code::SizeInvalid, message));
    }
    Ok(Some(chunk))
}

fn problem_of(broken: Broken, repository: &Repository, session: &Session) -> Problem {
    let message = broken.to_string();
    let problem = match broken {
        Broken::Storage(error) => Problem::from(error),
        Broken::Ended => unknown(),
        Broken::Cut => Problem::bad(Code::BlobUploadInvalid, message),
        Broken::Stalled => {
            Problem::new(StatusCode::REQUEST_TIMEOUT, Code::BlobUploadInvalid, message)
        }
        Broken::OverQuota(full) => full.into(),
        Broken::TooLarge(_) => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Code::SizeInvalid, message)
        }
    };
    // The rest of the body is not read.
    recoverable(problem, repository, session).with(CONNECTION, HeaderValue::from_static("close"))
}

fn out_of_order(repository: &Repository, session: &Session, message: &str) -> Problem {
    let problem = Problem::new(OUT_OF_ORDER, Code::BlobUploadInvalid, message);
    recoverable(problem, repository, session)
}

/// Says from where the client can go on.
fn recoverable(problem: Problem, repository: &Repository, session: &Session) -> Problem {
    problem
        .with(LOCATION, header(&location(repository, session)))
        .with(RANGE, received(session))
        .with(UPLOAD_ID, header(&session.id))
}

fn status_of(status: StatusCode, repository: &Repository, session: &Session) -> Response {
    let mut response = empty(status);
    let headers = response.headers_mut();
    headers.insert(LOCATION, header(&location(repository, session)));
    headers.insert(RANGE, received(session));
    headers.insert(UPLOAD_ID, header(&session.id));
    response
}

fn location(repository: &Repository, session: &Session) -> String {
    format!("/v2/{repository}/blobs/uploads/{}", session.id)
}

/// `0-<last>`. Of no bytes there is no last: what everybody sends then is `0-0`.
fn received(session: &Session) -> HeaderValue {
    header(&format!("0-{}", session.received().saturating_sub(1)))
}

fn blob_created(repository: &Repository, digest: &Digest) -> Response {
    let location = format!("/v2/{repository}/blobs/{digest}");
    created(StatusCode::CREATED, &location, Some(digest))
}

fn unknown() -> Problem {
    Problem::unknown(Code::BlobUploadUnknown, "the upload is unknown to this repository")
}
