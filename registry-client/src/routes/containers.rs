//! Registries as podman, buildah and skopeo have them (containers-registries.conf(5)): other
//! places for all names that begin alike.

use std::path::{Path, PathBuf};

use oci::Reference;
use serde::Deserialize;

use super::files::{invalid, text, unreadable};
use super::{HostSettings, Place, Route, certificates};
use crate::{Error, Result};

/// All that the files say.
#[derive(Debug, Default)]
pub(super) struct Registries {
    all: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    prefix: String,
    location: Option<String>,
    insecure: bool,
    blocked: bool,
    mirrors: Vec<Mirror>,
    file: PathBuf,
}

#[derive(Debug)]
struct Mirror {
    location: String,
    insecure: bool,
    serves: Serves,
}

/// Which names a mirror is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Serves {
    #[default]
    All,
    DigestOnly,
    TagOnly,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    registry: Vec<RegistryTable>,
    /// The older form.
    #[serde(default)]
    registries: Older,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RegistryTable {
    prefix: Option<String>,
    location: Option<String>,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror_by_digest_only: bool,
    #[serde(default)]
    mirror: Vec<MirrorTable>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct MirrorTable {
    location: String,
    #[serde(default)]
    insecure: bool,
    pull_from_mirror: Option<Serves>,
}

#[derive(Default, Deserialize)]
struct Older {
    #[serde(default)]
    insecure: OlderList,
    #[serde(default)]
    block: OlderList,
}

#[derive(Default, Deserialize)]
struct OlderList {
    #[serde(default)]
    registries: Vec<String>,
}

impl Registries {
    /// Reads the first of some files, and all in some directories. What comes later takes the
    /// place of what was said of the same prefix.
    pub(super) fn read(first_of: &[PathBuf], directories: &[PathBuf]) -> Result<Registries> {
        let mut read = Registries::default();
        for path in first_of {
            if let Some(text) = text(path)? {
                read.add(&text, path)?;
                break;
            }
        }
        for directory in directories {
            let list = match std::fs::read_dir(directory) {
                Ok(list) => list,
                Err(error) if certificates::is_not_ours(&error) => continue,
                Err(error) => return Err(unreadable(directory, error)),
            };
            let mut paths: Vec<PathBuf> = list.flatten().map(|entry| entry.path()).collect();
            paths.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
            paths.sort_unstable();
            for path in paths {
                if let Some(text) = text(&path)? {
                    read.add(&text, &path)?;
                }
            }
        }
        Ok(read)
    }

    fn add(&mut self, text: &str, path: &Path) -> Result<()> {
        let file: File = toml::from_str(text).map_err(|error| invalid(path, error))?;
        let older = |registries: OlderList, blocked: bool| {
            registries.registries.into_iter().map(move |prefix| RegistryTable {
                prefix: Some(prefix),
                location: None,
                insecure: !blocked,
                blocked,
                mirror_by_digest_only: false,
                mirror: Vec::new(),
            })
        };
        let Older { insecure, block } = file.registries;
        let older = older(insecure, false).chain(older(block, true));
        for table in older.chain(file.registry) {
            let entry = table.entry(path).map_err(|reason| invalid(path, reason))?;
            self.all.retain(|known| known.prefix != entry.prefix);
            self.all.push(entry);
        }
        Ok(())
    }

    /// Whether a registry as a whole needs no valid certificate.
    pub(super) fn is_insecure(&self, registry: &str) -> bool {
        self.longest(registry).is_some_and(|entry| entry.insecure)
    }

    /// Where an image is, if anything is said of it. `settings` has how registries are spoken to
    /// by other files.
    pub(super) fn route(
        &self,
        name: &Reference,
        settings: impl Fn(&str) -> Result<HostSettings>,
    ) -> Result<Option<Route>> {
        let full = name.to_string();
        let Some(entry) = self.longest(&full) else { return Ok(None) };
        if entry.blocked {
            let file = entry.file.clone();
            return Err(Error::Blocked {
                name: name.familiar(),
                prefix: entry.prefix.clone(),
                file,
            });
        }
        let place = |name: Reference, insecure: bool| {
            let mut host = settings(name.registry())?;
            host.insecure |= insecure;
            Ok(Place { name, host })
        };
        let at = |location: &str, insecure: bool| {
            let rest = &full[entry.matched(&full).unwrap_or(0)..];
            let bad = |reason: &dyn std::fmt::Display| {
                invalid(&entry.file, format!("`{location}` is no place for {full}: {reason}"))
            };
            let moved: Reference =
                format!("{location}{rest}").parse().map_err(|error: oci::Error| bad(&error))?;
            // What has neither a dot nor a port would be a part of Docker Hub.
            let first = location.split('/').next().unwrap_or_default();
            if moved.registry() == oci::DEFAULT_REGISTRY && !first.ends_with("docker.io") {
                return Err(bad(&"it does not begin with a host"));
            }
            place(moved, insecure)
        };
        let by_digest = name.digest().is_some();
        let serves = |mirror: &&Mirror| match mirror.serves {
            Serves::All => true,
            Serves::DigestOnly => by_digest,
            Serves::TagOnly => !by_digest,
        };
        let target = place(name.clone(), entry.insecure)?;
        Ok(Some(Route {
            mirrors: entry
                .mirrors
                .iter()
                .filter(serves)
                .map(|mirror| at(&mirror.location, mirror.insecure))
                .collect::<Result<_>>()?,
            origin: match &entry.location {
                Some(location) => at(location, entry.insecure)?,
                None => target.clone(),
            },
            target,
        }))
    }

    /// The entry with the longest prefix of a name.
    fn longest(&self, name: &str) -> Option<&Entry> {
        let fits = self.all.iter().filter(|entry| entry.matched(name).is_some());
        fits.max_by_key(|entry| entry.prefix.len())
    }
}

impl RegistryTable {
    fn entry(self, file: &Path) -> Result<Entry, String> {
        let trimmed = |text: String| text.trim_end_matches('/').to_owned();
        let location = self.location.map(trimmed);
        let prefix = self.prefix.map(trimmed).filter(|prefix| !prefix.is_empty());
        let prefix = prefix.or_else(|| location.clone());
        let prefix = prefix.ok_or("a registry has neither a prefix nor a location")?;
        let is_pattern = prefix.starts_with("*.");
        if prefix.contains('*') && (!is_pattern || prefix[1..].contains(['*', '/', ':'])) {
            return Err(format!("`{prefix}`: a `*` stands for the first part of a host alone"));
        }
        let only = self.mirror_by_digest_only;
        let mirror = |mirror: MirrorTable| match mirror.pull_from_mirror {
            Some(_) if only => {
                Err(format!("`{prefix}`: pull-from-mirror beside mirror-by-digest-only"))
            }
            None if only => Ok((mirror, Serves::DigestOnly)),
            serves => Ok((mirror, serves.unwrap_or_default())),
        };
        let mirrors = self.mirror.into_iter().map(mirror).map(|read| {
            let (MirrorTable { location, insecure, .. }, serves) = read?;
            Ok(Mirror { location: trimmed(location), insecure, serves })
        });
        Ok(Entry {
            mirrors: mirrors.collect::<Result<_, String>>()?,
            location: location.filter(|location| *location != prefix && !location.is_empty()),
            insecure: self.insecure,
            blocked: self.blocked,
            file: file.to_owned(),
            prefix,
        })
    }
}

impl Entry {
    /// How much of a name the prefix is, in bytes.
    fn matched(&self, name: &str) -> Option<usize> {
        if let Some(domain) = self.prefix.strip_prefix('*') {
            let host = name.split(['/', ':']).next()?;
            return (host.len() > domain.len() && host.ends_with(domain)).then_some(host.len());
        }
        let rest = name.strip_prefix(&self.prefix)?;
        let ends = rest.is_empty() || rest.starts_with(['/', ':', '@']);
        ends.then_some(self.prefix.len())
    }
}
