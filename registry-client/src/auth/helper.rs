//! Credential helpers: programs named `docker-credential-NAME` (docker-credential-helpers).

use std::ffi::OsStr;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use zeroize::Zeroizing;

use super::{Credential, Secret, config};
use crate::Result;
use crate::error::Error;

/// How long a helper may take; some ask the user.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// How much of a helper's output is read, in bytes.
const MAX_OUTPUT: u64 = 1 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Stored<'a> {
    #[serde(rename = "ServerURL")]
    server_url: &'a str,
    username: &'a str,
    secret: &'a str,
}

/// A helper by its short name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Helper<'a> {
    pub(super) name: &'a str,
    /// Where programs are looked for, in the form of `PATH`; the process's own if not given.
    pub(super) path: Option<&'a OsStr>,
}

impl Helper<'_> {
    /// Asks for a server's credential.
    pub(super) async fn get(self, server: &str) -> Result<Option<Credential>> {
        match self.run("get", server.as_bytes()).await? {
            Output { success: false, text } if text.contains("credentials not found") => Ok(None),
            Output { success: false, text } => Err(self.failed(text.trim())),
            Output { success: true, text } => {
                let found: Found = serde_json::from_str(&text).map_err(|_| {
                    self.failed("its answer is not JSON with `Username` and `Secret`")
                })?;
                Ok(config::from_pair(found.username, Secret::new(found.secret)))
            }
        }
    }

    /// Gives it a server's credential to keep.
    pub(super) async fn store(
        self,
        server_url: &str,
        username: &str,
        secret: &Secret,
    ) -> Result<()> {
        let stored = Stored { server_url, username, secret: secret.reveal() };
        let input = serde_json::to_vec(&stored).expect("three strings are JSON");
        match self.run("store", &Zeroizing::new(input)).await? {
            Output { success: true, .. } => Ok(()),
            Output { success: false, text } => Err(self.failed(text.trim())),
        }
    }

    /// Makes it forget a server; one that it does not know is no error.
    pub(super) async fn erase(self, server: &str) -> Result<()> {
        match self.run("erase", server.as_bytes()).await? {
            Output { success: false, text } if !text.contains("credentials not found") => {
                Err(self.failed(text.trim()))
            }
            Output { .. } => Ok(()),
        }
    }

    async fn run(self, action: &str, input: &[u8]) -> Result<Output> {
        // The name comes from a file that may have been copied from anywhere.
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !self.name.chars().all(word) {
            return Err(self.failed("its name is not the name of a program"));
        }
        match tokio::time::timeout(TIME_LIMIT, self.exchange(action, input)).await {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(e)) if e.kind() == io::ErrorKind::NotFound => {
                Err(self.failed(&format!("docker-credential-{} is not installed", self.name)))
            }
            Ok(Err(e)) => Err(self.failed(&e.to_string())),
            Err(_) => Err(self.failed("it takes more than 60 seconds")),
        }
    }

    async fn exchange(self, action: &str, input: &[u8]) -> io::Result<Output> {
        let mut command = Command::new(format!("docker-credential-{}", self.name));
        if let Some(path) = self.path {
            command.env("PATH", path);
        }
        let mut child = command
            .arg(action)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let mut stdin = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        // A helper may answer without reading all: that is its affair.
        let _ = stdin.write_all(input).await;
        drop(stdin);
        let mut text = Zeroizing::new(String::new());
        stdout.take(MAX_OUTPUT).read_to_string(&mut text).await?;
        Ok(Output { success: child.wait().await?.success(), text })
    }

    fn failed(&self, reason: &str) -> Error {
        let reason = reason.chars().filter(|c| !c.is_control()).take(500).collect();
        Error::Helper { helper: self.name.to_owned(), reason }
    }
}

struct Output {
    success: bool,
    text: Zeroizing<String>,
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// Runs a shell script as the helper `test`; it finds what it kept beside itself.
    fn helper(script: &str) -> (tempfile::TempDir, std::ffi::OsString) {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("docker-credential-test");
        let text = format!("#!/bin/sh\nkept={}/kept\n{script}\n", directory.path().display());
        std::fs::write(&program, text).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut path = directory.path().as_os_str().to_owned();
        path.push(":/usr/bin:/bin");
        (directory, path)
    }

    async fn ask(script: &str) -> Result<Option<Credential>> {
        let (_directory, path) = helper(script);
        Helper { name: "test", path: Some(&path) }.get("r.io").await
    }

    #[tokio::test]
    async fn answers_of_helpers_are_understood() {
        let password =
            ask(r#"[ "$1 $(cat)" = "get r.io" ] && echo '{"Username":"u","Secret":"p"}'"#);
        let expected = Credential::Password { username: "u".into(), password: Secret::new("p") };
        assert_eq!(password.await.unwrap(), Some(expected));
        let token = ask(r#"echo '{"Username":"<token>","Secret":"t"}'"#).await.unwrap();
        assert_eq!(token, Some(Credential::IdentityToken(Secret::new("t"))));
        let absent = "echo 'credentials not found in native keychain'; exit 1";
        assert_eq!(ask(absent).await.unwrap(), None);
        for (script, expected) in [
            ("echo 'locked'; exit 1", "credential helper test: locked"),
            ("echo nonsense", "credential helper test: its answer is not JSON"),
        ] {
            let error = ask(script).await.unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[tokio::test]
    async fn helpers_keep_and_forget() {
        let script =
            r#"case $1 in store) cat > "$kept";; erase) [ "$(cat)" = r.io ] && rm "$kept";; esac"#;
        let (directory, path) = helper(script);
        let helper = Helper { name: "test", path: Some(&path) };
        helper.store("r.io", "u", &Secret::new("p\"")).await.unwrap();
        let kept = directory.path().join("kept");
        let text = std::fs::read_to_string(&kept).unwrap();
        assert_eq!(text, r#"{"ServerURL":"r.io","Username":"u","Secret":"p\""}"#);
        helper.erase("r.io").await.unwrap();
        assert!(!kept.exists());
    }

    #[tokio::test]
    async fn a_helper_is_a_program_of_its_own_name() {
        for (name, expected) in
            [("../../bin/sh", "its name is not"), ("absent", "is not installed")]
        {
            let error = Helper { name, path: None }.get("r.io").await.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
