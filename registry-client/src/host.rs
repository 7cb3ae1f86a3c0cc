//! One registry: how to reach it and what is known about it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::sync::{OnceCell, Semaphore};
use url::Url;

use crate::auth::{Authenticator, Credentials};
use crate::config::{HostRules, HostTls};
use crate::error::{Call, Error};
use crate::http_client::{HttpClients, Security};
use crate::origin::is_loopback;
use crate::retry::{Pause, is_untrusted};
use crate::routes::{HostSettings, Scheme};
use crate::{Config, RateLimit, Result};

/// What is shared by all calls to one registry.
pub(crate) struct Host {
    /// The registry's name as references write it.
    pub(crate) registry: String,
    pub(crate) auth: Authenticator,
    pub(crate) pause: Pause,
    pub(crate) permits: Semaphore,
    /// Held while a list of referrers that stands under a tag is changed.
    pub(crate) referrers: tokio::sync::Mutex<()>,
    candidates: Vec<Base>,
    base: OnceCell<Base>,
    answered: AtomicBool,
    /// How it is spoken to, by its own settings.
    settings: HostSettings,
    headers: HeaderMap,
    /// Whether it stands in for another, which will be asked when it fails.
    pub(crate) is_mirror: bool,
    /// Whether it could not be reached.
    absent: AtomicBool,
    /// Whether it took amiss that it was asked for a blob of any repository.
    mounts_nowhere: AtomicBool,
    /// What it said last of how much it lets us pull.
    rate_limit: Mutex<Option<RateLimit>>,
}

/// Where a registry is, and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) url: Url,
    pub(crate) security: Security,
}

impl Host {
    pub(crate) fn new(
        registry: &str,
        settings: HostSettings,
        is_mirror: bool,
        config: &Config,
        credentials: Arc<dyn Credentials>,
    ) -> Result<Host> {
        let mut headers = HeaderMap::new();
        for (name, value) in &settings.headers {
            let failed = |source| Error::Setup { what: "a header of the registry's", source };
            let name = HeaderName::try_from(name).map_err(|e| failed(e.into()))?;
            headers.append(name, HeaderValue::try_from(value).map_err(|e| failed(e.into()))?);
        }
        Ok(Host {
            registry: registry.to_owned(),
            auth: Authenticator::new(registry, credentials),
            pause: Pause::default(),
            permits: Semaphore::new(config.requests_per_host.max(1)),
            referrers: tokio::sync::Mutex::new(()),
            candidates: candidates(registry, &settings, &config.hosts)?,
            base: OnceCell::new(),
            answered: AtomicBool::new(false),
            settings,
            headers,
            is_mirror,
            absent: AtomicBool::new(false),
            mounts_nowhere: AtomicBool::new(false),
            rate_limit: Mutex::default(),
        })
    }

    /// Whether it is on this machine, by its name.
    pub(crate) fn is_here(&self) -> bool {
        self.candidates.iter().all(|base| is_loopback(&base.url))
    }

    /// Whether it may be asked for a blob of any repository.
    pub(crate) fn may_mount_anywhere(&self) -> bool {
        !self.mounts_nowhere.load(Ordering::Relaxed)
    }

    pub(crate) fn set_mounts_nowhere(&self) {
        self.mounts_nowhere.store(true, Ordering::Relaxed);
    }

