//! Credentials among a build's secrets, by the names that BuildKit gives them.

use std::collections::BTreeMap;

use builder::Secret;
use registry_client::auth::basic_authorization;

/// Whom GitHub and others expect a token from.
const TOKEN_USER: &str = "x-access-token";

/// The secrets that say who asks.
#[derive(Default)]
pub(super) struct RemoteCredentials {
    secrets: BTreeMap<String, String>,
}

impl RemoteCredentials {
    /// Those among `secrets`.
    pub(super) fn new(secrets: &BTreeMap<String, Secret>) -> RemoteCredentials {
        let is_ours = |id: &str| id.starts_with("GIT_AUTH_") || id.starts_with("HTTP_AUTH_");
        let text =
            |secret: &Secret| Some(std::str::from_utf8(secret.bytes()).ok()?.trim().to_owned());
        let ours = secrets.iter().filter(|(id, _)| is_ours(id));
        let ours = ours.filter_map(|(id, secret)| Some((id.clone(), text(secret)?)));
        RemoteCredentials { secrets: ours.collect() }
    }

    /// What `Authorization` says for a file: `HTTP_AUTH_HEADER_<host>` as it is, or
    /// `HTTP_AUTH_TOKEN_<host>` as a bearer's. No host is told what is meant for another.
    pub(super) fn of_file(&self, url: &str) -> Option<String> {
        let host = host(url)?;
        let header = self.secrets.get(&format!("HTTP_AUTH_HEADER_{host}")).cloned();
        let token = || self.secrets.get(&format!("HTTP_AUTH_TOKEN_{host}"));
        header.or_else(|| token().map(|token| format!("Bearer {token}")))
    }

    /// What `Authorization` says for a repository that the build names: what its URL holds, or
    /// the secrets for its host, or those for every repository.
    pub(super) fn of_repository(&self, url: &str) -> Option<String> {
        let in_url = || {
            let (user, password) = user(url)?;
            Some(basic_authorization(&user, &password))
        };
        let host = host(url)?;
        in_url().or_else(|| self.of_git_host(&host)).or_else(|| self.of_git(""))
    }

    /// The same for another repository, of which the build only hears: secrets for its host.
    pub(super) fn of_git_host(&self, host: &str) -> Option<String> {
        self.of_git(&format!(".{host}"))
    }

    fn of_git(&self, suffix: &str) -> Option<String> {
        let header = self.secrets.get(&format!("GIT_AUTH_HEADER{suffix}")).cloned();
        let token = || self.secrets.get(&format!("GIT_AUTH_TOKEN{suffix}"));
        header.or_else(|| token().map(|token| basic_authorization(TOKEN_USER, token)))
    }
}

/// The host of a URL, with its port if it names one.
pub(super) fn host(url: &str) -> Option<String> {
    let authority = authority(url)?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    Some(host.to_ascii_lowercase())
}

fn user(url: &str) -> Option<(String, String)> {
    let (user, _) = authority(url)?.rsplit_once('@')?;
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    Some((builder::percent_decoded(name), builder::percent_decoded(password)))
}

fn authority(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.split(['/', '?', '#']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_hears_its_own_credentials_alone() {
        let secret = |id: &str, text: &str| (id.to_owned(), Secret::new(text.as_bytes()));
        let secrets = BTreeMap::from([
            secret("GIT_AUTH_TOKEN", "any\n"),
            secret("GIT_AUTH_TOKEN.own.example:8443", "own"),
            secret("GIT_AUTH_HEADER.header.example", "Custom x"),
            secret("HTTP_AUTH_TOKEN_own.example:8443", "bear"),
            secret("HTTP_AUTH_HEADER_header.example", "Custom y"),
        ]);
        let credentials = RemoteCredentials::new(&secrets);
        let basic = |user: &str, password: &str| Some(basic_authorization(user, password));
        for (url, expected) in [
            ("https://else.example/a.git", basic(TOKEN_USER, "any")),
            ("https://Own.example:8443/a.git", basic(TOKEN_USER, "own")),
            ("https://header.example/a", Some("Custom x".to_owned())),
            ("https://me:p%40ss@header.example/a", basic("me", "p@ss")),
        ] {
            assert_eq!(credentials.of_repository(url), expected, "{url}");
        }
        assert_eq!(credentials.of_git_host("else.example"), None);
        assert_eq!(
            credentials.of_file("https://own.example:8443/a").as_deref(),
            Some("Bearer bear")
        );
        assert_eq!(credentials.of_file("https://header.example/a").as_deref(), Some("Custom y"));
        assert_eq!(credentials.of_file("https://else.example/a"), None);
    }
}
