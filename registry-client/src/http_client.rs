//! The HTTP clients: one for plain HTTP, and one for TLS that is made when TLS is first used.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use reqwest::{Certificate, Identity, NoProxy, Proxy};

use crate::config::{Config, HostTls, TrustRoots};
use crate::dns::Resolver;
use crate::{Error, Result};

/// Which of the clients a request goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Security {
    Plain,
    Verified,
    Unverified,
}

/// The clients of one configuration.
pub(crate) struct HttpClients {
    config: Config,
    resolver: Resolver,
    plain: OnceLock<reqwest::Client>,
    verified: OnceLock<reqwest::Client>,
    unverified: OnceLock<reqwest::Client>,
    /// Those for registries with certificates of their own.
    own: Mutex<Vec<(HostTls, Security, reqwest::Client)>>,
}

impl HttpClients {
    pub(crate) fn new(config: Config) -> HttpClients {
        HttpClients {
            config,
            resolver: Resolver::default(),
            plain: OnceLock::new(),
            verified: OnceLock::new(),
            unverified: OnceLock::new(),
            own: Mutex::default(),
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// The client for a server with these certificates of its own.
    pub(crate) fn of(&self, tls: &HostTls, security: Security) -> Result<reqwest::Client> {
        if security == Security::Plain || *tls == HostTls::default() {
            return self.get(security).cloned();
        }
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((.., made)) = own.iter().find(|(of, how, _)| of == tls && *how == security) {
            return Ok(made.clone());
        }
        let made = self.build(security, Some(tls))?;
        own.push((tls.clone(), security, made.clone()));
        Ok(made)
    }

    /// The client for all others.
    pub(crate) fn get(&self, security: Security) -> Result<&reqwest::Client> {
        let cell = match security {
            Security::Plain => &self.plain,
            Security::Verified => &self.verified,
            Security::Unverified => &self.unverified,
        };
        if let Some(made) = cell.get() {
            return Ok(made);
        }
        let made = self.build(security, None)?;
        Ok(cell.get_or_init(|| made))
    }

    fn build(&self, security: Security, tls: Option<&HostTls>) -> Result<reqwest::Client> {
        let config = &self.config;
        let mut trusted = config.roots.clone();
        trusted.extra_files.extend(tls.into_iter().flat_map(|tls| tls.roots.clone()));
        // Loading some hundred certificates takes longer than a small request: only for TLS.
        let roots = match security {
            Security::Verified => load_roots(&trusted)?,
            Security::Plain | Security::Unverified => Vec::new(),
        };
        let mut builder = reqwest::Client::builder()
            .tls_certs_only(roots)
            .tls_danger_accept_invalid_certs(security == Security::Unverified)
            .user_agent(&config.user_agent)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            // A blob a connection: in HTTP/2, blobs that are open but not read would use up the
            // connection's window, and the one that is read would starve.
            .http1_only()
            .connect_timeout(config.timeouts.connect)
            .pool_max_idle_per_host(config.requests_per_host.max(1))
            .tcp_nodelay(true)
            .dns_resolver(self.resolver.clone())
            .no_proxy();
        if let Some((certificate, key)) = tls.and_then(|tls| tls.identity.as_ref()) {
            builder = builder.identity(load_identity(certificate, key)?);
        }
        for proxy in proxies(config)? {
            builder = builder.proxy(proxy);
        }
        builder.build().map_err(|e| Error::Setup { what: "the HTTP client", source: Box::new(e) })
    }
}

fn proxies(config: &Config) -> Result<Vec<Proxy>> {
    let direct = format!("localhost,127.0.0.0/8,::1,{}", config.proxies.none_for);
    let with = |proxy: reqwest::Result<Proxy>| match proxy {
        Ok(proxy) => Ok(proxy.no_proxy(NoProxy::from_string(&direct))),
        Err(e) => Err(Error::Setup { what: "the proxy", source: Box::new(e.without_url()) }),
    };
    let http = config.proxies.http.as_deref().map(|url| with(Proxy::http(url)));
    let https = config.proxies.https.as_deref().map(|url| with(Proxy::https(url)));
    http.into_iter().chain(https).collect()
}

fn load_identity(certificate: &Path, key: &Path) -> Result<Identity> {
    let failed = |source| Error::Setup { what: "the client's certificate", source };
    let read = |path: &Path| {
        fs::read(path).map_err(|source| {
            failed(Box::new(oci::Error::io("read", path.display().to_string(), source)))
        })
    };
    let pem = [read(certificate)?, b"\n".to_vec(), read(key)?].concat();
    Identity::from_pem(&pem).map_err(|e| failed(Box::new(e)))
}

fn load_roots(roots: &TrustRoots) -> Result<Vec<Certificate>> {
    let failed = |source| Error::Setup { what: "the root certificates", source };
    let parse = |pem: &[u8]| Certificate::from_pem_bundle(pem).map_err(|e| failed(Box::new(e)));
    let system = roots.system_bundles.iter().find_map(|path| fs::read(path).ok());
    let mut all = match system {
        Some(pem) => parse(&pem)?,
        None => Vec::new(),
    };
    if all.is_empty() {
        for der in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
            all.push(Certificate::from_der(der).map_err(|e| failed(Box::new(e)))?);
        }
    }
    for path in &roots.extra_files {
        let pem = fs::read(path).map_err(|source| {
            failed(Box::new(oci::Error::io("read", path.display().to_string(), source)))
        })?;
        all.extend(parse(&pem)?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(bundles: &[&str], extra: &[&str]) -> TrustRoots {
        let paths = |names: &[&str]| names.iter().map(Into::into).collect();
        TrustRoots { system_bundles: paths(bundles), extra_files: paths(extra) }
    }

    #[test]
    fn a_machine_without_certificates_has_the_built_in_ones() {
        let built_in = load_roots(&roots(&["/nonexistent"], &[])).unwrap();
        assert!(built_in.len() > 50, "{}", built_in.len());
        let config = Config { roots: roots(&["/nonexistent"], &[]), ..Config::default() };
        let clients = HttpClients::new(config);
        for security in [Security::Plain, Security::Verified, Security::Unverified] {
            clients.get(security).unwrap();
        }
    }

    #[test]
    fn an_extra_file_must_exist() {
        let error = load_roots(&roots(&[], &["/nonexistent/ca.pem"])).unwrap_err();
        assert_eq!(error.to_string(), "set up the root certificates");
    }
}
