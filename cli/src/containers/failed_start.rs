//! Why a container could not be started the last time: a file in its directory, for `inspect`.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use crate::containers::OWN_FAILURE;
use crate::error::Failure;

const FILE: &str = "error";
/// The most that is read of it, in bytes.
const MOST: u64 = 64 << 10;
/// What docker notes as the status of a container when the reason is not its program.
const OTHER_REASON: i32 = 128;

/// Notes a failure; answers with the status to be noted with it.
pub(crate) fn note(dir: &Path, failure: &Failure) -> i32 {
    if let Err(error) = fs::write(dir.join(FILE), &failure.message) {
        tracing::warn!(%error, "it is not noted why the container was not started");
    }
    if failure.code == OWN_FAILURE { OTHER_REASON } else { failure.code.into() }
}

/// Forgets an earlier one: the container is about to start.
pub(crate) fn forget(dir: &Path) -> io::Result<()> {
    match fs::remove_file(dir.join(FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What was noted; empty if nothing was.
pub(crate) fn noted(dir: &Path) -> String {
    let mut text = String::new();
    let read = fs::File::open(dir.join(FILE)).map(|file| file.take(MOST).read_to_string(&mut text));
    // One that cannot be read says nothing.
    read.map_or(String::new(), |_| text)
}