    /// What it said last of how much it lets us pull.
    pub(crate) fn rate_limit(&self) -> Option<RateLimit> {
        *self.rate_limit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note_rate_limit(&self, headers: &HeaderMap) {
        if let Some(limit) = RateLimit::of(headers) {
            *self.rate_limit.lock().unwrap_or_else(PoisonError::into_inner) = Some(limit);
        }
    }

    /// Whether the host ever answered.
    pub(crate) fn answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    pub(crate) fn set_answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// Whether it was found that it cannot be reached.
    pub(crate) fn is_absent(&self) -> bool {
        self.absent.load(Ordering::Relaxed)
    }

    pub(crate) fn set_absent(&self) {
        self.absent.store(true, Ordering::Relaxed);
    }

    /// The headers that every request to it has.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Its own certificates.
    pub(crate) fn tls(&self) -> &HostTls {
        &self.settings.tls
    }

    /// Whether its certificate need not be valid.
    pub(crate) fn is_insecure(&self, rules: &HostRules) -> bool {
        rules.all_insecure || self.settings.insecure || rules.insecure.contains(&self.registry)
    }

    /// The address of a path of the API, which begins with `/v2`.
    pub(crate) fn url(&self, base: &Url, path: &str) -> Result<Url> {
        let root = self.settings.root.as_deref();
        let joined = match (root, path.strip_prefix("/v2")) {
            (Some(root), Some(rest)) => base.join(&format!("{root}{rest}")),
            _ => base.join(path),
        };
        let mut url = joined
            .map_err(|e| Error::Setup { what: "the request's address", source: Box::new(e) })?;
        if let Some(namespace) = &self.settings.namespace {
            url.query_pairs_mut().append_pair("ns", namespace);
        }
        Ok(url)
    }

    /// Where the registry is, if that is known by now.
    pub(crate) fn known_base(&self) -> Option<&Base> {
        self.base.get()
    }

    /// Where the registry is likely to be, if it is on this machine and has not answered yet.
    pub(crate) fn presumed(&self) -> Option<&Base> {
        let is_open = self.base.get().is_none() && self.candidates.len() > 1;
        // Headers of its own are for a server that is known to be it.
        let is_open = is_open && self.headers.is_empty();
        self.candidates.first().filter(|base| is_open && base.security == Security::Plain)
    }

    /// The registry answered there.
    pub(crate) fn settle(&self, base: &Base) {
        // Whoever was faster has found the same.
        let _ = self.base.set(base.clone());
    }

    /// Where the registry is. Asks it only when there is a choice.
    pub(crate) async fn base(&self, clients: &HttpClients) -> Result<&Base> {
        self.base
            .get_or_try_init(async || match &self.candidates[..] {
                [only] => Ok(only.clone()),
                candidates => self.probe(clients, candidates).await,
            })
            .await
    }

    async fn probe(&self, clients: &HttpClients, candidates: &[Base]) -> Result<Base> {
        let (mut doubtful, mut first_error) = (None, None);
        for base in candidates {
            match self.ping(clients, base).await {
                // What a TLS server says to a client that speaks plain HTTP; or a plain server
                // that does not like the question.
                Ok(StatusCode::BAD_REQUEST) if base.security == Security::Plain => {
                    doubtful = Some(base.clone());
                }
                Ok(_) => return Ok(base.clone()),
                Err(error) if is_about_certificate(&error) => return Err(error),
                Err(error) => {
                    let nobody = matches!(error, Error::Connection { connecting: true, .. });
                    let plain = base.security == Security::Plain;
                    first_error.get_or_insert(error);
                    if plain && nobody {
                        // Nobody listens: another scheme will not help.
                        break;
                    }
                }
            }
        }
        doubtful.ok_or_else(|| {
            first_error.unwrap_or_else(|| {
                Error::protocol(&self.ping_call(), "answers neither plain HTTP nor TLS")
            })
        })
    }

    async fn ping(&self, clients: &HttpClients, base: &Base) -> Result<StatusCode> {
        let call = self.ping_call();
        let url = self.url(&base.url, "/v2/")?;
        let client = clients.of(&self.settings.tls, base.security)?;
        let sent = client.get(url).headers(self.headers.clone()).send();
        let idle = clients.config().timeouts.idle;
        let response = tokio::time::timeout(idle, sent)
            .await
            .map_err(|_| Error::Idle { call: call.clone(), after: idle })?
            .map_err(|e| Error::connection(&call, e))?;
        if response.status() == StatusCode::UNAUTHORIZED {
            self.auth.learn(response.headers());
        }
        Ok(response.status())
    }

    fn ping_call(&self) -> Call {
        Call { operation: "reach", object: "the registry".into(), place: self.registry.clone() }
    }
}

fn is_about_certificate(error: &Error) -> bool {
    matches!(error, Error::Connection { source, .. } if is_untrusted(source.as_ref()))
}

fn candidates(registry: &str, settings: &HostSettings, rules: &HostRules) -> Result<Vec<Base>> {
    // Docker Hub's name is not the name of its server.
    let address = match (&settings.address, registry) {
        (Some(address), _) => address,
        (None, "docker.io" | "index.docker.io") => "registry-1.docker.io",
        (None, other) => other,
    };
    let base = |scheme: &str, security| match format!("{scheme}://{address}/").parse::<Url>() {
        Ok(url) => Ok(Base { url, security }),
        Err(e) => Err(Error::Setup { what: "the registry's address", source: Box::new(e) }),
    };
    let plain = base("http", Security::Plain)?;
    let insecure = rules.all_insecure || settings.insecure || rules.insecure.contains(registry);
    let tls = base("https", if insecure { Security::Unverified } else { Security::Verified })?;
    Ok(if rules.plain_http.contains(registry) || settings.scheme == Scheme::Plain {
        vec![plain]
    } else if settings.scheme == Scheme::Tls {
        vec![tls]
    } else if is_loopback(&plain.url) {
        vec![plain, tls]
    } else if insecure {
        vec![tls, plain]
    } else {
        vec![tls]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_left_only_where_it_is_allowed() {
        let rules = HostRules {
            plain_http: ["plain.lan:5000".to_owned()].into(),
            insecure: ["self-signed.lan".to_owned()].into(),
            ..HostRules::default()
        };
        for (registry, expected) in [
            ("docker.io", "https://registry-1.docker.io/ Verified"),
            ("ghcr.io", "https://ghcr.io/ Verified"),
            ("10.0.0.1:5000", "https://10.0.0.1:5000/ Verified"),
            ("plain.lan:5000", "http://plain.lan:5000/ Plain"),
            (
                "self-signed.lan",
                "https://self-signed.lan/ Unverified, http://self-signed.lan/ Plain",
            ),
            ("localhost", "http://localhost/ Plain, https://localhost/ Verified"),
            ("[::1]:5000", "http://[::1]:5000/ Plain, https://[::1]:5000/ Verified"),
        ] {
            let found: Vec<_> = candidates(registry, &HostSettings::default(), &rules)
                .unwrap()
                .into_iter()
                .map(|base| format!("{} {:?}", base.url, base.security))
                .collect();
            assert_eq!(found.join(", "), expected, "{registry}");
        }
    }
}
