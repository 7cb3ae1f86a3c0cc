//! What can go wrong between a registry and us.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;

/// What was being done to what, for messages: `push blob sha256:… to ghcr.io/x/y`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The operation, in the imperative: `pull manifest`.
    pub operation: &'static str,
    /// The object: a tag, a digest, a repository.
    pub object: String,
    /// Where: `registry/repository`, or the registry alone.
    pub place: String,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.operation)?;
        if !self.object.is_empty() {
            write!(f, " {}", self.object)?;
        }
        write!(f, " at {}", self.place)
    }
}

/// One error of a registry's answer (distribution-spec, "Error Codes").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryError {
    /// The code: `DENIED`.
    pub code: String,
    /// What the registry says about it.
    pub message: String,
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.to_ascii_lowercase().replace('_', " ");
        match self.message.as_str() {
            "" => write!(f, "{code}"),
            message => write!(f, "{code}: {message}"),
        }
    }
}

/// An error that names the registry, the object and the operation; it never holds a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The registry answered, and the answer is no.
    #[error("{call}: {}", answer(*status, errors))]
    Status {
        /// What was being done.
        call: Call,
        /// The status of the answer.
        status: StatusCode,
        /// What the body says; empty if it is not in the specification's form.
        errors: Vec<RegistryError>,
        /// When the registry wants to be asked again (`Retry-After`).
        retry_after: Option<Duration>,
    },
    /// No answer came, or it broke off.
    #[error("{call}")]
    Connection {
        /// What was being done.
        call: Call,
        /// Whether the connection itself could not be made.
        connecting: bool,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Nothing came for too long.
    #[error("{call}: nothing came for {} seconds", after.as_secs())]
    Idle {
        /// What was being done.
        call: Call,
        /// How long was waited.
        after: Duration,
    },
    /// The registry breaks the protocol.
    #[error("{call}: the registry {reason}")]
    Protocol {
        /// What was being done.
        call: Call,
        /// How, as the rest of a sentence.
        reason: String,
    },
    /// An answer is larger than such an answer may be.
    #[error("{call}: the answer is larger than {limit} bytes")]
    TooLarge {
        /// What was being done.
        call: Call,
        /// The limit in bytes.
        limit: u64,
    },
    /// The registry sends us to a place where we will not go.
    #[error("{call}: refused to follow {kind} to {target}: {reason}")]
    RefusedTarget {
        /// What was being done.
        call: Call,
        /// What pointed there: `a redirect`, `a token realm`.
        kind: &'static str,
        /// Where it points; without query and credentials.
        target: String,
        /// Why not.
        reason: &'static str,
    },
    /// The registry wants a login, and there are no credentials or they were refused.
    #[error("{call}: {}", login(*given, errors))]
    Unauthorized {
        /// What was being done.
        call: Call,
        /// Whether there were credentials.
        given: bool,
        /// What the answer's body says.
        errors: Vec<RegistryError>,
    },
    /// What arrived is not what was asked for.
    #[error("{call}")]
    Content {
        /// What was being done.
        call: Call,
        /// What is wrong with it.
        #[source]
        source: Box<oci::Error>,
    },
    /// The bytes to send could not be read.
    #[error("{call}: read the bytes to send")]
    Body {
        /// What was being done.
        call: Call,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A file of credentials cannot be used.
    #[error("{operation} {}", path.display())]
    CredentialFile {
        /// What was being done, in the imperative.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A credential helper failed.
    #[error("credential helper {helper}: {reason}")]
    Helper {
        /// The program.
        helper: String,
        /// What went wrong; never what the helper printed on success.
        reason: String,
    },
    /// The machine's settings forbid the image.
    #[error("{name} is blocked: {} says so of {prefix}", file.display())]
    Blocked {
        /// The image.
        name: String,
        /// What all such names begin with.
        prefix: String,
        /// The file that says so.
        file: PathBuf,
    },
    /// The connection's settings cannot be used.
    #[error("set up {what}")]
    Setup {
        /// Which: `the root certificates`, `the proxy`.
        what: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// The status of the registry's answer, if this is one.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Error::Status { status, .. } => Some(*status),
            Error::Unauthorized { .. } => Some(StatusCode::UNAUTHORIZED),
            _ => None,
        }
    }

    /// Whether the registry says that the object does not exist. Some say so with a code alone
    /// (Harbor, registry.redhat.io).
    pub fn is_not_found(&self) -> bool {
        match self {
            Error::Status { status, errors, .. } => {
                *status == StatusCode::NOT_FOUND
                    || errors.iter().any(|error| {
                        matches!(
                            error.code.as_str(),
                            "MANIFEST_UNKNOWN" | "NAME_UNKNOWN" | "BLOB_UNKNOWN" | "NOT_FOUND"
                        ) || (error.code == "UNKNOWN" && error.message.contains("not found"))
                    })
            }
            _ => false,
        }
    }

    /// What was being done, if it was a call to a registry.
    pub fn call(&self) -> Option<&Call> {
        match self {
            Error::Status { call, .. }
            | Error::Connection { call, .. }
            | Error::Idle { call, .. }
            | Error::Protocol { call, .. }
            | Error::TooLarge { call, .. }
            | Error::RefusedTarget { call, .. }
            | Error::Unauthorized { call, .. }
            | Error::Content { call, .. }
            | Error::Body { call, .. } => Some(call),
            Error::CredentialFile { .. }
            | Error::Helper { .. }
            | Error::Blocked { .. }
            | Error::Setup { .. } => None,
        }
    }

    pub(crate) fn protocol(call: &Call, reason: impl Into<String>) -> Error {
        Error::Protocol { call: call.clone(), reason: reason.into() }
    }

    pub(crate) fn content(call: &Call, source: oci::Error) -> Error {
        Error::Content { call: call.clone(), source: Box::new(source) }
    }

    /// A request that brought no answer. The URL is left out: it may carry a signature.
    pub(crate) fn connection(call: &Call, source: reqwest::Error) -> Error {
        let connecting = source.is_connect();
        Error::Connection { call: call.clone(), connecting, source: Box::new(source.without_url()) }
    }
}

fn answer(status: StatusCode, errors: &[RegistryError]) -> String {
    match errors {
        [] => status.to_string(),
        errors => format!("{} ({})", join(errors), status.as_u16()),
    }
}

fn login(given: bool, errors: &[RegistryError]) -> String {
    let what = if given { "access is denied" } else { "a login is required" };
    match errors {
        [] => what.to_owned(),
        errors => format!("{what}: {}", join(errors)),
    }
}

fn join(errors: &[RegistryError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Reads the errors in an answer's body, which may be anything.
pub(crate) fn parse_errors(body: &[u8]) -> Vec<RegistryError> {
    #[derive(Deserialize)]
    struct Body {
        errors: Option<Vec<Item>>,
        // What token services send: `{"details": "incorrect username or password"}`.
        details: Option<String>,
        error: Option<String>,
        error_description: Option<String>,
        message: Option<String>,
    }
    #[derive(Deserialize)]
    struct Item {
        #[serde(default)]
        code: serde_json::Value,
        #[serde(default)]
        message: Option<String>,
    }
    let Ok(body) = serde_json::from_slice::<Body>(body) else { return Vec::new() };
    if let Some(items) = body.errors {
        let of = |item: Item| RegistryError {
            code: match item.code {
                serde_json::Value::String(code) => printable(&code),
                serde_json::Value::Number(code) => code.to_string(),
                _ => "UNKNOWN".to_owned(),
            },
            message: printable(&item.message.unwrap_or_default()),
        };
        return items.into_iter().take(8).map(of).collect();
    }
    let code = body.error.map_or_else(|| "UNKNOWN".to_owned(), |code| printable(&code));
    let message = body.error_description.or(body.details).or(body.message);
    match message {
        Some(message) => vec![RegistryError { code, message: printable(&message) }],
        None => Vec::new(),
    }
}

/// What a stranger's text may put on a terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(500).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_errors_are_read_in_all_their_forms() {
        for (body, expected) in [
            (
                r#"{"errors":[{"code":"DENIED","message":"requested access is denied"}]}"#,
                "denied: requested access is denied",
            ),
            (
                r#"{"errors":[{"code":"MANIFEST_UNKNOWN"},{"code":404,"message":"no"}]}"#,
                "manifest unknown; 404: no",
            ),
            (
                r#"{"details":"incorrect username or password"}"#,
                "unknown: incorrect username or password",
            ),
            (r#"{"errors":null}"#, ""),
            ("<html>", ""),
            ("{\"errors\":[{\"code\":\"A\",\"message\":\"\\u001b[31mred\"}]}", "a: [31mred"),
        ] {
            assert_eq!(join(&parse_errors(body.as_bytes())), expected, "{body}");
        }
    }
}
