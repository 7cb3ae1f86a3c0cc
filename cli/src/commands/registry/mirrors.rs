//! Registries of which a served one is a mirror, asked through the client.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oci::{Descriptor, Digest, MediaType, Reference};
use registry_client::auth::{ConfigFiles, Credential, Credentials, OneCredential, Secret};
use registry_client::{Blob, Client, Config, Error, HostRules, Proxies, Retry, TrustRoots};
use registry_server::{Asked, Mirror, PulledBlob, PulledManifest, Unanswered, Upstream};
use serde::Deserialize;

use super::settings::{Span, text};
use crate::app::App;
use crate::error::{Doing, Failure};

/// How long a tag is not asked for again, unless the settings say otherwise.
const FRESH: Duration = Duration::from_secs(300);

/// A mirror as the settings have it.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Mirrored {
    #[serde(default)]
    prefix: String,
    upstream: String,
    fresh: Option<Span>,
    credentials: Option<PathBuf>,
    ca: Option<PathBuf>,
}

impl Mirrored {
    /// The mirror itself. Nobody is asked yet.
    pub(super) fn open(&self, app: &App) -> Result<Mirror, Failure> {
        let place = Place::parse(&self.upstream)?;
        // What only a request would tell is told at the start.
        Reference::new(&place.registry, &place.repository("any"), None, None)
            .doing(|| format!("invalid upstream `{}`", self.upstream))?;
        let prefix = self.prefix.trim_end_matches('/');
        if !prefix.is_empty() {
            Reference::new("localhost", prefix, None, None)
                .doing(|| format!("invalid prefix `{}` of a mirror", self.prefix))?;
        }
        Ok(Mirror {
            prefix: prefix.to_owned(),
            namespace: place.below.is_empty().then(|| place.registry.clone()),
            fresh: self.fresh.map_or(FRESH, Duration::from),
            upstream: Arc::new(Remote { client: self.client(app, &place)?, place }),
        })
    }

    fn client(&self, app: &App, place: &Place) -> Result<Client, Failure> {
        let machine = &app.machine;
        let mut hosts = HostRules::default();
        if place.plain {
            hosts.plain_http.insert(place.registry.clone());
        }
        let mut roots = TrustRoots::default();
        roots.extra_files.extend(self.ca.clone());
        Ok(Client::new(Config {
            credentials: match &self.credentials {
                Some(file) => Arc::new(password_in(file, &place.registry)?),
                None => logins(app),
            },
            hosts,
            roots,
            proxies: Proxies::from_variables(|name| machine.variable(name)),
            // Who waits is a client with a patience of its own.
            retry: Retry {
                times: 2,
                max_delay: Duration::from_secs(2),
                max_asked_delay: Duration::from_secs(5),
                ..Retry::default()
            },
            // Nothing is held in memory for who may not come for it.
            parts_ahead: 0,
            ..Config::default()
        }))
    }
}

fn logins(app: &App) -> Arc<dyn Credentials> {
    let files = [app.machine.docker_config()].into_iter().chain(app.machine.auth_files());
    Arc::new(ConfigFiles::new(files))
}

fn password_in(file: &Path, registry: &str) -> Result<OneCredential, Failure> {
    let pair = text(file)?;
    let (username, password) = pair
        .trim()
        .split_once(':')
        .ok_or_else(|| Failure::new(format!("{} is not `name:password`", file.display())))?;
    Ok(OneCredential {
        registry: registry.to_owned(),
        credential: Credential::Password {
            username: username.to_owned(),
            password: Secret::new(password),
        },
    })
}

/// Where an upstream's repositories are.
struct Place {
    registry: String,
    /// What the names of the repositories begin with there; may be empty.
    below: String,
    plain: bool,
}

impl Place {
    fn parse(text: &str) -> Result<Place, Failure> {
        let (plain, rest) = match text.split_once("://") {
            Some(("http", rest)) => (true, rest),
            Some(("https", rest)) => (false, rest),
            Some(_) => {
                return Err(Failure::new(format!("`{text}` is no http address of a registry")));
            }
            None => (false, text),
        };
        let (registry, below) = rest.split_once('/').unwrap_or((rest, ""));
        let below = below.trim_end_matches('/').to_owned();
        Ok(Place { registry: registry.to_owned(), below, plain })
    }

