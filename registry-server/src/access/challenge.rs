//! What a client without sufficient credentials is told, and the tokens that it gets for them.
//!
//! Clients learn once, at `/v2/`, how to log in, and keep to it. Where something is open to
//! everybody and something is not, that cannot be a password: those who have none could not even
//! read. So there each gets a token, the nameless too.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign, verify};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use http::header::{HOST, HeaderValue, WWW_AUTHENTICATE};
use http::request::Parts;
use serde_json::json;

use super::{Access, Identity};
use crate::name::Repository;
use crate::problem::{Code, Problem};
use crate::routes;

/// How long a token is good, in seconds.
const VALID: u64 = 300;

/// A marker that a request came over TLS.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Secure;

/// What the tokens are signed with that we give.
pub struct TokenSecret(Key);

impl Default for TokenSecret {
    fn default() -> TokenSecret {
        let mut bytes = [0; 32];
        crate::session::fill_random(&mut bytes);
        TokenSecret(Key::new(HMAC_SHA256, &bytes))
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSecret")
    }
}

impl TokenSecret {
    /// The secret that follows from a text. Without one it is another at every start.
    pub fn of(text: &str) -> TokenSecret {
        TokenSecret(Key::new(HMAC_SHA256, text.as_bytes()))
    }

    /// A token: who it stands for and until when, signed.
    fn seal(&self, user: Option<&str>, until: u64) -> String {
        let text = json!({ "user": user, "until": until }).to_string();
        let tag = sign(&self.0, text.as_bytes());
        format!("{}.{}", URL_SAFE_NO_PAD.encode(text), URL_SAFE_NO_PAD.encode(tag.as_ref()))
    }

    /// Whom one of our tokens stands for, if it is good now.
    pub(super) fn open(&self, token: &str) -> Option<Identity> {
        let (text, tag) = token.split_once('.')?;
        let text = URL_SAFE_NO_PAD.decode(text).ok()?;
        verify(&self.0, &text, &URL_SAFE_NO_PAD.decode(tag).ok()?).ok()?;
        let value: serde_json::Value = serde_json::from_slice(&text).ok()?;
        if value["until"].as_u64()? < now() {
            return None;
        }
        Some(match value["user"].as_str() {
            Some(user) => Identity::User(user.to_owned()),
            None => Identity::Anonymous,
        })
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// 401, with the way to log in. `wanted` is the repository and what should be done there, as
/// tokens call it.
pub(crate) fn unauthorized(
    access: &Access,
    head: &Parts,
    wanted: Option<(&Repository, &str)>,
) -> Problem {
    let challenge = match &access.issuer {
        Some(issuer) => Some((issuer.realm.clone(), issuer.service.clone())),
        None if access.knows_anonymous() => realm(head).map(|realm| (realm, "registry".to_owned())),
        None => None,
    };
    let text = match challenge {
        None => r#"Basic realm="registry", charset="UTF-8""#.to_owned(),
        Some((realm, service)) => {
            let scope =
                wanted.map(|(name, actions)| format!(r#",scope="repository:{name}:{actions}""#));
            format!(r#"Bearer realm="{realm}",service="{service}"{}"#, scope.unwrap_or_default())
        }
    };
    let problem =
        Problem::new(StatusCode::UNAUTHORIZED, Code::Unauthorized, "authentication is required");
    match HeaderValue::from_str(&text) {
        Ok(value) => problem.with(WWW_AUTHENTICATE, value),
        Err(_) => problem,
    }
}

/// Where we give tokens, under the name that the client called us by.
fn realm(head: &Parts) -> Option<String> {
    let host = head.headers.get(HOST).and_then(|value| value.to_str().ok());
    let host = host.or_else(|| head.uri.authority().map(http::uri::Authority::as_str))?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    let scheme = if head.extensions.get::<Secure>().is_some() { "https" } else { "http" };
    host.chars().all(plain).then(|| format!("{scheme}://{host}/token"))
}

/// `/token`: exchanges a password, or nothing, for a token.
pub(crate) async fn answer_token(access: &Access, head: &Parts) -> Result<Response, Problem> {
    let identity = access.identify(&head.headers).await.map_err(|_| {
        Problem::new(StatusCode::UNAUTHORIZED, Code::Unauthorized, "name or password is wrong")
    })?;
    let user = match &identity {
        Identity::User(user) => Some(user.as_str()),
        // What another one granted is not ours to widen.
        Identity::Anonymous | Identity::Granted { .. } => None,
    };
    let token = access.secret.seal(user, now() + VALID);
    let body = json!({ "token": token, "access_token": token, "expires_in": VALID });
    Ok(routes::json("application/json", &body))
}
