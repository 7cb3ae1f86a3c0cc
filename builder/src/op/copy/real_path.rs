//! Where a path leads.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use layerfs::{FileKind, Metadata, Root};
use rustix::io::Errno;

use crate::error::StepCause;
use crate::tree::{failed, failed_io};

/// How many symlinks one path may lead through, as in the kernel.
const MAX_LINKS: usize = 40;

/// Where `path` is when all symlinks are followed, and what is there. What is missing is taken
/// as written.
pub(super) fn real_path(
    root: &Root,
    path: &Path,
) -> Result<(PathBuf, Option<Metadata>), StepCause> {
    let stat = |path: &Path| root.stat(path).map_err(|e| failed("examine", path, e));
    let mut todo: Vec<OsString> = names(path);
    let mut done = PathBuf::new();
    let mut metadata = stat(&done)?;
    let mut links = 0;
    while let Some(name) = todo.pop() {
        if name == ".." {
            done.pop();
            metadata = stat(&done)?;
            continue;
        }
        let at = done.join(&name);
        metadata = stat(&at)?;
        if metadata.as_ref().is_some_and(|metadata| metadata.kind == FileKind::Symlink) {
            links += 1;
            if links > MAX_LINKS {
                return Err(failed_io("follow the symlinks of", path, Errno::LOOP.into()));
            }
            let link = root.read_link(&at).map_err(|e| failed("read", &at, e))?;
            if link.is_absolute() {
                done = PathBuf::new();
            }
            todo.extend(names(&link));
            metadata = stat(&done)?;
        } else {
            done = at;
        }
    }
    Ok((done, metadata))
}

/// The names of a path, the last one first.
fn names(path: &Path) -> Vec<OsString> {
    let names = path.components().rev().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    names.collect()
}
