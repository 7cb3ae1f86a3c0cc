//! The endpoints, a file each.

pub(crate) mod blobs;
pub(crate) mod catalog;
pub(crate) mod manifest_body;
pub(crate) mod manifests;
pub(crate) mod operation;
pub(crate) mod page;
pub(crate) mod referrers;
pub(crate) mod tags;
pub(crate) mod uploads;

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LINK, LOCATION};
use http::request::Parts;
use http::{Method, StatusCode};
use oci::Digest;
use serde_json::Value;

use crate::problem::{Code, Problem};
use crate::query;

/// The digest of the content of an answer.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// Reads a digest from a path or query.
fn digest_of(text: &str) -> Result<Digest, Problem> {
    text.parse().map_err(|error: oci::Error| Problem::bad(Code::DigestInvalid, error.to_string()))
}

/// An answer without content.
fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    if status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(0));
    }
    response
}

/// An answer that says where something now is.
fn created(status: StatusCode, location: &str, digest: Option<&Digest>) -> Response {
    let mut response = empty(status);
    response.headers_mut().insert(LOCATION, header(location));
    if let Some(digest) = digest {
        response.headers_mut().insert(CONTENT_DIGEST, digest_header(digest));
    }
    response
}

/// A JSON answer.
pub(crate) fn json(content_type: &'static str, value: &Value) -> Response {
    let text = value.to_string();
    let mut response = Response::new(Body::empty());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    *response.body_mut() = Body::from(text);
    response
}

fn digest_header(digest: &Digest) -> HeaderValue {
    header(&digest.to_string())
}

/// A header of a text that we made of names, digests and encoded values.
fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("names, digests and encoded values are printable")
}

/// Lets only GET and HEAD pass.
fn only_get(head: &Parts) -> Result<(), Problem> {
    match head.method {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(Problem::method("GET, HEAD")),
    }
}

/// Which part of a list is asked for (distribution-spec, "Listing Tags").
struct Page {
    /// `n`, or what we give at most.
    limit: usize,
    /// `last`: the list goes on after this.
    after: Option<String>,
}

/// No answer lists more than this.
const MAX_PAGE: usize = 10_000;

impl Page {
    fn of(head: &Parts) -> Result<Page, Problem> {
        let limit = match query::first(&head.uri, "n").filter(|text| !text.is_empty()) {
            None => MAX_PAGE,
            Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse().unwrap_or(MAX_PAGE).min(MAX_PAGE)
            }
            Some(_) => return Err(Problem::bad(Code::Unsupported, "`n` is not a number")),
        };
        let after = query::first(&head.uri, "last").filter(|text| !text.is_empty());
        Ok(Page { limit, after })
    }

    /// The `Link` to the page after `last`.
    fn next(&self, path: &str, last: &str) -> (HeaderName, HeaderValue) {
        let last = query::encode(last);
        (LINK, header(&format!("<{path}?n={}&last={last}>; rel=\"next\"", self.limit)))
    }
}
