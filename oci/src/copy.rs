//! From one place to another.

use std::io;

use crate::{BlobRead, BlobStore, Descriptor, Error, Result};

/// Copies to `to` the blobs of `wanted` that it lacks, and answers with the bytes copied.
///
/// # Errors
/// If a blob is missing in `from`, does not verify, or cannot be written.
pub fn copy_missing_blobs<'a>(
    from: &dyn BlobRead,
    to: &dyn BlobStore,
    wanted: impl IntoIterator<Item = &'a Descriptor>,
) -> Result<u64> {
    let mut copied = 0;
    for blob in wanted {
        if to.size(&blob.digest)?.is_some() {
            continue;
        }
        let mut ingest = to.ingest()?;
        io::copy(&mut from.open(blob)?, &mut ingest)
            .map_err(|e| Error::io("copy", format!("blob {}", blob.digest), e))?;
        copied += ingest.commit(Some(&blob.digest))?.1;
    }
    Ok(copied)
}
