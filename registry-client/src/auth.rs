//! Who we are: credentials, and the proofs that registries want of them.

mod basic;
mod bearer;
mod challenge;
pub mod config;
mod helper;
mod login;
mod scopes;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use http::header::{HeaderMap, HeaderValue};
use zeroize::Zeroizing;

pub(crate) use scopes::{Access, Scopes};

pub use basic::basic_authorization;
pub use config::{ConfigFile, ConfigFiles};
pub use login::{erase_login, store_login};

use crate::Result;
use crate::host::Host;
use crate::transport::Transport;
use bearer::Tokens;
use challenge::Challenge;

/// A text that is never printed, and wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a secret.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(Zeroizing::new(text.into()))
    }

    /// The text itself. Whoever calls this must not print or keep it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What proves who we are to a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A user with a password or an access token in its place.
    Password {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A refresh token, exchanged for access tokens at the registry's token service.
    IdentityToken(Secret),
    /// A token that the registry itself takes.
    RegistryToken(Secret),
}

/// A place that knows credentials. It is asked only after a registry wanted a proof.
pub trait Credentials: Send + Sync {
    /// The credential for a repository of a registry (both as references name them), if there is
    /// one; without a repository, the one for the registry.
    ///
    /// # Errors
    /// If the place cannot be read. No credential is no error.
    fn find<'a>(
        &'a self,
        registry: &'a str,
        repository: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<Credential>>>;
}

/// Knows no credentials.
#[derive(Debug, Clone, Copy)]
pub struct Anonymous;

impl Credentials for Anonymous {
    fn find<'a>(
        &'a self,
        _registry: &'a str,
        _repository: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<Credential>>> {
        Box::pin(async { Ok(None) })
    }
}

/// One credential for one registry (`--creds`, `login`).
#[derive(Debug, Clone)]
pub struct OneCredential {
    /// The registry, as references name it.
    pub registry: String,
    /// Who we are there.
    pub credential: Credential,
}

impl Credentials for OneCredential {
    fn find<'a>(
        &'a self,
        registry: &'a str,
        _repository: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<Credential>>> {
        let found = (registry == self.registry).then(|| self.credential.clone());
        Box::pin(async { Ok(found) })
    }
}

/// Places that are asked in their order.
pub struct FirstOf(pub Vec<Arc<dyn Credentials>>);

impl Credentials for FirstOf {
    fn find<'a>(
        &'a self,
        registry: &'a str,
        repository: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<Credential>>> {
        Box::pin(async move {
            for place in &self.0 {
                if let Some(found) = place.find(registry, repository).await? {
                    return Ok(Some(found));
                }
            }
            Ok(None)
        })
    }
}

/// What goes with a request.
pub(crate) enum Given {
    /// Nothing: the registry has not asked yet.
    Unasked,
    /// Nothing: it asked, and we have nothing to give.
    Nothing,
    /// A password.
    Password(HeaderValue),
    /// A token; `fresh` if it was fetched for this very request.
    Token { header: HeaderValue, fresh: bool },
}

impl Given {
    /// The value of `Authorization`.
    pub(crate) fn header(&self) -> Option<&HeaderValue> {
        match self {
            Given::Unasked | Given::Nothing => None,
            Given::Password(header) | Given::Token { header, .. } => Some(header),
        }
    }
}

/// Proves to one registry who we are.
pub(crate) struct Authenticator {
    registry: String,
    credentials: Arc<dyn Credentials>,
    challenge: Mutex<Option<Challenge>>,
    tokens: Tokens,
    has_credentials: AtomicBool,
}

impl Authenticator {
    pub(crate) fn new(registry: &str, credentials: Arc<dyn Credentials>) -> Authenticator {
        Authenticator {
            registry: registry.to_owned(),
            credentials,
            challenge: Mutex::new(None),
            tokens: Tokens::default(),
            has_credentials: AtomicBool::new(false),
        }
    }

    /// Whether a credential was ever found for this registry.
    pub(crate) fn has_credentials(&self) -> bool {
        self.has_credentials.load(Ordering::Relaxed)
    }

    fn challenge(&self) -> Option<Challenge> {
        self.challenge.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the challenge out of an answer's headers; whether there was one that we can meet.
    pub(crate) fn learn(&self, headers: &HeaderMap) -> bool {
        let Some(challenge) = Challenge::choose(headers) else { return false };
        *self.challenge.lock().unwrap_or_else(PoisonError::into_inner) = Some(challenge);
        true
    }

    /// What to give along with a request that needs `scopes`.
    pub(crate) async fn authorization(
        &self,
        transport: &Transport,
        host: &Host,
        scopes: &Scopes,
    ) -> Result<Given> {
        match self.challenge() {
            None => Ok(Given::Unasked),
            Some(Challenge::Basic) => Ok(match self.credential(scopes).await? {
                Some(Credential::Password { username, password }) => {
                    Given::Password(basic::header(&username, &password))
                }
                Some(Credential::IdentityToken(_) | Credential::RegistryToken(_)) | None => {
                    Given::Nothing
                }
            }),
            Some(Challenge::Bearer(service)) => {
                if let Some(header) = self.tokens.find(scopes) {
                    return Ok(Given::Token { header, fresh: false });
                }
                let credential = self.credential(scopes).await?;
                if let Some(Credential::RegistryToken(token)) = &credential {
                    return Ok(Given::Token { header: bearer::header(token), fresh: true });
                }
                self.tokens.fetch(transport, host, &service, credential.as_ref(), scopes).await
            }
        }
    }

    /// Learns from an answer 401 to a request that carried `given`. Says whether to try again,
    /// with `scopes` widened by what the registry wants; `None` if it does not say what it wants.
    pub(crate) fn refused(
        &self,
        headers: &HeaderMap,
        given: &Given,
        scopes: &mut Scopes,
    ) -> Option<bool> {
        let learned = self.learn(headers);
        let challenge = self.challenge();
        match (given, challenge) {
            (_, None) => None,
            (Given::Unasked, Some(_)) => Some(true),
            (Given::Nothing | Given::Password(_), Some(_)) => Some(false),
            (Given::Token { header, fresh }, Some(challenge)) => {
                self.tokens.drop_token(header);
                let wanted = match challenge {
                    Challenge::Bearer(service) if learned => service.scopes,
                    _ => Scopes::default(),
                };
                let wider = !scopes.covers(&wanted);
                scopes.prepend(&wanted);
                Some(wider || !fresh)
            }
        }
    }

    async fn credential(&self, scopes: &Scopes) -> Result<Option<Credential>> {
        let found = self.credentials.find(&self.registry, scopes.repository()).await?;
        if found.is_some() {
            self.has_credentials.store(true, Ordering::Relaxed);
        }
        Ok(found)
    }
}
