//! The keys of an issuer of tokens: a JWK set in a file, or behind a URL.

use std::path::Path;
use std::time::Duration;

use registry_client::{Client, Config, FileRequest, Proxies};

use super::settings::read;
use crate::app::App;
use crate::error::{Doing, Failure};

/// How large a key set may be, in bytes.
const LARGEST: usize = 1 << 20;
/// How often keys behind a URL are asked for again: issuers change them now and then.
pub(super) const EVERY: Duration = Duration::from_secs(600);

/// Whether keys come from elsewhere, and may change there.
pub(super) fn are_remote(place: &str) -> bool {
    place.starts_with("https://") || place.starts_with("http://")
}

/// The key set at a place.
pub(super) async fn get(place: &str, app: &App) -> Result<Vec<u8>, Failure> {
    if !are_remote(place) {
        return read(Path::new(place));
    }
    let client = Client::new(Config {
        proxies: Proxies::from_variables(|name| app.machine.variable(name)),
        ..Config::default()
    });
    let request = FileRequest { url: place, authorization: None, headers: &[], body: None };
    let failed = || "cannot get the keys of the issuer".to_owned();
    let mut keys = client.download(request).await.doing(failed)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = keys.chunk().await.doing(failed)? {
        if bytes.len() + chunk.len() > LARGEST {
            return Err(Failure::new(format!("{place} has more than {LARGEST} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
