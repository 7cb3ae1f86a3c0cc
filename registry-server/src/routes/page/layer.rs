//! `/ui/<repository>@<digest>` of a layer: the files in it.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use oci::Digest;
use oci::archive::{Listed, list_tar};
use oci::compress::open_archive;
use tokio::sync::mpsc::{Receiver, channel};

use super::html::{bytes, code, escape, link, page, table};
use crate::Registry;
use crate::name::Repository;
use crate::problem::{Code, Problem};
use http::StatusCode;

/// How many files a page lists.
const MOST_FILES: usize = 10_000;
/// How long a layer may take to be looked through: what is in it is unpacked for that.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many layers are looked through at once.
pub(crate) const MOST_AT_ONCE: usize = 2;

/// The page of a blob, `None` if the repository has none of this digest.
pub(super) async fn answer(
    registry: &Registry,
    name: &Repository,
    digest: &Digest,
) -> Result<Option<String>, Problem> {
    let Some(blob) = registry.0.storage.0.open_blob(name, digest).await? else { return Ok(None) };
    let busy = || {
        let message = "too many layers are being looked through: ask again later";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::TooManyRequests, message)
    };
    let permit = registry.0.listings.clone().try_acquire_owned().map_err(|_| busy())?;
    let (size, mut content) = (blob.size, blob.content.stream(0..blob.size));
    let (sender, receiver) = channel(4);
    tokio::spawn(async move {
        while let Some(chunk) = content.next().await {
            if sender.send(chunk).await.is_err() {
                // Whoever lists has seen enough.
                break;
            }
        }
    });
    let listing = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        list(Incoming { receiver, rest: Bytes::new() }, Instant::now() + PATIENCE)
    });
    let listed = listing.await.unwrap_or_else(|_| Err("it could not be read".to_owned()));
    let back = link(&format!("/ui/{name}"), name.as_str());
    let raw = link(&format!("/v2/{name}/blobs/{digest}"), "bytes");
    let mut out = format!("<p>{back} · {raw}, {}</p>", bytes(size));
    match listed {
        Ok((files, more)) => {
            out += &table(&["Mode", "Owner", "Size", "Path"], &rows(&files));
            if more {
                out += &format!("<p>and more than these {MOST_FILES}</p>");
            }
        }
        Err(reason) => out += &format!("<p>no files are shown: {}</p>", escape(&reason)),
    }
    Ok(Some(page(&format!("{name}@{digest}"), &out)))
}

fn list(incoming: Incoming, until: Instant) -> Result<(Vec<Listed>, bool), String> {
    let incoming = Until { inner: Box::new(incoming), until };
    let (format, tar) = open_archive(Box::new(incoming)).map_err(|error| why(&error))?;
    if format.is_none() {
        return Err("it is no tar".to_owned());
    }
    // A few bytes can become so many that nothing is read for long.
    list_tar(&mut Until { inner: tar, until }, MOST_FILES).map_err(|error| why(&error))
}

/// An error with its causes.
fn why(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Fails when it is too late.
struct Until<'a> {
    inner: Box<dyn Read + Send + 'a>,
    until: Instant,
}

impl Read for Until<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if Instant::now() > self.until {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it takes too long"));
        }
        self.inner.read(buffer)
    }
}

fn rows(files: &[Listed]) -> Vec<Vec<String>> {
    let row = |file: &Listed| {
        let target = match (&file.target, file.kind) {
            (Some(target), 'l' | 'h') => format!(" → {}", code(target)),
            _ => String::new(),
        };
        vec![
            code(&format!("{}{:04o}", file.kind, file.mode)),
            code(&format!("{}:{}", file.owner.0, file.owner.1)),
            bytes(file.size),
            format!("{}{target}", code(&file.path)),
        ]
    };
    files.iter().map(row).collect()
}

/// A blob as it comes, for a thread that waits for it.
struct Incoming {
    receiver: Receiver<io::Result<Bytes>>,
    rest: Bytes,
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.receiver.blocking_recv() {
                Some(chunk) => self.rest = chunk?,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.rest.len());
        buffer[..count].copy_from_slice(&self.rest.split_to(count));
        Ok(count)
    }
}
