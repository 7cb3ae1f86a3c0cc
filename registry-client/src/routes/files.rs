//! The machine's files about registries, of all programs that have such files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use oci::Reference;

use super::containers::Registries;
use super::{HostSettings, Place, Route, Routes, certificates, containerd};
use crate::{Error, Result};

/// Where those files are. An earlier one hides what a later one says of the same registry.
#[derive(Debug, Clone, Default)]
pub struct HostFilesAt {
    /// `registries.conf` (containers-registries.conf(5)): the first that exists counts.
    pub registries: Vec<PathBuf>,
    /// Directories of files that are added to it, in the order of their names.
    pub registries_more: Vec<PathBuf>,
    /// Directories with a directory per registry: `hosts.toml` as containerd reads it, or
    /// certificates as docker does.
    pub certs: Vec<PathBuf>,
}

/// Routes by the machine's files. Each is read when it is first needed, and once.
pub struct HostFiles {
    at: HostFilesAt,
    registries: OnceLock<Registries>,
    hosts: Mutex<HashMap<String, containerd::Hosts>>,
}

impl HostFiles {
    /// Routes by these files.
    pub fn new(at: HostFilesAt) -> HostFiles {
        HostFiles { at, registries: OnceLock::new(), hosts: Mutex::default() }
    }

    fn registries(&self) -> Result<&Registries> {
        if let Some(read) = self.registries.get() {
            return Ok(read);
        }
        let read = Registries::read(&self.at.registries, &self.at.registries_more)?;
        Ok(self.registries.get_or_init(|| read))
    }

    /// What the directories of a registry say.
    fn hosts(&self, registry: &str) -> Result<containerd::Hosts> {
        let mut known = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(read) = known.get(registry) {
            return Ok(read.clone());
        }
        let read = self.read_hosts(registry)?;
        known.insert(registry.to_owned(), read.clone());
        Ok(read)
    }

    fn read_hosts(&self, registry: &str) -> Result<containerd::Hosts> {
        // Colons are written otherwise where they cannot stand in names.
        let other = registry.rsplit_once(':').map(|(host, port)| format!("{host}_{port}_"));
        let names = [Some(registry.to_owned()), other, Some("_default".to_owned())];
        for name in names.into_iter().flatten() {
            for directory in self.at.certs.iter().map(|certs| certs.join(&name)) {
                if let Some(found) = containerd::Hosts::read(&directory, registry)? {
                    return Ok(found);
                }
                let tls = certificates::read(&directory)?;
                if tls != crate::HostTls::default() {
                    let settings = HostSettings { tls, ..HostSettings::default() };
                    return Ok(containerd::Hosts { mirrors: Vec::new(), server: settings });
                }
            }
        }
        Ok(containerd::Hosts::default())
    }
}

impl Routes for HostFiles {
    fn registry(&self, registry: &str) -> Result<HostSettings> {
        let mut settings = self.hosts(registry)?.server;
        settings.insecure |= self.registries()?.is_insecure(registry);
        Ok(settings)
    }

    fn route(&self, name: &Reference) -> Result<Route> {
        let settings = |registry: &str| Ok(self.hosts(registry)?.server);
        if let Some(route) = self.registries()?.route(name, settings)? {
            return Ok(route);
        }
        let hosts = self.hosts(name.registry())?;
        let mut route = Route::direct(name, hosts.server);
        let wanted = hosts.mirrors.into_iter().filter(|mirror| mirror.has(name));
        route.mirrors =
            wanted.map(|mirror| Place { name: name.clone(), host: mirror.settings }).collect();
        Ok(route)
    }
}

/// The text of a file; `None` if there is none, or it is not for us.
pub(super) fn text(path: &Path) -> Result<Option<String>> {
    /// How long such a file may be, in bytes.
    const LONGEST: u64 = 4 << 20;
    let read = || {
        use std::io::Read;
        let mut text = String::new();
        std::fs::File::open(path)?.take(LONGEST).read_to_string(&mut text)?;
        Ok(text)
    };
    match read() {
        Ok(text) => Ok(Some(text)),
        Err(error) if certificates::is_not_ours(&error) => Ok(None),
        Err(error) => Err(unreadable(path, error)),
    }
}

pub(super) fn unreadable(path: &Path, error: std::io::Error) -> Error {
    let source = Box::new(oci::Error::io("read", path.display().to_string(), error));
    Error::Setup { what: "the registries", source }
}

pub(super) fn invalid(path: &Path, reason: impl std::fmt::Display) -> Error {
    let message = format!("{}: {}", path.display(), reason.to_string().trim_end());
    Error::Setup { what: "the registries", source: message.into() }
}