    fn repository(&self, name: &str) -> String {
        if self.below.is_empty() { name.to_owned() } else { format!("{}/{name}", self.below) }
    }

    fn reference(
        &self,
        name: &str,
        tag: Option<&str>,
        digest: Option<&Digest>,
    ) -> Result<Reference, Unanswered> {
        Reference::new(&self.registry, &self.repository(name), tag, digest.cloned())
            .map_err(|error| Unanswered::Failed(error.to_string()))
    }
}

/// An upstream behind the client.
struct Remote {
    client: Client,
    place: Place,
}

/// What an error of the client means to those who wait for an answer; `None` if it is one.
fn answered<T>(result: registry_client::Result<T>) -> Result<Option<T>, Unanswered> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(unanswered(&error)),
    }
}

fn unanswered(error: &Error) -> Unanswered {
    let why = crate::error::chain(error);
    match error.status().map(|status| status.as_u16()) {
        Some(401 | 403) => Unanswered::Refused(why),
        _ => Unanswered::Failed(why),
    }
}

impl Upstream for Remote {
    fn resolve<'a>(&'a self, repository: &'a str, tag: &'a str) -> Asked<'a, Option<Digest>> {
        Box::pin(async move {
            let name = self.place.reference(repository, Some(tag), None)?;
            Ok(answered(self.client.resolve(&name).await)?.map(|descriptor| descriptor.digest))
        })
    }

    fn manifest<'a>(
        &'a self,
        repository: &'a str,
        digest: &'a Digest,
    ) -> Asked<'a, Option<PulledManifest>> {
        Box::pin(async move {
            let name = self.place.reference(repository, None, Some(digest))?;
            let document = answered(self.client.manifest(&name).await)?;
            Ok(document.map(|document| PulledManifest {
                media_type: document.descriptor().media_type,
                bytes: Bytes::copy_from_slice(document.bytes()),
            }))
        })
    }

    fn tags<'a>(&'a self, repository: &'a str) -> Asked<'a, Option<Vec<String>>> {
        Box::pin(async move {
            let name = self.place.reference(repository, None, None)?;
            answered(self.client.tags(&name).await)
        })
    }

    fn referrers<'a>(&'a self, repository: &'a str, subject: &'a Digest) -> Asked<'a, Vec<Digest>> {
        Box::pin(async move {
            let name = self.place.reference(repository, None, None)?;
            let found = answered(self.client.referrers(&name, subject, None).await)?;
            Ok(found.unwrap_or_default().into_iter().map(|one| one.digest).collect())
        })
    }

    fn blob_size<'a>(&'a self, repository: &'a str, digest: &'a Digest) -> Asked<'a, Option<u64>> {
        Box::pin(async move {
            let name = self.place.reference(repository, None, None)?;
            Ok(answered(self.client.blob_size(&name, digest).await)?.flatten())
        })
    }

    fn blob<'a>(
        &'a self,
        repository: &'a str,
        digest: &'a Digest,
        size: u64,
    ) -> Asked<'a, Box<dyn PulledBlob>> {
        Box::pin(async move {
            let name = self.place.reference(repository, None, None)?;
            let wanted =
                Descriptor::new(MediaType::new("application/octet-stream"), digest.clone(), size);
            let blob = self.client.blob(&name, &wanted).await;
            Ok(Box::new(Arriving(blob.map_err(|e| unanswered(&e))?)) as Box<dyn PulledBlob>)
        })
    }
}

/// A blob that the client pulls.
struct Arriving(Blob);

impl PulledBlob for Arriving {
    fn chunk(&mut self) -> Asked<'_, Option<Bytes>> {
        Box::pin(async move { self.0.chunk().await.map_err(|error| unanswered(&error)) })
    }
}
