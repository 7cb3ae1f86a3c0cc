//! How much containers wrote.

use std::path::PathBuf;

use layerfs::{Container, FileKind, Root};

use crate::error::Failure;

/// The bytes of the regular files that are a container's own.
pub(crate) fn written(container: &Container) -> Result<u64, Failure> {
    let root = Root::open(&container.upper())?;
    let mut bytes = 0;
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        for (name, kind) in root.read_dir(&directory)? {
            let path = directory.join(name);
            match kind {
                FileKind::Dir => directories.push(path),
                FileKind::File => bytes += root.stat(&path)?.map_or(0, |found| found.size),
                _ => {}
            }
        }
    }
    Ok(bytes)
}
