//! What a file says of a registry, and what flags say instead. `docs/registry.md` describes it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use registry_server::{
    Access, Actions, Bucket, Collection, Config, Issuer, Lender, Limits, MissingReferences,
    Passwords, Pattern, Quota, Retention, Rule, Storage, Tls, TokenSecret, Who,
};
use serde::Deserialize;

use super::keys;
use super::mirrors::Mirrored;
use super::webhooks::Webhook;
use super::{Place, Serve};
use crate::app::App;
use crate::error::{Doing, Failure};
use crate::ui::quantity::parse_size;

/// Everything that can be said of a registry.
#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Settings {
    pub(super) listen: Option<SocketAddr>,
    storage: Option<PathBuf>,
    bucket: Option<BucketPlace>,
    share_store: bool,
    read_only: bool,
    missing_references: Missing,
    limits: Limited,
    quotas: Vec<Held>,
    tls: Option<Certificates>,
    htpasswd: Option<PathBuf>,
    tokens: Option<PathBuf>,
    secret: Option<PathBuf>,
    issuer: Option<Signer>,
    rules: Vec<Allowed>,
    pub(super) collect: Collecting,
    fault: Option<String>,
    mirrors: Vec<Mirrored>,
    pub(super) webhooks: Vec<Webhook>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct BucketPlace {
    name: String,
    #[serde(default)]
    prefix: String,
    redirect: Option<Span>,
    /// Whether no other process has to do with the bucket.
    #[serde(default)]
    alone: bool,
}

/// What is done with a manifest that names what was not pushed.
#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum Missing {
    #[default]
    Refuse,
    AllowInIndex,
    Allow,
}

