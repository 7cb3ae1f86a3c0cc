//! The body of a pushed manifest. Manifests are held in memory to be understood, so the memory
//! that all of them take together is limited: small ones always pass, and when too many large
//! ones come at once, some are asked to come again.

use std::sync::Arc;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::{CONTENT_LENGTH, HeaderMap};
use http_body_util::BodyExt;
use oci::MediaType;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::document::Document;
use crate::problem::{Code, Problem};
use crate::{Error, Registry};

/// Up to this size, in bytes, a manifest is small. It is also the unit of the budget.
const UNIT: usize = 64 << 10;
/// What a client is told to wait when the budget is used up, in seconds.
const RETRY: u32 = 1;
/// How many large manifests are parsed at once; more would only wait for processors.
const PARSERS: usize = 2;

/// What all manifests on their way share.
pub(crate) struct Budget {
    units: Arc<Semaphore>,
    parsers: Semaphore,
}

impl Budget {
    /// A budget for large manifests, in bytes.
    pub(crate) fn new(bytes: usize) -> Budget {
        let units = (bytes / UNIT).min(Semaphore::MAX_PERMITS);
        Budget { units: Arc::new(Semaphore::new(units)), parsers: Semaphore::new(PARSERS) }
    }
}

/// A manifest that has come, with its share of the budget.
pub(super) struct Received {
    pub(super) bytes: Bytes,
    _share: Option<OwnedSemaphorePermit>,
}

/// Takes the body of a push, if it is not too large.
pub(super) async fn receive(
    registry: &Registry,
    headers: &HeaderMap,
    body: Body,
) -> Result<Received, Problem> {
    let limits = &registry.0.config.limits;
    let length = headers.get(CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limits.manifest as u64) {
        return Err(too_large(limits.manifest));
    }
    let collecting = collect(&registry.0.manifests, body, limits.manifest);
    tokio::time::timeout(limits.stall, collecting).await.unwrap_or_else(|_| {
        let status = StatusCode::REQUEST_TIMEOUT;
        Err(Problem::new(status, Code::ManifestInvalid, "the manifest did not come in time"))
    })
}

async fn collect(budget: &Budget, mut body: Body, most: usize) -> Result<Received, Problem> {
    let mut bytes = BytesMut::new();
    let mut share: Option<OwnedSemaphorePermit> = None;
    let mut paid = UNIT;
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|_| Problem::bad(Code::ManifestInvalid, "the request's body broke off"))?;
        let Ok(piece) = frame.into_data() else { continue };
        if bytes.len() + piece.len() > most {
            return Err(too_large(most));
        }
        // Paid for as it comes: who announces much and sends little takes little.
        while bytes.len() + piece.len() > paid {
            let unit =
                budget.units.clone().try_acquire_owned().map_err(|_| {
                    Problem::later(RETRY, "too many large manifests are being pushed")
                })?;
            match &mut share {
                Some(share) => share.merge(unit),
                None => share = Some(unit),
            }
            paid += UNIT;
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(Received { bytes: bytes.freeze(), _share: share })
}

fn too_large(most: usize) -> Problem {
    let message = format!("a manifest has at most {most} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Code::ManifestInvalid, message)
}

impl Received {
    /// Understands the manifest; a large one where that delays nobody.
    pub(super) async fn parse(
        &self,
        registry: &Registry,
        content_type: Option<MediaType>,
    ) -> Result<Document, Problem> {
        let parsed = if self.bytes.len() <= UNIT {
            Document::parse(&self.bytes, content_type.as_ref())
        } else {
            let interrupted = || Error::Interrupted { operation: "parse of a manifest" };
            let parsers = &registry.0.manifests.parsers;
            let _parser = parsers.acquire().await.map_err(|_| interrupted())?;
            let bytes = self.bytes.clone();
            let parsing = move || Document::parse(&bytes, content_type.as_ref());
            tokio::task::spawn_blocking(parsing).await.map_err(|_| interrupted())?
        };
        parsed.map_err(|refused| Problem::bad(Code::ManifestInvalid, refused.to_string()))
    }
}
