//! Who may do what. A request says who it comes from, by a password, a token or a signed claim;
//! rules say what that one may do in which repositories. Nothing is allowed that no rule allows.

mod bearer;
mod challenge;
mod password;
mod rule;

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;

pub use self::bearer::Issuer;
pub use self::challenge::TokenSecret;
pub(crate) use self::challenge::{Secure, answer_token, unauthorized};
pub use self::password::Passwords;
pub use self::rule::{Actions, Rule, Who};
use crate::name::Repository;

/// What a server knows of those who come to it.
#[derive(Debug, Default)]
pub struct Access {
    /// Users and what their passwords hash to.
    pub passwords: Passwords,
    /// Tokens that stand for a user, `(token, user)`; to be sent as a bearer token or as a password.
    pub tokens: Vec<(String, String)>,
    /// Who else signs tokens.
    pub issuer: Option<Issuer>,
    /// What is allowed. Of several rules that fit, each adds what it allows.
    pub rules: Vec<Rule>,
    /// What the tokens that we give are signed with. Servers that share it take each other's.
    pub secret: TokenSecret,
}

/// Who sends a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Identity {
    Anonymous,
    User(String),
    /// What an issuer says the bearer may do.
    Granted {
        subject: String,
        grants: Arc<Vec<Rule>>,
    },
}

/// What is wrong with credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rejected;

/// One who was let in.
#[derive(Clone)]
pub(crate) struct Caller {
    identity: Identity,
    /// `None` where everybody may do everything.
    access: Option<Arc<Access>>,
}

impl Access {
    /// Who sends a request with these headers.
    pub(crate) async fn identify(&self, headers: &HeaderMap) -> Result<Identity, Rejected> {
        let Some(value) = headers.get(AUTHORIZATION) else { return Ok(Identity::Anonymous) };
        let (scheme, rest) =
            value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(Rejected)?;
        if scheme.eq_ignore_ascii_case("bearer") {
            return self.bearer(rest.trim());
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(Rejected);
        }
        let decoded = STANDARD.decode(rest.trim()).map_err(|_| Rejected)?;
        let text = String::from_utf8(decoded).map_err(|_| Rejected)?;
        let (user, password) = text.split_once(':').ok_or(Rejected)?;
        if let Some(user) = self.token(password) {
            return Ok(Identity::User(user.to_owned()));
        }
        let right = self.passwords.verify(user, password).await;
        if right { Ok(Identity::User(user.to_owned())) } else { Err(Rejected) }
    }

    fn bearer(&self, token: &str) -> Result<Identity, Rejected> {
        if let Some(user) = self.token(token) {
            return Ok(Identity::User(user.to_owned()));
        }
        if let Some(identity) = self.secret.open(token) {
            return Ok(identity);
        }
        self.issuer.as_ref().and_then(|issuer| issuer.verify(token)).ok_or(Rejected)
    }

    /// The user of a static token. What is compared are hashes: they tell nothing by their timing.
    fn token(&self, text: &str) -> Option<&str> {
        let given = digest(&SHA256, text.as_bytes());
        let known = |token: &str| digest(&SHA256, token.as_bytes()).as_ref() == given.as_ref();
        self.tokens.iter().find(|(token, _)| known(token)).map(|(_, user)| user.as_str())
    }

    fn allows(&self, identity: &Identity, repository: Option<&str>, wanted: Actions) -> bool {
        let fits = |rule: &&Rule| repository.is_none_or(|name| rule.repositories.matches(name));
        let allowed = match identity {
            Identity::Granted { grants, .. } => {
                grants.iter().filter(fits).fold(Actions::NONE, |sum, rule| sum | rule.actions)
            }
            _ => {
                let user = match identity {
                    Identity::User(user) => Some(user.as_str()),
                    _ => None,
                };
                let rules = self.rules.iter().filter(|rule| rule.who.is(user));
                rules.filter(fits).fold(Actions::NONE, |sum, rule| sum | rule.actions)
            }
        };
        allowed.contain(wanted)
    }

    /// Whether somebody without a name may do anything at all.
    fn knows_anonymous(&self) -> bool {
        self.allows(&Identity::Anonymous, None, Actions::PULL)
    }
}

impl Caller {
    /// One where there is nothing to be checked.
    pub(crate) fn anybody() -> Caller {
        Caller { identity: Identity::Anonymous, access: None }
    }

    pub(crate) fn new(identity: Identity, access: Arc<Access>) -> Caller {
        Caller { identity, access: Some(access) }
    }

    /// Whether this one may do that in a repository.
    pub(crate) fn may(&self, wanted: Actions, repository: &Repository) -> bool {
        let allows =
            |access: &Arc<Access>| access.allows(&self.identity, Some(repository.as_str()), wanted);
        self.access.as_ref().is_none_or(allows)
    }

    /// Whether all repositories are open to this one's reading.
    pub(crate) fn reads_all(&self) -> bool {
        let Some(access) = &self.access else { return true };
        access.rules.iter().any(|rule| {
            let user = match &self.identity {
                Identity::User(user) => Some(user.as_str()),
                _ => None,
            };
            rule.who.is(user)
                && rule.repositories.is_everything()
                && rule.actions.contain(Actions::PULL)
                && !matches!(self.identity, Identity::Granted { .. })
        })
    }

    /// Whether this one said a name.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.identity == Identity::Anonymous
    }

    /// The name, for the log.
    pub(crate) fn name(&self) -> &str {
        match &self.identity {
            Identity::Anonymous => "-",
            Identity::User(user) => user,
            Identity::Granted { subject, .. } => subject,
        }
    }
}
