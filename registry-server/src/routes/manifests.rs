//! `/v2/<name>/manifests/<tag-or-digest>`: push, pull and delete manifests and tags.

use std::time::SystemTime;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::TryStreamExt;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use oci::{Algorithm, Digest, MediaType};

use super::manifest_body::receive;
use super::{CONTENT_DIGEST, created, digest_header, digest_of, empty, header};
use crate::condition::{Condition, etag};
use crate::document::Document;
use crate::event::{EventAction, Happened};
use crate::name::{Repository, Tag};
use crate::problem::{Code, Problem, Reason};
use crate::registry::MissingReferences;
use crate::state::{Change, Entry, Refusal};
use crate::storage::look;
use crate::upload::{Unfinished, Upload};
use crate::{Error, Registry, query};

const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");
/// How many `OCI-Tag` headers an answer has at most.
const TAG_LINES: usize = 10;
/// How many tags one push can set. The specification asks for ten at least.
const MAX_TAGS: usize = 100;

/// What a path names.
pub(crate) enum Target {
    Tag(Tag),
    Digest(Digest),
}

impl Target {
    fn parse(text: &str) -> Result<Target, Problem> {
        if text.contains(':') {
            return digest_of(text).map(Target::Digest);
        }
        let tag = Tag::parse(text).map(Target::Tag);
        tag.ok_or_else(|| Problem::bad(Code::ManifestInvalid, "the tag is invalid"))
    }
}

pub(crate) async fn answer(
    registry: &Registry,
    repository: &Repository,
    reference: &str,
    head: &Parts,
    body: Body,
) -> Result<Response, Problem> {
    match head.method {
        Method::GET | Method::HEAD => {
            // What cannot be a name can name nothing.
            let target = Target::parse(reference)
                .map_err(|problem| Problem { status: StatusCode::NOT_FOUND, ..problem })?;
            get(registry, repository, &target, head).await
        }
        Method::PUT => put(registry, repository, Target::parse(reference)?, head, body).await,
        Method::DELETE => delete(registry, repository, Target::parse(reference)?, head).await,
        _ => Err(Problem::method("GET, HEAD, PUT, DELETE")),
    }
}

async fn get(
    registry: &Registry,
    repository: &Repository,
    target: &Target,
    head: &Parts,
) -> Result<Response, Problem> {
    registry.pull_manifest(repository, target).await?;
    let state = registry.0.storage.0.state(repository).await?.ok_or_else(unknown)?;
    let (digest, entry) = {
        let state = look(&state);
        let digest = match target {
            Target::Tag(tag) => state.tag(tag).ok_or_else(unknown)?,
            Target::Digest(digest) => digest,
        };
        (digest.clone(), state.manifest(digest).ok_or_else(unknown)?.clone())
    };
    let condition = Condition::of(&head.headers);
    if !condition.matches(Some(&digest)) {
        return Err(Problem::precondition());
    }
    let modified = condition.differs(Some(&digest));
    let mut response = empty(if modified { StatusCode::OK } else { StatusCode::NOT_MODIFIED });
    let headers = response.headers_mut();
    headers.insert(CONTENT_DIGEST, digest_header(&digest));
    headers.insert(ETAG, etag(&digest));
    if modified {
        headers.insert(CONTENT_TYPE, header(entry.media_type.as_str()));
        headers.insert(CONTENT_LENGTH, entry.size.into());
        if head.method == Method::GET {
            let bytes =
                registry.manifest(repository, &digest, &entry).await?.ok_or_else(unknown)?;
            *response.body_mut() = Body::from(bytes);
            let tags = match target {
                Target::Tag(tag) => std::slice::from_ref(tag),
                Target::Digest(_) => &[],
            };
            let happened = Happened {
                action: EventAction::Pull,
                digest: Some(&digest),
                media_type: Some(&entry.media_type),
                size: Some(entry.size),
                tags,
            };
            registry.tell(repository, head, &happened);
        }
    }
    Ok(response)
}

