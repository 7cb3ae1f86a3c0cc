//! Copies of what is in one tree into another.

use std::io::Write;
use std::path::Path;
use std::thread;

use crate::{Error, ExtractOptions, LinkAtTop, Result, Root, extract_archive, write_tree_from};

/// Copies what is at `path` of `source`, under `name`, below the directory `at` of `target`: as
/// [`write_tree_from`](crate::write_tree_from) reads and [`extract_archive`] writes.
///
/// # Errors
/// As both of these; the one that writes is told first.
pub fn copy_tree(
    source: &Root,
    (path, link): (&Path, LinkAtTop),
    name: &Path,
    target: (&Root, &Path),
    options: &ExtractOptions,
) -> Result<()> {
    let (mut reader, mut writer) = std::io::pipe().map_err(|e| Error::tree("copy", path, e))?;
    thread::scope(|scope| {
        let reading = scope.spawn(move || {
            let written = write_tree_from(source, (path, link), name, &mut writer);
            written.and_then(|()| writer.flush().map_err(|source| Error::WriteArchive { source }))
        });
        let extracted = extract_archive(&mut reader, target.0, target.1, options);
        // One that still writes is told by the pipe that nobody reads.
        drop(reader);
        let read = reading.join().unwrap_or(Err(Error::Cancelled));
        match (read, extracted) {
            // A reader that gave up had nothing more to send.
            (Err(error), Err(Error::ReadArchive { .. } | Error::MalformedArchive { .. })) => {
                Err(error)
            }
            (read, Ok(())) => read,
            (_, extracted) => extracted,
        }
    })
}
