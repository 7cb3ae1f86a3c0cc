//! Archives whose compression nobody has told us.

use std::io::{self, Cursor, Read};
use std::sync::{Arc, Mutex, PoisonError};

use crate::{Error, Result};

use super::decode::{decode, read_prefix, wants_memory};
use super::sniff::{Format, SNIFF_LEN, sniff};

/// How many compressed bytes may be kept while looking for the first block of a tar. Every
/// decoder yields it after far fewer, unless the data is made to keep us waiting.
const LOOK_AHEAD: usize = 16 << 20;

/// Opens what may be a tar, compressed or not, as `ADD` and `load` take it.
///
/// With a tar inside, answers how it was compressed ([`Format::Tar`]: not at all) and with a
/// reader of the tar. Otherwise answers `None` and with a reader of the very bytes of `input`: a
/// compressed file that holds no tar is a file like any other, and so is a tar without entries.
///
/// # Errors
/// If `input` cannot be read, or its decompression asks for more memory than is allowed: that
/// may well be an archive.
pub fn open_archive<'a>(
    mut input: Box<dyn Read + Send + 'a>,
) -> Result<(Option<Format>, Box<dyn Read + Send + 'a>)> {
    let prefix = read_prefix(&mut input)?;
    let found = sniff(&prefix);
    let whole: Box<dyn Read + Send + 'a> = Box::new(Cursor::new(prefix).chain(input));
    let format = match found {
        None | Some(Format::Tar) => return Ok((found, whole)),
        Some(compressed) => compressed,
    };
    let source = Source { inner: whole, seen: Some(Vec::new()), failed: None };
    let source = Arc::new(Mutex::new(Some(source)));
    let mut decoder = decode(format, Box::new(Shared(Arc::clone(&source))))?;
    let mut first = Vec::new();
    let probed = (&mut decoder).take(SNIFF_LEN as u64).read_to_end(&mut first);
    if let Some(failed) = lock(&source).as_mut().and_then(|source| source.failed.take()) {
        return Err(Error::io("read", "compressed data", failed));
    }
    match probed {
        Ok(_) if sniff(&first) == Some(Format::Tar) => {
            if let Some(source) = &mut *lock(&source) {
                source.seen = None;
            }
            return Ok((Some(format), Box::new(Cursor::new(first).chain(decoder))));
        }
        Err(e) if wants_memory(&e) => return Err(Error::io("decompress", "archive", e)),
        // Broken data is no archive; whoever wants its bytes gets them as they are.
        _ => {}
    }
    drop(decoder);
    let rest: Box<dyn Read + Send + 'a> = match lock(&source).take() {
        Some(Source { inner, seen, .. }) => {
            Box::new(Cursor::new(seen.unwrap_or_default()).chain(inner))
        }
        None => Box::new(io::empty()),
    };
    Ok((None, rest))
}

/// The input, with what the probe has taken from it.
struct Source<'a> {
    inner: Box<dyn Read + Send + 'a>,
    seen: Option<Vec<u8>>,
    /// Why it could not be read, which a decoder may not pass on.
    failed: Option<io::Error>,
}

/// Lets the decoder read the input and gives it back when the decoder is dropped.
struct Shared<'a>(Arc<Mutex<Option<Source<'a>>>>);

fn lock<'g, 'a>(
    source: &'g Mutex<Option<Source<'a>>>,
) -> std::sync::MutexGuard<'g, Option<Source<'a>>> {
    source.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Read for Shared<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut source = lock(&self.0);
        let Some(source) = &mut *source else { return Ok(0) };
        if source.seen.as_ref().is_some_and(|seen| seen.len() >= LOOK_AHEAD) {
            return Err(io::Error::other("no tar within the first 16 MiB"));
        }
        let count = match source.inner.read(buffer) {
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return Err(e),
            Err(e) if source.seen.is_some() => {
                let kind = e.kind();
                source.failed = Some(e);
                return Err(kind.into());
            }
            Err(e) => return Err(e),
        };
        if let Some(seen) = &mut source.seen {
            seen.extend_from_slice(&buffer[..count]);
        }
        Ok(count)
    }
}