impl From<Missing> for MissingReferences {
    fn from(missing: Missing) -> MissingReferences {
        match missing {
            Missing::Refuse => MissingReferences::Refuse,
            Missing::AllowInIndex => MissingReferences::AllowInIndex,
            Missing::Allow => MissingReferences::Allow,
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Limited {
    manifest: Option<usize>,
    blob: Option<u64>,
    tags: Option<usize>,
    uploads: Option<usize>,
    upload_expiry: Option<Span>,
    connections: Option<usize>,
    shutdown: Option<Span>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Certificates {
    certificate: PathBuf,
    key: PathBuf,
    clients: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Signer {
    realm: String,
    service: String,
    name: String,
    /// A file or a URL.
    jwks: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Allowed {
    who: Vec<String>,
    repositories: String,
    actions: Vec<String>,
}

/// How much some repositories may hold together.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Held {
    #[serde(default = "everywhere")]
    repositories: String,
    /// A number of bytes, or with a unit: `500m`, `10g`.
    size: String,
}

/// When and how a registry is collected.
#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Collecting {
    pub(super) every: Option<Span>,
    grace: Option<Span>,
    pub(super) untagged: bool,
    retention: Vec<Kept>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Kept {
    #[serde(default = "everywhere")]
    repositories: String,
    tags: String,
    #[serde(default)]
    keep_last: usize,
    keep_within: Option<Span>,
}

pub(super) fn everywhere() -> String {
    "**".to_owned()
}

/// A time such as `90s`, `10m`, `1h` or `30d`.
#[derive(Deserialize, Clone, Copy)]
#[serde(try_from = "String")]
pub(super) struct Span(Duration);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Span, String> {
        let wrong = || format!("`{text}` is no time such as 90s, 10m, 1h or 30d");
        let unit = match text.chars().last() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3600,
            Some('d') => 86_400,
            _ => return Err(wrong()),
        };
        let count: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
        count.checked_mul(unit).map(|seconds| Span(Duration::from_secs(seconds))).ok_or_else(wrong)
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Duration {
        span.0
    }
}

/// How long a blob is left alone after it came.
const GRACE: Duration = Duration::from_secs(3600);

impl Settings {
    /// What the file says, and the flags that every command has.
    pub(super) fn read(place: &Place) -> Result<Settings, Failure> {
        let mut settings = match &place.config {
            None => Settings::default(),
            Some(path) => {
                let text = String::from_utf8_lossy(&read(path)?).into_owned();
                serde_saphyr::from_str(&text)
                    .map_err(|e| Failure::new(format!("cannot read {}: {e}", path.display())))?
            }
        };
        if place.storage.is_some() {
            settings.storage.clone_from(&place.storage);
            settings.bucket = None;
        }
        Ok(settings)
    }

    /// Takes what flags say.
    pub(super) fn take(&mut self, flags: &Serve) {
        self.listen = flags.listen.or(self.listen);
        self.share_store |= flags.share_store;
        self.read_only |= flags.read_only;
        self.fault = flags.fault.clone().or(self.fault.take());
        if flags.htpasswd.is_some() {
            self.htpasswd.clone_from(&flags.htpasswd);
        }
        let allow = |who: &str, actions: &[&str]| Allowed {
            who: vec![who.to_owned()],
            repositories: everywhere(),
            actions: actions.iter().map(|&action| action.to_owned()).collect(),
        };
        if flags.anonymous_pull {
            self.rules.push(allow("anyone", &["pull"]));
        }
        if let (Some(certificate), Some(key)) = (&flags.tls_cert, &flags.tls_key) {
            let (certificate, key) = (certificate.clone(), key.clone());
            self.tls =
                Some(Certificates { certificate, key, clients: flags.tls_client_ca.clone() });
        }
        // Passwords without a word about what they open, open everything.
        let only_anonymous = self.rules.iter().all(|rule| rule.who == ["anyone"]);
        if self.htpasswd.is_some() && only_anonymous {
            self.rules.push(allow("users", &["*"]));
        }
    }

    /// Opens the storage.
    pub(super) fn open(&self, app: &App) -> Result<Storage, Failure> {
        if self.share_store && self.storage.is_none() {
            return Err(Failure::new("what the store has can be shared with a directory only")
                .hint("say which by --storage"));
        }
        match (&self.storage, &self.bucket) {
            (Some(_), Some(_)) => {
                Err(Failure::new("`storage` and `bucket` cannot both be where everything is kept"))
            }
            (Some(dir), None) => {
                let opened = if self.share_store {
                    let lender = Lender { blobs: app.blobs_dir(), name: app.store_name()? };
                    Storage::dir_beside(dir, lender)
                } else {
                    Storage::dir(dir)
                };
                opened.doing(|| format!("cannot open {}", dir.display()))
            }
            (None, Some(bucket)) => {
                let settings = std::env::vars().filter(|(name, _)| name.starts_with("AWS_"));
                let opened = Storage::bucket(&Bucket {
                    name: bucket.name.clone(),
                    prefix: bucket.prefix.clone(),
                    settings: settings.collect(),
                    redirect: bucket.redirect.map(Duration::from),
                });
                opened.doing(|| format!("cannot open bucket {}", bucket.name))
            }
            (None, None) => Ok(Storage::memory()),
        }
    }

    /// Refuses a bucket that several processes cannot share, unless it is said that one has it for
    /// itself. Who changes nothing loses nothing.
    pub(super) async fn check_shared(&self, storage: &Storage) -> Result<(), Failure> {
        let Some(bucket) = self.bucket.as_ref().filter(|bucket| !bucket.alone) else {
            return Ok(());
        };
        let cannot = || format!("cannot open bucket {}", bucket.name);
        if self.read_only || storage.can_be_shared().await.doing(cannot)? {
            return Ok(());
        }
        Err(Failure::new(format!("bucket {} does not keep the conditions of writes", bucket.name))
            .hint("with `alone: true` one process may have it for itself, and collect it"))
    }

    /// What the server keeps to.
    pub(super) fn rules(&self, app: &App) -> Result<Config, Failure> {
        let (usual, ours) = (Limits::default(), &self.limits);
        let limits = Limits {
            manifest: ours.manifest.unwrap_or(usual.manifest),
            blob: ours.blob.unwrap_or(usual.blob),
            tags: ours.tags.unwrap_or(usual.tags),
            uploads: ours.uploads.unwrap_or(usual.uploads),
            upload_expiry: ours.upload_expiry.map_or(usual.upload_expiry, Duration::from),
            connections: ours.connections.unwrap_or(usual.connections),
            shutdown: ours.shutdown.map_or(usual.shutdown, Duration::from),
            ..usual
        };
        let faults = self.fault.as_deref().unwrap_or_default().parse();
        let faults =
            faults.map_err(|why: String| Failure::new(format!("invalid faults: {why}")))?;
        let mirrors = self.mirrors.iter().map(|one| one.open(app)).collect::<Result<_, _>>()?;
        let quotas = self.quotas.iter().map(Held::quota).collect::<Result<_, _>>()?;
        let (read_only, missing_references) = (self.read_only, self.missing_references.into());
        let usual = Config::default();
        Ok(Config { limits, quotas, missing_references, read_only, faults, mirrors, ..usual })
    }

    /// What is known of those who come; `None` if everybody may do everything.
    pub(super) async fn access(&self, app: &App) -> Result<Option<Access>, Failure> {
        let knows = self.htpasswd.is_some() || self.tokens.is_some() || self.issuer.is_some();
        if !knows && self.rules.is_empty() {
            return Ok(None);
        }
        let mut access = Access {
            rules: self.rules.iter().map(Allowed::rule).collect::<Result<_, _>>()?,
            ..Access::default()
        };
        if let Some(path) = &self.htpasswd {
            access.passwords = Passwords::parse(&text(path)?)
                .doing(|| format!("cannot read {}", path.display()))?;
        }
        if let Some(path) = &self.tokens {
            for line in text(path)?.lines().filter(|line| !line.trim().is_empty()) {
                let (user, token) = line.trim().split_once(':').ok_or_else(|| {
                    Failure::new(format!("{} has a line that is not `user:token`", path.display()))
                })?;
                access.tokens.push((token.to_owned(), user.to_owned()));
            }
        }
        if let Some(path) = &self.secret {
            access.secret = TokenSecret::of(text(path)?.trim());
        }
        if let Some(Signer { realm, service, name, jwks }) = &self.issuer {
            let set = keys::get(jwks, app).await?;
            let issuer = Issuer::new(realm.clone(), service.clone(), name.clone(), &set);
            access.issuer = Some(issuer.doing(|| format!("cannot read {jwks}"))?);
        }
        Ok(Some(access))
    }

    /// Whether keys come from elsewhere, and have to be asked for now and then.
    pub(super) fn has_remote_keys(&self) -> bool {
        self.issuer.as_ref().is_some_and(|issuer| keys::are_remote(&issuer.jwks))
    }

    /// The certificate to show.
    pub(super) fn tls(&self) -> Result<Option<Tls>, Failure> {
        let Some(files) = &self.tls else { return Ok(None) };
        let (certificate, key, clients) = files.read()?;
        Ok(Some(Tls::new(&certificate, &key, clients.as_deref())?))
    }

    /// Reads the certificate again.
    pub(super) fn replace_tls(&self, tls: Option<&Tls>) -> Result<(), Failure> {
        let (Some(files), Some(tls)) = (&self.tls, tls) else { return Ok(()) };
        let (certificate, key, clients) = files.read()?;
        Ok(tls.replace(&certificate, &key, clients.as_deref())?)
    }

    /// What a collection takes away.
    pub(super) fn collection(&self, dry_run: bool) -> Collection {
        let retention = self.collect.retention.iter().map(|kept| Retention {
            repositories: Pattern::new(&kept.repositories),
            tags: Pattern::new(&kept.tags),
            keep_last: kept.keep_last,
            keep_within: kept.keep_within.map(Duration::from).unwrap_or_default(),
        });
        Collection {
            grace: self.collect.grace.map_or(GRACE, Duration::from),
            untagged: self.collect.untagged,
            retention: retention.collect(),
            dry_run,
        }
    }
}

type Pems = (Vec<u8>, Vec<u8>, Option<Vec<u8>>);

impl Certificates {
    fn read(&self) -> Result<Pems, Failure> {
        let clients = self.clients.as_deref().map(read).transpose()?;
        Ok((read(&self.certificate)?, read(&self.key)?, clients))
    }
}

impl Held {
    fn quota(&self) -> Result<Quota, Failure> {
        let bytes = parse_size(&self.size)
            .map_err(|reason| Failure::new(format!("quota `{}`: {reason}", self.size)))?;
        Ok(Quota { repositories: Pattern::new(&self.repositories), bytes })
    }
}

impl Allowed {
    fn rule(&self) -> Result<Rule, Failure> {
        let who = match self.who.as_slice() {
            [one] if one == "anyone" => Who::Anyone,
            [one] if one == "users" => Who::Users,
            names => Who::Named(names.to_vec()),
        };
        let mut actions = Actions::NONE;
        for name in &self.actions {
            let action = Actions::named(name).ok_or_else(|| {
                Failure::new(format!("`{name}` is no action"))
                    .hint("there are pull, push, delete and *")
            })?;
            actions = actions | action;
        }
        Ok(Rule { who, repositories: Pattern::new(&self.repositories), actions })
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).doing(|| format!("cannot read {}", path.display()))
}

pub(super) fn text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).doing(|| format!("cannot read {}", path.display()))
}
