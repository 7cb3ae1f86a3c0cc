//! Tokens (distribution, "Token Authentication" and "OAuth2").

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::header::{self, HeaderValue};
use http::{Method, StatusCode};
use serde::Deserialize;
use url::Url;

use super::challenge::TokenService;
use super::{Credential, Given, Scopes, Secret, basic};
use crate::Result;
use crate::error::{Call, Error};
use crate::host::Host;
use crate::origin::{self, Pointer};
use crate::transport::{Transport, form};

/// How large a token service's answer may be, in bytes.
const MAX_ANSWER: u64 = 64 << 10;
/// How long a token lives when its service does not say.
const DEFAULT_LIFE: Duration = Duration::from_secs(60);
/// How long we believe in a token at most.
const MAX_LIFE: Duration = Duration::from_secs(24 * 3600);
const CLIENT_ID: &str = "tierce";

/// The tokens for one registry.
#[derive(Default)]
pub(super) struct Tokens {
    live: Mutex<Vec<Token>>,
    /// Held while a token is fetched, so that calls that start together share one.
    fetching: tokio::sync::Mutex<()>,
}

struct Token {
    scopes: Scopes,
    header: HeaderValue,
    /// When to stop using it, somewhat before it expires.
    renew_at: Instant,
}

/// What a token service grants.
struct Granted {
    token: Secret,
    life: Duration,
}

impl Granted {
    fn parse(body: &[u8]) -> Result<Granted, &'static str> {
        #[derive(Deserialize)]
        struct Answer {
            token: Option<String>,
            access_token: Option<String>,
            expires_in: Option<u64>,
        }
        let answer: Answer = serde_json::from_slice(body)
            .map_err(|_| "has a token service whose answer is no token")?;
        let life = answer.expires_in.map_or(DEFAULT_LIFE, Duration::from_secs);
        [answer.token, answer.access_token]
            .into_iter()
            .flatten()
            .find(|token| !token.is_empty())
            .map(|token| Granted { token: Secret::new(token), life })
            .ok_or("has a token service that sends an empty token")
    }
}

/// The value of `Authorization`.
pub(super) fn header(token: &Secret) -> HeaderValue {
    // A token with a line break is no token: it is refused by the registry, not sent.
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.reveal()))
        .unwrap_or_else(|_| HeaderValue::from_static("Bearer"));
    value.set_sensitive(true);
    value
}

impl Tokens {
    fn with<T>(&self, f: impl FnOnce(&mut Vec<Token>) -> T) -> T {
        f(&mut self.live.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A living token that serves `scopes`.
    pub(super) fn find(&self, scopes: &Scopes) -> Option<HeaderValue> {
        let now = Instant::now();
        self.with(|live| {
            live.retain(|token| token.renew_at > now);
            live.iter().find(|token| token.scopes.covers(scopes)).map(|token| token.header.clone())
        })
    }

    /// Forgets a token that was refused.
    pub(super) fn drop_token(&self, header: &HeaderValue) {
        self.with(|live| live.retain(|token| token.header != *header));
    }

    /// Fetches a token, unless another call has just done so.
    pub(super) async fn fetch(
        &self,
        transport: &Transport,
        host: &Host,
        service: &TokenService,
        credential: Option<&Credential>,
        scopes: &Scopes,
    ) -> Result<Given> {
        let _fetching = self.fetching.lock().await;
        if let Some(header) = self.find(scopes) {
            return Ok(Given::Token { header, fresh: true });
        }
        let answer = Fetch { transport, host, service, credential, scopes }.run().await?;
        let life = answer.life.clamp(DEFAULT_LIFE / 2, MAX_LIFE);
        let margin = (life / 10).min(Duration::from_secs(30));
        let header = header(&answer.token);
        let renew_at = Instant::now() + life - margin;
        let token = Token { scopes: scopes.clone(), header: header.clone(), renew_at };
        self.with(|live| live.push(token));
        Ok(Given::Token { header, fresh: true })
    }
}

struct Fetch<'a> {
    transport: &'a Transport,
    host: &'a Host,
    service: &'a TokenService,
    credential: Option<&'a Credential>,
    scopes: &'a Scopes,
}

impl Fetch<'_> {
    async fn run(&self) -> Result<Granted> {
        let realm = self.realm().await?;
        match self.credential {
            None => self.get(realm, None).await,
            Some(Credential::Password { username, password }) => {
                let got = self.get(realm.clone(), Some((username, password))).await;
                match got {
                    // A service that knows OAuth2's way alone.
                    Err(Error::Status {
                        status: StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_FOUND,
                        ..
                    }) => {
                        let grant = [
                            ("grant_type", "password"),
                            ("username", username),
                            ("password", password.reveal()),
                        ];
                        self.post(realm, &grant).await
                    }
                    other => other,
                }
            }
            Some(Credential::IdentityToken(token) | Credential::RegistryToken(token)) => {
                let grant = [("grant_type", "refresh_token"), ("refresh_token", token.reveal())];
                self.post(realm, &grant).await
            }
        }
    }

