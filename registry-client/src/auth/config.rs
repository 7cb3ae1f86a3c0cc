//! Docker's `config.json` and containers' `auth.json`.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use serde::Deserialize;
use tokio::sync::OnceCell;

use super::helper::Helper;
use super::{Credential, Credentials, Secret, basic};
use crate::Result;
use crate::error::Error;

/// The key under which Docker keeps the login for its Hub.
pub(super) const HUB_KEY: &str = "https://index.docker.io/v1/";
const HUB_NAMES: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];
/// How large a configuration file may be, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// Credentials from configuration files, asked in their order. Files are read when a registry
/// first wants a proof; one that does not exist is passed over. Credential helpers are run then
/// too, once for each registry, with a time limit.
pub struct ConfigFiles {
    files: Vec<Lazy>,
    helpers: Helpers,
    helper_path: Option<OsString>,
}

struct Lazy {
    path: PathBuf,
    file: OnceCell<Option<ConfigFile>>,
}

type Helpers = Mutex<HashMap<(String, String), Arc<OnceCell<Option<Credential>>>>>;

impl ConfigFiles {
    /// Files in the order in which they are asked.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> ConfigFiles {
        let lazy = |path| Lazy { path, file: OnceCell::new() };
        ConfigFiles {
            files: paths.into_iter().map(lazy).collect(),
            helpers: Helpers::default(),
            helper_path: None,
        }
    }

    /// Looks for credential helpers in other directories than those of the process's `PATH`.
    #[must_use]
    pub fn with_helper_path(self, path: OsString) -> ConfigFiles {
        ConfigFiles { helper_path: Some(path), ..self }
    }

    async fn ask_helper(&self, helper: &str, server: &str) -> Result<Option<Credential>> {
        let cell = {
            let mut helpers = self.helpers.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(helpers.entry((helper.to_owned(), server.to_owned())).or_default())
        };
        let helper = Helper { name: helper, path: self.helper_path.as_deref() };
        cell.get_or_try_init(|| helper.get(server)).await.cloned()
    }
}

impl Credentials for ConfigFiles {
    fn find<'a>(
        &'a self,
        registry: &'a str,
        repository: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<Credential>>> {
        Box::pin(async move {
            for lazy in &self.files {
                let read = || async { ConfigFile::read(&lazy.path) };
                let Some(file) = lazy.file.get_or_try_init(read).await? else { continue };
                if let Some((helper, server)) = file.helper(registry, repository)
                    && let Some(found) = self.ask_helper(helper, &server).await?
                {
                    return Ok(Some(found));
                }
                if let Some(found) = file.credential(registry, repository) {
                    return Ok(Some(found));
                }
            }
            Ok(None)
        })
    }
}

/// What of such a file concerns credentials.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConfigFile {
    auths: HashMap<String, Entry>,
    creds_store: String,
    cred_helpers: HashMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase", default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    #[serde(rename = "identitytoken")]
    identity_token: String,
    #[serde(rename = "registrytoken")]
    registry_token: String,
}

impl ConfigFile {
    /// Reads a file; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read or is no such file.
    pub fn read(path: &Path) -> Result<Option<ConfigFile>> {
        match read_capped(path) {
            Ok(bytes) if bytes.iter().all(u8::is_ascii_whitespace) => Ok(None),
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(file) => Ok(Some(file)),
                Err(e) => Err(file_error("understand", path, e.into())),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(file_error("read", path, e)),
        }
    }

    /// The helper for a registry, with the name that it knows the registry by.
    pub(super) fn helper(
        &self,
        registry: &str,
        repository: Option<&str>,
    ) -> Option<(&str, String)> {
        for name in lookup_names(registry, repository) {
            let found = self.cred_helpers.iter().find(|(key, _)| normalized(key) == name);
            if let Some((key, helper)) = found
                && !helper.is_empty()
            {
                return Some((helper, key.clone()));
            }
        }
        let store = Some(self.creds_store.as_str()).filter(|store| !store.is_empty())?;
        Some((store, server_key(registry).to_owned()))
    }

    /// The credential that the file itself holds.
    pub(super) fn credential(
        &self,
        registry: &str,
        repository: Option<&str>,
    ) -> Option<Credential> {
        lookup_names(registry, repository).into_iter().find_map(|name| {
            // Several spellings may stand for one registry: the plain one goes first.
            let mut entries: Vec<_> =
                self.auths.iter().filter(|(key, _)| normalized(key) == name).collect();
            entries.sort_by_key(|(key, _)| (key.contains("://"), key.as_str()));
            entries.into_iter().find_map(|(_, entry)| entry.credential())
        })
    }
}

impl Entry {
    fn credential(&self) -> Option<Credential> {
        if !self.registry_token.is_empty() {
            return Some(Credential::RegistryToken(Secret::new(&*self.registry_token)));
        }
        if !self.identity_token.is_empty() {
            return Some(Credential::IdentityToken(Secret::new(&*self.identity_token)));
        }
        let (username, password) = if self.auth.is_empty() {
            (self.username.clone(), Secret::new(&*self.password))
        } else {
            basic::decode(&self.auth)?
        };
        from_pair(username, password)
    }
}

