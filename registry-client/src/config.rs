//! What a client is told from outside.

use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::Retry;
use crate::auth::{Anonymous, Credentials};
use crate::routes::{Direct, Routes};

/// Everything that a [`Client`](crate::Client) takes from its surroundings.
#[derive(Clone)]
pub struct Config {
    /// Who we are at each registry.
    pub credentials: Arc<dyn Credentials>,
    /// Which registries are spoken to otherwise than over verified TLS.
    pub hosts: HostRules,
    /// Where names lead: mirrors, other places, certificates of single registries.
    pub routes: Arc<dyn Routes>,
    /// The value of `User-Agent`.
    pub user_agent: String,
    /// What is tried again, and for how long.
    pub retry: Retry,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// How many requests are on their way to one registry at once. Blobs on their way are not
    /// counted: their reader or sender decides how many there are.
    pub requests_per_host: usize,
    /// Whom to trust for TLS.
    pub roots: TrustRoots,
    /// The proxies to go through.
    pub proxies: Proxies,
    /// How many bytes of bodies pass in a second at most, both directions and all
    /// connections taken together.
    pub limit_rate: Option<NonZeroU64>,
    /// A directory that remembers transfers under way, so that another process goes on with what
    /// one that was killed had begun. Uploads of more than 4 MiB then go in chunks, for some
    /// registries keep nothing of a request that breaks.
    pub unfinished: Option<PathBuf>,
    /// How many parts of large blobs (6 MiB each of those over 32 MiB) are fetched ahead, each
    /// over a connection of its own; the bound of what waits in memory. 0 for none.
    pub parts_ahead: usize,
    /// Whether a blob that its registry lacks is fetched from the `https` URLs that its
    /// descriptor names: layers that must not be distributed. They get no credentials.
    pub foreign_urls: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            credentials: Arc::new(Anonymous),
            hosts: HostRules::default(),
            routes: Arc::new(Direct),
            user_agent: concat!("tierce/", env!("CARGO_PKG_VERSION")).to_owned(),
            retry: Retry::default(),
            timeouts: Timeouts::default(),
            requests_per_host: 6,
            roots: TrustRoots::default(),
            proxies: Proxies::default(),
            limit_rate: None,
            unfinished: None,
            parts_ahead: 3,
            foreign_urls: false,
        }
    }
}

/// Exceptions from verified TLS. A registry on the loopback interface needs no rule: it is spoken
/// to over plain HTTP unless it answers as a TLS server does.
#[derive(Debug, Clone, Default)]
pub struct HostRules {
    /// Registries spoken to over plain HTTP, as they stand in references (`host[:port]`).
    pub plain_http: BTreeSet<String>,
    /// Registries whose certificate is not verified, and which may speak plain HTTP as well.
    pub insecure: BTreeSet<String>,
    /// Whether all registries are taken as `insecure` (`--tls-verify=false`).
    pub all_insecure: bool,
}

/// Whom one registry's TLS trusts, and as whom it is spoken to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct HostTls {
    /// Files of certificates to trust beside those for all, as PEM.
    pub roots: Vec<PathBuf>,
    /// The files of the client's certificate and of its key, as PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// How long to wait. A transfer as a whole has no limit.
#[derive(Debug, Clone)]
pub struct Timeouts {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// For the next bytes.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts { connect: Duration::from_secs(10), idle: Duration::from_secs(60) }
    }
}

/// Root certificates. They are read when TLS is first used, and not before.
#[derive(Debug, Clone)]
pub struct TrustRoots {
    /// Bundles of PEM certificates; the first that exists is the system's. When none does (as in
    /// a small container), Mozilla's roots, which are built in, stand in for it.
    pub system_bundles: Vec<PathBuf>,
    /// More files of PEM certificates to trust; each must exist.
    pub extra_files: Vec<PathBuf>,
}

impl Default for TrustRoots {
    fn default() -> TrustRoots {
        let known = [
            "/etc/ssl/certs/ca-certificates.crt", // Debian, Alpine, Arch
            "/etc/pki/tls/certs/ca-bundle.crt",   // Fedora, RHEL
            "/etc/ssl/ca-bundle.pem",             // openSUSE
            "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // RHEL
            "/etc/ssl/cert.pem",                  // Alpine, BSD
        ];
        TrustRoots { system_bundles: known.map(PathBuf::from).to_vec(), extra_files: Vec::new() }
    }
}

/// Proxies, in the form of the customary variables. The loopback interface never goes through one.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// For `http` URLs.
    pub http: Option<String>,
    /// For `https` URLs.
    pub https: Option<String>,
    /// Hosts, domains and networks reached directly, separated by commas.
    pub none_for: String,
}

impl Proxies {
    /// Takes the proxies from variables, small letters first as curl does.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Proxies {
        let first = |names: &[&str]| {
            names.iter().find_map(|name| variable(name)).filter(|value| !value.is_empty())
        };
        Proxies {
            http: first(&["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]),
            https: first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            none_for: first(&["no_proxy", "NO_PROXY"]).unwrap_or_default(),
        }
    }
}
