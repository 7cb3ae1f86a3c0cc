//! Hosts of one registry as containerd has them (containerd, docs/hosts.md): `hosts.toml` in a
//! directory per registry.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use oci::Reference;
use serde::Deserialize;
use url::Url;

use super::files::{invalid, text};
use super::{HostSettings, Scheme};
use crate::Result;

/// The hosts that a registry has.
#[derive(Debug, Clone, Default)]
pub(super) struct Hosts {
    pub(super) mirrors: Vec<Mirror>,
    /// The registry's own server.
    pub(super) server: HostSettings,
}

/// A host that is asked before the registry itself.
#[derive(Debug, Clone)]
pub(super) struct Mirror {
    pub(super) settings: HostSettings,
    /// Whether it knows what tags mean, and not blobs and digests alone.
    resolves: bool,
}

impl Mirror {
    /// Whether it may be asked for an image.
    pub(super) fn has(&self, name: &Reference) -> bool {
        self.resolves || name.digest().is_some()
    }
}

#[derive(Deserialize)]
struct File {
    server: Option<String>,
    #[serde(default)]
    host: IndexMap<String, Options>,
    #[serde(flatten)]
    of_server: Options,
}

#[derive(Deserialize)]
struct Options {
    capabilities: Option<Vec<String>>,
    ca: Option<OneOrMany>,
    client: Option<Clients>,
    #[serde(default)]
    skip_verify: bool,
    #[serde(default)]
    override_path: bool,
    #[serde(default)]
    header: IndexMap<String, OneOrMany>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Clients {
    One(String),
    /// Each a file with both, or a certificate and its key.
    Many(Vec<OneOrMany>),
}

impl OneOrMany {
    fn all(self) -> Vec<String> {
        match self {
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many,
        }
    }
}

impl Hosts {
    /// Reads `hosts.toml` in the directory of a registry, if it is there.
    pub(super) fn read(directory: &Path, registry: &str) -> Result<Option<Hosts>> {
        let path = directory.join("hosts.toml");
        let Some(text) = text(&path)? else { return Ok(None) };
        let failed = |reason: &dyn std::fmt::Display| invalid(&path, reason);
        let file: File = toml::from_str(&text).map_err(|error| failed(&error))?;
        let mut hosts = Hosts::default();
        for (url, options) in file.host {
            let can = |what: &str| match &options.capabilities {
                None => true,
                Some(all) => all.iter().any(|capability| capability == what),
            };
            let (pulls, resolves) = (can("pull"), can("resolve"));
            let mut settings = options.settings(&url, directory).map_err(|e| failed(&e))?;
            if settings.address.as_deref() != Some(registry) {
                settings.namespace = Some(registry.to_owned());
            }
            if pulls {
                hosts.mirrors.push(Mirror { settings, resolves });
            }
        }
        let usual = match registry {
            "docker.io" => "https://registry-1.docker.io",
            _ => "",
        };
        let server = file.server.as_deref().unwrap_or(usual);
        hosts.server = file.of_server.settings(server, directory).map_err(|e| failed(&e))?;
        Ok(Some(hosts))
    }
}

impl Options {
    /// How a host is spoken to, whose URL is empty if it is the registry's own.
    fn settings(self, url: &str, directory: &Path) -> Result<HostSettings, String> {
        let file = |name: String| directory.join(name);
        let mut settings = HostSettings { insecure: self.skip_verify, ..HostSettings::default() };
        settings.tls.roots = self.ca.into_iter().flat_map(OneOrMany::all).map(file).collect();
        settings.tls.identity = self.client.and_then(|client| identity(client, directory));
        for (name, values) in self.header {
            settings.headers.extend(values.all().into_iter().map(|value| (name.clone(), value)));
        }
        if url.is_empty() {
            return Ok(settings);
        }
        let full = if url.contains("://") { url.to_owned() } else { format!("https://{url}") };
        let parsed: Url = full.parse().map_err(|_| format!("`{url}` is no address"))?;
        settings.scheme = match parsed.scheme() {
            "http" => Scheme::Plain,
            "https" => Scheme::Tls,
            _ => return Err(format!("`{url}` is neither http nor https")),
        };
        let host = parsed.host_str().ok_or_else(|| format!("`{url}` names no host"))?;
        let host = if host == "docker.io" { "registry-1.docker.io" } else { host };
        settings.address = Some(match parsed.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        });
        let path = parsed.path().trim_end_matches('/');
        settings.root = match path {
            path if self.override_path || path.ends_with("/v2") => Some(path.to_owned()),
            "" => None,
            path => Some(format!("{path}/v2")),
        };
        Ok(settings)
    }
}

/// The first certificate to be known by; a single file holds its key, too.
fn identity(client: Clients, directory: &Path) -> Option<(PathBuf, PathBuf)> {
    let mut pair = match client {
        Clients::One(file) => vec![file],
        Clients::Many(all) => all.into_iter().next()?.all(),
    }
    .into_iter()
    .map(|name| directory.join(name));
    let certificate = pair.next()?;
    let key = pair.next().filter(|key| key != directory).unwrap_or_else(|| certificate.clone());
    Some((certificate, key))
}
