//! Certificates for single registries, as docker and containers keep them (containers-certs.d(5)):
//! a directory a registry, with `*.crt` to trust, and `NAME.cert` and `NAME.key` to be known by.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::HostTls;
use crate::{Error, Result};

/// The certificates in a registry's directory; none if there is no such directory, or it is not
/// for us to read.
///
/// # Errors
/// If a certificate has no key or a key no certificate.
pub(super) fn read(directory: &Path) -> Result<HostTls> {
    let mut tls = HostTls::default();
    for path in entries(directory)? {
        let beside = |extension, what| {
            let other = path.with_extension(extension);
            if other.is_file() { Ok(other) } else { Err(lone(&path, what)) }
        };
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => tls.roots.push(path),
            Some("cert") => {
                let key = beside("key", "a key")?;
                tls.identity.get_or_insert((path, key));
            }
            Some("key") => {
                beside("cert", "a certificate (what is to be trusted ends in `.crt`)")?;
            }
            _ => {}
        }
    }
    Ok(tls)
}

fn lone(path: &Path, what: &str) -> Error {
    let message = format!("{} has not {what} beside it", path.display());
    Error::Setup { what: "the certificates of a registry", source: message.into() }
}

/// What is in a directory, sorted.
fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let list = match std::fs::read_dir(directory) {
        Ok(list) => list,
        Err(error) if is_not_ours(&error) => return Ok(Vec::new()),
        Err(error) => return Err(super::files::unreadable(directory, error)),
    };
    let mut paths: Vec<PathBuf> = list.flatten().map(|entry| entry.path()).collect();
    paths.sort_unstable();
    Ok(paths)
}

/// Whether a path is absent, or closed to this user, as other programs take it too.
pub(super) fn is_not_ours(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | NotADirectory | PermissionDenied)
}
