//! The texts of a build, of which no more is read than anybody writes.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use builder::syntax::Source;
use layerfs::{FileKind, Root};

use crate::error::{Doing, Failure};

/// The largest Dockerfile or ignore file that is read, in bytes.
const MAX_TEXT: u64 = 16 << 20;

/// A file of the machine as text; `None` if there is none.
pub(super) fn read_text(path: &Path) -> Result<Option<String>, Failure> {
    let Some(bytes) = read_file(path)? else { return Ok(None) };
    let text = String::from_utf8(bytes).doing(|| format!("{} is no UTF-8 text", path.display()))?;
    Ok(Some(text))
}

/// A file of the machine, up to a little more than what we take; `None` if there is none.
pub(super) fn read_file(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let cannot = || format!("cannot read {}", path.display());
    match File::open(path) {
        Ok(file) => Ok(Some(read_stream(file).doing(cannot)?)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).doing(cannot),
    }
}

/// The same of a tree that somebody else made.
pub(super) fn read_in(tree: &Root, path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let cannot = || format!("cannot read {} of the context", path.display());
    match tree.stat_followed(path).doing(cannot)? {
        Some(found) if found.kind == FileKind::File => {
            let file = tree.open_file(path).doing(cannot)?;
            Ok(Some(read_stream(file).doing(cannot)?))
        }
        _ => Ok(None),
    }
}

/// What comes, up to a little more than what we take.
pub(super) fn read_stream(input: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(MAX_TEXT + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The Dockerfile of these bytes.
pub(super) fn source(name: &str, bytes: Vec<u8>) -> Result<Source, Failure> {
    if bytes.len() as u64 > MAX_TEXT {
        return Err(Failure::new(format!("{name} has more than {} MiB", MAX_TEXT >> 20)));
    }
    Ok(Source::from_bytes(name, bytes)?)
}