async fn put(
    registry: &Registry,
    repository: &Repository,
    target: Target,
    head: &Parts,
    body: Body,
) -> Result<Response, Problem> {
    registry.refuse_push_to_mirror(repository)?;
    let condition = Condition::of(&head.headers);
    let content_type = content_type(&head.headers);
    let parameters = query::all(&head.uri, "tag");
    let tags = tags_of(&target, &parameters)?;
    let received = receive(registry, &head.headers, body).await?;
    let bytes = received.bytes.clone();
    let algorithm = match &target {
        Target::Tag(_) => Algorithm::Sha256,
        Target::Digest(digest) => digest.algorithm(),
    };
    let digest = algorithm.digest(&bytes);
    if let Target::Digest(expected) = &target
        && *expected != digest
    {
        let message = format!("the manifest should be {expected} and is {digest}");
        return Err(Problem::bad(Code::DigestInvalid, message));
    }
    let document = received.parse(registry, content_type).await?;
    let _gate = registry.0.collector.relying(repository).await;
    registry.require_references(repository, &document).await?;

    let size = bytes.len() as u64;
    let subject = document.subject.clone();
    let media_type = document.media_type.clone();
    let needs = match registry.0.config.missing_references {
        MissingReferences::Refuse => document.manifests.clone(),
        MissingReferences::AllowInIndex | MissingReferences::Allow => Vec::new(),
    };
    let entry = Entry {
        media_type: document.media_type.clone(),
        size,
        subject: subject.clone(),
        pushed: Some(SystemTime::now()),
    };
    let reserved = registry.reserve(repository, &digest, size).await??;
    registry.store(repository, &digest, bytes).await?;
    reserved.settle();
    let change = Change::Put {
        digest: digest.clone(),
        entry,
        tags: tags.clone(),
        condition,
        most_tags: registry.0.config.limits.tags,
        needs,
    };
    registry.0.storage.0.commit(repository, change).await?.map_err(refused)?;
    registry.0.collector.lease(repository, &digest);
    registry.hold_on_to(repository, &digest, &document).await?;

    let happened = Happened {
        action: EventAction::Push,
        digest: Some(&digest),
        media_type: Some(&media_type),
        size: Some(size),
        tags: &tags,
    };
    registry.tell(repository, head, &happened);

    let location = format!("/v2/{repository}/manifests/{digest}");
    let mut response = created(StatusCode::CREATED, &location, Some(&digest));
    let headers = response.headers_mut();
    headers.insert(ETAG, etag(&digest));
    if let Some(subject) = subject {
        headers.insert(SUBJECT, digest_header(&subject));
    }
    if !parameters.is_empty() {
        // A header for each as long as they are few: clients have limits on those, too.
        let lines = tags.chunks(tags.len().div_ceil(TAG_LINES).max(1));
        headers.extend(lines.map(|line| {
            let tags: Vec<&str> = line.iter().map(Tag::as_str).collect();
            (OCI_TAG, header(&tags.join(", ")))
        }));
    }
    Ok(response)
}

/// The tags to set. Parameters come with a digest only (distribution-spec, "Pushing Manifests").
fn tags_of(target: &Target, parameters: &[String]) -> Result<Vec<Tag>, Problem> {
    match target {
        Target::Tag(tag) if parameters.is_empty() => Ok(vec![tag.clone()]),
        Target::Tag(_) => {
            Err(Problem::bad(Code::Unsupported, "`tag` goes with a push by digest only"))
        }
        Target::Digest(_) if parameters.len() > MAX_TAGS => {
            let message = format!("a manifest is pushed with at most {MAX_TAGS} tags");
            Err(Problem::new(StatusCode::URI_TOO_LONG, Code::Unsupported, message))
        }
        Target::Digest(_) => {
            let tags = parameters.iter().map(|text| Tag::parse(text)).collect::<Option<_>>();
            tags.ok_or_else(|| Problem::bad(Code::ManifestInvalid, "a tag is invalid"))
        }
    }
}

fn content_type(headers: &HeaderMap) -> Option<MediaType> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(MediaType::new(text)).filter(|media_type| !media_type.as_str().is_empty())
}

async fn delete(
    registry: &Registry,
    repository: &Repository,
    target: Target,
    head: &Parts,
) -> Result<Response, Problem> {
    let storage = &registry.0.storage.0;
    if storage.state(repository).await?.is_none() {
        let message = format!("repository {repository} is unknown");
        return Err(Problem::unknown(Code::NameUnknown, message));
    }
    let condition = Condition::of(&head.headers);
    let (tags, digest) = match &target {
        Target::Tag(tag) => (vec![tag.clone()], None),
        Target::Digest(digest) => (Vec::new(), Some(digest.clone())),
    };
    let change = match target {
        Target::Tag(tag) => Change::RemoveTag { tag, condition },
        Target::Digest(digest) => Change::RemoveManifest { digest, condition },
    };
    storage.commit(repository, change).await?.map_err(refused)?;
    registry.0.ledger.forget();
    let happened = Happened {
        action: EventAction::Delete,
        digest: digest.as_ref(),
        media_type: None,
        size: None,
        tags: &tags,
    };
    registry.tell(repository, head, &happened);
    Ok(empty(StatusCode::ACCEPTED))
}

fn refused(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Unknown => unknown(),
        Refusal::Incomplete => {
            let message = "a manifest that it names has been removed meanwhile";
            Problem::bad(Code::ManifestBlobUnknown, message)
        }
        Refusal::Changed => Error::Interrupted { operation: "change of a repository" }.into(),
        Refusal::Precondition => Problem::precondition(),
        Refusal::TooManyTags => {
            let message = "the repository has as many tags as it may have";
            Problem::new(StatusCode::FORBIDDEN, Code::Denied, message)
        }
    }
}

