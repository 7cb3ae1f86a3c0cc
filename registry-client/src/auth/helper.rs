//! Credential helpers: programs named `docker-credential-NAME` (docker-credential-helpers).

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

/// Asks a helper for a server's credential.
pub(super) async fn get(helper: &str, server: &str) -> Result<Option<Credential>> {
    match run(helper, "get", server.as_bytes()).await? {
        Output { success: false, text } if text.contains("credentials not found") => Ok(None),
        Output { success: false, text } => Err(failed(helper, text.trim())),
        Output { success: true, text } => {
            let found: Found = serde_json::from_str(&text).map_err(|_| {
                failed(helper, "its answer is not JSON with `Username` and `Secret`")
            })?;
            Ok(config::from_pair(found.username, Secret::new(found.secret)))
        }
    }
}

/// Gives a helper a server's credential to keep.
pub(super) async fn store(
    helper: &str,
    server_url: &str,
    username: &str,
    secret: &Secret,
) -> Result<()> {
    let stored = Stored { server_url, username, secret: secret.reveal() };
    let input = serde_json::to_vec(&stored).expect("three strings are JSON");
    match run(helper, "store", &Zeroizing::new(input)).await? {
        Output { success: true, .. } => Ok(()),
        Output { success: false, text } => Err(failed(helper, text.trim())),
    }
}

/// Makes a helper forget a server; one that it does not know is no error.
pub(super) async fn erase(helper: &str, server: &str) -> Result<()> {
    match run(helper, "erase", server.as_bytes()).await? {
        Output { success: false, text } if !text.contains("credentials not found") => {
            Err(failed(helper, text.trim()))
        }
        Output { .. } => Ok(()),
    }
}

struct Output {
    success: bool,
    text: Zeroizing<String>,
}

async fn run(helper: &str, action: &str, input: &[u8]) -> Result<Output> {
    // The name comes from a file that may have been copied from anywhere.
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !helper.chars().all(word) {
        return Err(failed(helper, "its name is not the name of a program"));
    }
    match tokio::time::timeout(TIME_LIMIT, exchange(helper, action, input)).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(e)) if e.kind() == io::ErrorKind::NotFound => {
            Err(failed(helper, &format!("docker-credential-{helper} is not installed")))
        }
        Ok(Err(e)) => Err(failed(helper, &e.to_string())),
        Err(_) => Err(failed(helper, "it takes more than 60 seconds")),
    }
}

async fn exchange(helper: &str, action: &str, input: &[u8]) -> io::Result<Output> {
    let mut child = Command::new(format!("docker-credential-{helper}"))
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

fn failed(helper: &str, reason: &str) -> Error {
    let reason = reason.chars().filter(|c| !c.is_control()).take(500).collect();
    Error::Helper { helper: helper.to_owned(), reason }
}
