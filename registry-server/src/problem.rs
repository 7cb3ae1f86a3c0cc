//! The answers that tell a client what it did wrong (distribution-spec, "Error Codes").

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use serde_json::{Value, json};

use crate::Error;
use crate::quota::OverQuota;

/// The identifiers of the specification's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameInvalid,
    NameUnknown,
    SizeInvalid,
    Unsupported,
    TooManyRequests,
    Unauthorized,
    Denied,
    /// Our own failure; the table has no word for that.
    Unknown,
}

impl Code {
    fn as_str(self) -> &'static str {
        match self {
            Code::BlobUnknown => "BLOB_UNKNOWN",
            Code::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            Code::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Code::DigestInvalid => "DIGEST_INVALID",
            Code::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Code::ManifestInvalid => "MANIFEST_INVALID",
            Code::ManifestUnknown => "MANIFEST_UNKNOWN",
            Code::NameInvalid => "NAME_INVALID",
            Code::NameUnknown => "NAME_UNKNOWN",
            Code::SizeInvalid => "SIZE_INVALID",
            Code::Unsupported => "UNSUPPORTED",
            Code::Unauthorized => "UNAUTHORIZED",
            Code::Denied => "DENIED",
            Code::TooManyRequests => "TOOMANYREQUESTS",
            Code::Unknown => "UNKNOWN",
        }
    }
}

/// A request that is not granted: status, reasons, and headers that help the client on.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) reasons: Vec<Reason>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

/// One entry of the list of errors.
#[derive(Debug)]
pub(crate) struct Reason {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) detail: Option<Value>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: Code, message: impl Into<String>) -> Problem {
        let reason = Reason { code, message: message.into(), detail: None };
        Problem { status, reasons: vec![reason], headers: Vec::new() }
    }

    /// 400.
    pub(crate) fn bad(code: Code, message: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 404.
    pub(crate) fn unknown(code: Code, message: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, code, message)
    }

    /// 405 with the methods that there are.
    pub(crate) fn method(allowed: &'static str) -> Problem {
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, Code::Unsupported, "method not allowed here")
            .with(ALLOW, HeaderValue::from_static(allowed))
    }

    /// 412.
    pub(crate) fn precondition() -> Problem {
        let status = StatusCode::PRECONDITION_FAILED;
        Problem::new(status, Code::ManifestInvalid, "the condition of the request does not hold")
    }

    /// 429 with a time to wait, in seconds.
    pub(crate) fn later(seconds: u32, message: impl Into<String>) -> Problem {
        Problem::new(StatusCode::TOO_MANY_REQUESTS, Code::TooManyRequests, message)
            .with(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// Adds a header.
    #[must_use]
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Problem {
        self.headers.push((name, value));
        self
    }
}

/// The client learns that we failed, and the log learns how: paths are nobody else's business.
impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        tracing::error!(%error, cause, "request failed");
        if error.is_full() {
            let status = StatusCode::INSUFFICIENT_STORAGE;
            return Problem::new(status, Code::Unknown, "the registry's storage is full");
        }
        if error.is_passing() {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Problem::new(status, Code::Unknown, "the registry's storage does not answer")
                .with(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Problem::new(status, Code::Unknown, "the registry's storage failed")
    }
}

/// 403: what is asked for is no mistake, but more than is granted.
impl From<OverQuota> for Problem {
    fn from(full: OverQuota) -> Problem {
        Problem::new(StatusCode::FORBIDDEN, Code::Denied, full.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let errors: Vec<Value> = self
            .reasons
            .into_iter()
            .map(|reason| {
                let mut error = json!({"code": reason.code.as_str(), "message": reason.message});
                if let Some(detail) = reason.detail {
                    error["detail"] = detail;
                }
                error
            })
            .collect();
        let text = json!({ "errors": errors }).to_string();
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.extend(self.headers);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
        *response.body_mut() = Body::from(text);
        response
    }
}
