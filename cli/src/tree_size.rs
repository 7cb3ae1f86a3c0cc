//! How much the files below a directory take.

use std::path::{Path, PathBuf};

use layerfs::{FileKind, Root};

use crate::error::Failure;

/// The bytes of all regular files below `directory`; links in it lead nowhere.
pub(crate) fn tree_size(directory: &Path) -> Result<u64, Failure> {
    let root = Root::open(directory)?;
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