    fn call(&self) -> Call {
        Call {
            operation: "get a token for",
            object: self.scopes.repository().unwrap_or("the registry").to_owned(),
            place: self.host.registry.clone(),
        }
    }

    async fn realm(&self) -> Result<Url> {
        let base = &self.host.base(&self.transport.clients).await?.url;
        let realm = base
            .join(&self.service.realm)
            .map_err(|_| Error::protocol(&self.call(), "names a token realm that is no address"))?;
        origin::check(base, &realm, Pointer::Realm)
            .and_then(|()| {
                let strange = realm.host() != base.host() && !origin::is_loopback(&realm);
                if self.credential.is_some() && realm.scheme() == "http" && strange {
                    return Err("credentials go to another host over TLS only");
                }
                Ok(())
            })
            .map_err(|reason| Error::RefusedTarget {
                call: self.call(),
                kind: "a token realm",
                target: origin::printable(&realm),
                reason,
            })?;
        Ok(realm)
    }

    async fn get(&self, mut realm: Url, user: Option<(&String, &Secret)>) -> Result<Granted> {
        {
            let mut query = realm.query_pairs_mut();
            if let Some(service) = &self.service.service {
                query.append_pair("service", service);
            }
            for scope in self.scopes.words() {
                query.append_pair("scope", &scope);
            }
            if let Some((username, _)) = user {
                query.append_pair("account", username);
            }
        }
        let mut request = self.request(Method::GET, realm)?;
        if let Some((username, password)) = user {
            request = request.header(header::AUTHORIZATION, basic::header(username, password));
        }
        self.exchange(request).await
    }

    async fn post(&self, realm: Url, grant: &[(&str, &str)]) -> Result<Granted> {
        let scopes = self.scopes.words().collect::<Vec<_>>().join(" ");
        let mut pairs = grant.to_vec();
        pairs.push(("client_id", CLIENT_ID));
        pairs.extend(self.service.service.as_deref().map(|service| ("service", service)));
        pairs.extend((!scopes.is_empty()).then_some(("scope", &*scopes)));
        let request = self
            .request(Method::POST, realm)?
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form(&pairs));
        self.exchange(request).await
    }

    fn request(&self, method: Method, url: Url) -> Result<reqwest::RequestBuilder> {
        let security = self.transport.security(self.host, &url);
        Ok(self.transport.clients.get(security)?.request(method, url))
    }

    async fn exchange(&self, request: reqwest::RequestBuilder) -> Result<Granted> {
        let call = self.call();
        let idle = self.transport.idle();
        let response = tokio::time::timeout(idle, request.send())
            .await
            .map_err(|_| Error::Idle { call: call.clone(), after: idle })?
            .map_err(|e| Error::connection(&call, e))?;
        let status = response.status();
        if status.is_redirection() {
            // Credentials would have to go along.
            return Err(Error::protocol(&call, "has a token service that redirects"));
        }
        if !status.is_success() {
            return Err(match self.transport.status_error(&call, response).await {
                Error::Status {
                    call,
                    status: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN,
                    errors,
                    ..
                } => Error::Unauthorized { call, given: self.credential.is_some(), errors },
                other => other,
            });
        }
        let body = zeroize::Zeroizing::new(self.transport.read(&call, response, MAX_ANSWER).await?);
        Granted::parse(&body).map_err(|reason| Error::protocol(&call, reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_under_two_names() {
        for (body, expected) in [
            (r#"{"token":"a"}"#, Some(("a", 60))),
            (r#"{"token":"","access_token":"b","expires_in":300}"#, Some(("b", 300))),
            (r#"{"token":""}"#, None),
            ("{}", None),
            ("<html>", None),
        ] {
            let granted = Granted::parse(body.as_bytes()).ok();
            let found = granted.as_ref().map(|g| (g.token.reveal(), g.life.as_secs()));
            assert_eq!(found, expected, "{body}");
        }
    }
}