pub(crate) fn unknown() -> Problem {
    Problem::unknown(Code::ManifestUnknown, "the manifest is unknown to this repository")
}

/// The answer to a manifest that names what is not here.
fn incomplete(mut missing: Vec<Digest>) -> Problem {
    missing.truncate(100);
    let reason = |digest: Digest| Reason {
        code: Code::ManifestBlobUnknown,
        message: format!("{digest} is unknown to this repository"),
        detail: Some(serde_json::json!({ "digest": digest.to_string() })),
    };
    let reasons = missing.into_iter().map(reason).collect();
    Problem { status: StatusCode::BAD_REQUEST, reasons, headers: Vec::new() }
}

impl Registry {
    /// Refuses a manifest that names what was not pushed, as far as the rules say so.
    async fn require_references(
        &self,
        repository: &Repository,
        document: &Document,
    ) -> Result<(), Problem> {
        let rule = self.0.config.missing_references;
        let mut missing = Vec::new();
        if rule != MissingReferences::Allow {
            let storage = &self.0.storage.0;
            missing.extend(storage.missing_blobs(repository, document.blobs.clone()).await?);
        }
        if rule == MissingReferences::Refuse && !document.manifests.is_empty() {
            let state = self.0.storage.0.state(repository).await?;
            let known = |digest: &&Digest| {
                state.as_ref().is_some_and(|state| look(state).manifest(digest).is_some())
            };
            missing.extend(document.manifests.iter().filter(|digest| !known(digest)).cloned());
        }
        if missing.is_empty() { Ok(()) } else { Err(incomplete(missing)) }
    }

    /// Takes back what a collection of another process removed while it could not know that it is
    /// needed. One that looks after this sees the manifest.
    async fn hold_on_to(
        &self,
        repository: &Repository,
        digest: &Digest,
        document: &Document,
    ) -> Result<(), Problem> {
        let storage = &self.0.storage.0;
        if !storage.is_shared() {
            return Ok(());
        }
        let mut needed = vec![digest.clone()];
        if self.0.config.missing_references != MissingReferences::Allow {
            needed.extend(document.blobs.iter().cloned());
        }
        let mut lost = Vec::new();
        for blob in storage.missing_blobs(repository, needed).await? {
            if !storage.restore_blob(repository, &blob).await? {
                lost.push(blob);
            }
        }
        if lost.is_empty() { Ok(()) } else { Err(incomplete(lost)) }
    }

    /// Stores the bytes of a manifest as a blob.
    pub(crate) async fn store(
        &self,
        repository: &Repository,
        digest: &Digest,
        bytes: Bytes,
    ) -> Result<(), Error> {
        if self.0.storage.0.renew_blob(repository, digest).await? == Some(bytes.len() as u64) {
            return Ok(());
        }
        let mut upload = Upload::begin(&self.0.storage, digest.algorithm());
        upload.write(vec![bytes]).await?;
        match upload.finish(repository, digest).await {
            Ok(_) => Ok(()),
            Err(Unfinished::Storage(error)) => Err(error),
            Err(Unfinished::Digest(_) | Unfinished::OverQuota(_)) => {
                Err(Error::Interrupted { operation: "write of a manifest" })
            }
        }
    }

    /// The bytes of a blob of at most `most` bytes, `None` if it is not there or larger.
    pub(crate) async fn small_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        most: u64,
    ) -> Result<Option<Bytes>, Error> {
        let Some(blob) = self.0.storage.0.open_blob(repository, digest).await? else {
            return Ok(None);
        };
        if blob.size > most {
            return Ok(None);
        }
        let pieces: Vec<Bytes> = blob
            .content
            .stream(0..blob.size)
            .try_collect()
            .await
            .map_err(|e| Error::io("read", format!("blob {digest} of {repository}"), e))?;
        Ok(Some(pieces.concat().into()))
    }

    /// The bytes of a manifest, `None` if they are gone.
    pub(crate) async fn manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
        entry: &Entry,
    ) -> Result<Option<Bytes>, Error> {
        let Some(blob) = self.0.storage.0.open_blob(repository, digest).await? else {
            return Ok(None);
        };
        if blob.size != entry.size {
            return Ok(None);
        }
        let mut pieces: Vec<Bytes> = blob
            .content
            .stream(0..entry.size)
            .try_collect()
            .await
            .map_err(|e| Error::io("read", format!("manifest {digest} of {repository}"), e))?;
        Ok(Some(match pieces.len() {
            1 => pieces.swap_remove(0),
            _ => pieces.concat().into(),
        }))
    }

    /// What a manifest says, `None` if its bytes are gone.
    pub(crate) async fn document(
        &self,
        repository: &Repository,
        digest: &Digest,
        entry: &Entry,
    ) -> Result<Option<Document>, Error> {
        let bytes = self.manifest(repository, digest, entry).await?;
        Ok(bytes.and_then(|bytes| Document::parse(&bytes, Some(&entry.media_type)).ok()))
    }
}
