//! What ADD fetches: how the result is keyed and made.

use std::io::{Read, Write};
use std::path::Path;

use layerfs::{Root, Timestamp};
use oci::{Algorithm, Digest};

use super::RemoteUrl;
use crate::cache::{CacheKey, KeyHasher};
use crate::cancel::Cancel;
use crate::error::StepCause;
use crate::remote::{GitSource, RemoteFile, redacted};
use crate::tree::{failed, failed_io};

/// What a fetched file may be read by, and by whom: its owner alone, as BuildKit has it.
const MODE: u32 = 0o600;

/// The key of a file whose digest is known: what the server says is of no interest.
pub(crate) fn file_key_by_checksum(file: &RemoteUrl) -> Option<CacheKey> {
    let checksum = file.checksum.as_ref()?;
    let mut hasher = KeyHasher::new("remote file/1");
    hasher.text(&file.url);
    hasher.text(&file.name);
    hasher.text(&checksum.to_string());
    Some(hasher.finish())
}

/// The key of a file that a server knows by its validators; none if it gave none.
pub(crate) fn file_key_by_validators(file: &RemoteUrl, answer: &RemoteFile) -> Option<CacheKey> {
    if answer.etag.is_none() && answer.last_modified.is_none() {
        return None;
    }
    let mut hasher = KeyHasher::new("remote file by validators/1");
    hasher.text(&file.url);
    hasher.text(&file.name);
    hasher.optional(answer.etag.as_deref());
    hasher.optional(answer.last_modified.map(|time| time.to_string()).as_deref());
    hasher.optional(answer.size.map(|size| size.to_string()).as_deref());
    Some(hasher.finish())
}

/// The key of a part of a commit.
pub(crate) fn git_key(source: &GitSource, commit: &str) -> CacheKey {
    let mut hasher = KeyHasher::new("remote git/1");
    hasher.text(&source.url);
    hasher.text(commit);
    hasher.optional(source.directory.as_deref());
    hasher.flag(source.keep_git_dir);
    // What is kept of `.git` names the reference.
    hasher.optional(source.reference.as_deref().filter(|_| source.keep_git_dir));
    hasher.flag(source.submodules);
    hasher.finish()
}

/// Reads a file into the tree `into`, telling `progress` the bytes so far.
///
/// # Errors
/// If the bytes stop coming, cannot be written, or are not those of the checksum.
pub(crate) fn download(
    file: &RemoteUrl,
    mut answer: RemoteFile,
    into: &Root,
    cancel: &Cancel,
    progress: &dyn Fn(u64),
) -> Result<(), StepCause> {
    let path = Path::new(&file.name);
    let mut output = into.create_file(path, MODE).map_err(|e| failed("create", path, e))?;
    let mut hasher = file.checksum.as_ref().map(|_| Algorithm::Sha256.hasher());
    let mut buffer = vec![0; 256 << 10];
    let mut total = 0;
    loop {
        if cancel.is_cancelled() {
            return Err(StepCause::Cancelled);
        }
        let count = match answer.body.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(broken(&file.url, e)),
        };
        let bytes = &buffer[..count];
        if let Some(hasher) = &mut hasher {
            hasher.update(bytes);
        }
        output.write_all(bytes).map_err(|e| failed_io("write", path, e))?;
        total += count as u64;
        progress(total);
    }
    if let (Some(hasher), Some(wanted)) = (hasher, &file.checksum) {
        check(&file.url, &hasher.finish(), wanted)?;
    }
    let time = Timestamp::at(answer.last_modified.unwrap_or(0));
    into.set_mtime(path, time).map_err(|e| failed("set the time of", path, e))?;
    // The directory that holds it is nobody's: it gets a time that says nothing.
    into.set_mtime("", Timestamp::at(0)).map_err(|e| failed("set the time of", Path::new(""), e))
}

fn check(url: &str, found: &Digest, wanted: &Digest) -> Result<(), StepCause> {
    if found == wanted {
        return Ok(());
    }
    let (found, wanted) = (found.to_string(), wanted.to_string());
    Err(StepCause::Checksum { url: redacted(url), found, wanted })
}

fn broken(url: &str, error: std::io::Error) -> StepCause {
    let source = Box::new(oci::Error::io("read", redacted(url), error));
    StepCause::Fetch { url: redacted(url), source }
}