/// The credential that a user and password mean.
pub(super) fn from_pair(username: String, password: Secret) -> Option<Credential> {
    match username.as_str() {
        "" => None,
        "<token>" => Some(Credential::IdentityToken(password)),
        _ => Some(Credential::Password { username, password }),
    }
}

/// The name by which files and helpers know a registry.
pub(super) fn server_key(registry: &str) -> &str {
    if HUB_NAMES.contains(&registry) { HUB_KEY } else { registry }
}

/// Whether a key of `auths` stands for a registry as a whole.
pub(super) fn is_key_of(key: &str, registry: &str) -> bool {
    lookup_names(registry, None).contains(&normalized(key))
}

/// The normalized keys that a repository is looked up under: the longest path first.
fn lookup_names(registry: &str, repository: Option<&str>) -> Vec<String> {
    let mut names = Vec::new();
    let hosts = if HUB_NAMES.contains(&registry) { &HUB_NAMES[..] } else { &[registry] };
    let mut path = repository.unwrap_or_default();
    while !path.is_empty() {
        names.extend(hosts.iter().map(|host| format!("{host}/{path}")));
        path = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    }
    names.extend(hosts.iter().map(|&host| host.to_owned()));
    names
}

/// A key as it stands in a file, brought to one form: `https://quay.io/v1/` is `quay.io`.
fn normalized(key: &str) -> String {
    let (with_scheme, rest) = match key.split_once("://") {
        Some((_, rest)) => (true, rest),
        None => (false, key),
    };
    let rest = rest.trim_end_matches('/');
    let rest = rest.strip_suffix("/v1").or_else(|| rest.strip_suffix("/v2")).unwrap_or(rest);
    // Docker writes URLs, and means the host.
    let rest = if with_scheme { rest.split('/').next().unwrap_or_default() } else { rest };
    rest.to_owned()
}

pub(super) fn read_capped(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 4 MiB"));
    }
    Ok(bytes)
}

pub(super) fn file_error(operation: &'static str, path: &Path, source: io::Error) -> Error {
    Error::CredentialFile { operation, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> ConfigFile {
        serde_json::from_str(text).unwrap()
    }

    fn user(found: Option<Credential>) -> String {
        match found {
            None => "-".to_owned(),
            Some(Credential::Password { username, password }) => {
                format!("{username}:{}", password.reveal())
            }
            Some(Credential::IdentityToken(token)) => format!("identity {}", token.reveal()),
            Some(Credential::RegistryToken(token)) => format!("registry {}", token.reveal()),
        }
    }

    #[test]
    fn keys_are_found_in_all_their_spellings() {
        for (key, registry, repository, found) in [
            ("https://index.docker.io/v1/", "docker.io", Some("library/busybox"), true),
            ("index.docker.io", "docker.io", None, true),
            ("docker.io", "docker.io", None, true),
            ("https://quay.io", "quay.io", Some("a/b"), true),
            ("http://quay.io/v2/", "quay.io", None, true),
            ("quay.io/v1/", "quay.io", None, true),
            ("quay.io/a", "quay.io", Some("a/b"), true),
            ("quay.io/a/b", "quay.io", Some("a/b"), true),
            ("quay.io/a", "quay.io", None, false),
            ("quay.io/a", "quay.io", Some("ab"), false),
            ("quay.io", "evil-quay.io", None, false),
            ("127.0.0.1:5000", "127.0.0.1:5000", None, true),
            ("127.0.0.1:5000", "127.0.0.1:5001", None, false),
        ] {
            let file = file(&format!(r#"{{"auths":{{"{key}":{{"auth":"dTpw"}}}}}}"#));
            let expected = if found { "u:p" } else { "-" };
            assert_eq!(user(file.credential(registry, repository)), expected, "{key} {registry}");
        }
    }

    #[test]
    fn the_longest_path_wins() {
        let file = file(
            r#"{"auths":{"quay.io":{"auth":"dTpw"},"quay.io/a":{"username":"x","password":"y"}}}"#,
        );
        assert_eq!(user(file.credential("quay.io", Some("a/b"))), "x:y");
        assert_eq!(user(file.credential("quay.io", Some("c"))), "u:p");
    }

    #[test]
    fn entries_hold_passwords_or_tokens() {
        for (entry, expected) in [
            (r#"{"auth":"dTpw"}"#, "u:p"),
            (r#"{"auth":"dTpxOnI="}"#, "u:q:r"),
            (r#"{"auth":"PHRva2VuPjp0"}"#, "identity t"),
            (r#"{"auth":"dTpw","identitytoken":"t"}"#, "identity t"),
            (r#"{"registrytoken":"t"}"#, "registry t"),
            (r#"{"auth":"!"}"#, "-"),
            ("{}", "-"),
        ] {
            let file = file(&format!(r#"{{"auths":{{"r.io":{entry}}}}}"#));
            assert_eq!(user(file.credential("r.io", None)), expected, "{entry}");
        }
    }

    #[test]
    fn helpers_are_chosen_by_registry_and_then_the_store() {
        let file = file(r#"{"credsStore":"pass","credHelpers":{"gcr.io":"gcloud"}}"#);
        assert_eq!(file.helper("gcr.io", Some("a")), Some(("gcloud", "gcr.io".into())));
        assert_eq!(file.helper("docker.io", None), Some(("pass", HUB_KEY.into())));
        assert_eq!(self::file("{}").helper("gcr.io", None), None);
    }
}
