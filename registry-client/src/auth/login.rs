//! Keeping and forgetting logins, in Docker's `config.json` or containers' `auth.json`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::config::{ConfigFile, file_error, is_key_of, read_capped, server_key};
use super::helper::Helper;
use super::{Credential, Secret, basic};
use crate::Result;

/// Keeps the login for a registry: with the helper that the file names for it, else in the file,
/// which only its owner can read. Everything else in the file stays as it is; it changes at once
/// or not at all. Answers with the helper's name, if one keeps the login.
///
/// # Errors
/// If the file cannot be understood or written, or the helper fails.
pub async fn store_login(
    path: &Path,
    registry: &str,
    credential: &Credential,
) -> Result<Option<String>> {
    let config = ConfigFile::read(path)?.unwrap_or_default();
    let key = server_key(registry);
    let helper = config.helper(registry, None);
    let entry = match &helper {
        Some((helper, server)) => {
            let (username, secret) = as_pair(credential);
            Helper { name: helper, path: None }.store(server, username, secret).await?;
            // As Docker does: the key tells that there is a login.
            Map::new()
        }
        None => entry(credential),
    };
    edit(path, |auths| {
        auths.retain(|known, _| !is_key_of(known, registry));
        auths.insert(key.to_owned(), Value::Object(entry));
    })?;
    Ok(helper.map(|(helper, _)| helper.to_owned()))
}

/// Forgets the login for a registry. Answers whether the file had one.
///
/// # Errors
/// If the file cannot be understood or written, or the helper fails.
pub async fn erase_login(path: &Path, registry: &str) -> Result<bool> {
    let Some(config) = ConfigFile::read(path)? else { return Ok(false) };
    if let Some((helper, server)) = config.helper(registry, None) {
        Helper { name: helper, path: None }.erase(&server).await?;
    }
    let mut erased = false;
    edit(path, |auths| {
        let before = auths.len();
        auths.retain(|known, _| !is_key_of(known, registry));
        erased = auths.len() != before;
    })?;
    Ok(erased)
}

/// A credential as helpers take it.
fn as_pair(credential: &Credential) -> (&str, &Secret) {
    match credential {
        Credential::Password { username, password } => (username, password),
        Credential::IdentityToken(token) | Credential::RegistryToken(token) => ("<token>", token),
    }
}

fn entry(credential: &Credential) -> Map<String, Value> {
    let mut entry = Map::new();
    match credential {
        Credential::Password { username, password } => {
            entry.insert("auth".into(), basic::encode(username, password).into());
        }
        Credential::IdentityToken(token) => {
            entry.insert("auth".into(), basic::encode("<token>", &Secret::new("")).into());
            entry.insert("identitytoken".into(), token.reveal().into());
        }
        Credential::RegistryToken(token) => {
            entry.insert("registrytoken".into(), token.reveal().into());
        }
    }
    entry
}

/// Changes `auths` in the file and nothing else.
fn edit(path: &Path, change: impl FnOnce(&mut Map<String, Value>)) -> Result<()> {
    let at = |operation| move |source| file_error(operation, path, source);
    let bytes = match read_capped(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(at("read")(e)),
    };
    let mut document: Map<String, Value> = if bytes.iter().all(u8::is_ascii_whitespace) {
        Map::new()
    } else {
        serde_json::from_slice(&bytes).map_err(|e| at("understand")(e.into()))?
    };
    let auths = document.entry("auths").or_insert_with(|| Value::Object(Map::new()));
    match auths {
        Value::Object(auths) => change(auths),
        _ => {
            let error = io::Error::new(io::ErrorKind::InvalidData, "its `auths` is not an object");
            return Err(at("understand")(error));
        }
    }
    let mut text = serde_json::to_vec_pretty(&document).map_err(|e| at("write")(e.into()))?;
    text.push(b'\n');
    replace(path, &text).map_err(at("write"))
}

fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    // People keep the file elsewhere and link to it: the link stays.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = path.parent().map_or_else(|| PathBuf::from("."), Path::to_owned);
    fs::create_dir_all(&directory)?;
    // A temporary file is for its owner alone (0600).
    let mut file = tempfile::NamedTempFile::new_in(&directory)?;
    file.write_all(text)?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|e| e.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn password() -> Credential {
        Credential::Password { username: "u".into(), password: Secret::new("p") }
    }

    #[tokio::test]
    async fn a_login_leaves_the_rest_of_the_file_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/config.json");
        assert_eq!(store_login(&path, "docker.io", &password()).await.unwrap(), None);
        let before = r#"{"psFormat":"x","auths":{"a.io":{"auth":"QTpC","email":"e"},"https://r.io/v1/":{}},"z":[1]}"#;
        fs::write(&path, before).unwrap();
        store_login(&path, "r.io", &password()).await.unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let compact: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            compact.to_string(),
            r#"{"psFormat":"x","auths":{"a.io":{"auth":"QTpC","email":"e"},"r.io":{"auth":"dTpw"}},"z":[1]}"#
        );
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(erase_login(&path, "r.io").await.unwrap());
        assert!(!erase_login(&path, "r.io").await.unwrap());
        assert!(fs::read_to_string(&path).unwrap().contains("a.io"));
    }

    #[tokio::test]
    async fn what_is_written_is_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        for credential in [
            password(),
            Credential::IdentityToken(Secret::new("t")),
            Credential::RegistryToken(Secret::new("t")),
        ] {
            store_login(&path, "docker.io", &credential).await.unwrap();
            let file = ConfigFile::read(&path).unwrap().unwrap();
            assert_eq!(file.credential("docker.io", Some("library/x")), Some(credential));
        }
    }

    #[tokio::test]
    async fn a_file_that_is_not_understood_is_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        for text in ["[]", "{", r#"{"auths":[]}"#] {
            fs::write(&path, text).unwrap();
            assert!(store_login(&path, "r.io", &password()).await.is_err(), "{text}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[tokio::test]
    async fn a_link_to_the_file_stays_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let (path, real) = (directory.path().join("link"), directory.path().join("real"));
        fs::write(&real, "{}").unwrap();
        std::os::unix::fs::symlink(&real, &path).unwrap();
        store_login(&path, "r.io", &password()).await.unwrap();
        assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
        assert!(fs::read_to_string(&real).unwrap().contains("r.io"));
    }
}
