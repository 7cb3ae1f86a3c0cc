//! What a copy is of, and where it goes: docker's rules, which are those of `cp -a`.

use std::path::{Path, PathBuf};

use layerfs::{FileKind, Root};

use crate::containers::files::follow_last;
use crate::error::Failure;

/// What is copied.
#[derive(Debug)]
pub(super) struct Source {
    /// Where it is.
    pub(super) path: PathBuf,
    /// Its name in an archive, nothing for what a directory has in it.
    pub(super) name: PathBuf,
    is_directory: bool,
}

impl Source {
    /// Looks at what is at `path`, which was written as `text`.
    pub(super) fn look(root: &Root, path: PathBuf, text: &str) -> Result<Source, Failure> {
        let followed = text.ends_with('/') || text.ends_with("/.");
        let found = if followed { root.stat_followed(&path) } else { root.stat(&path) };
        let found =
            found?.ok_or_else(|| Failure::new(format!("no such file or directory: {text}")))?;
        let is_directory = found.kind == FileKind::Dir;
        if followed && !is_directory {
            return Err(Failure::new(format!("{text} is no directory")));
        }
        // A link with a slash behind it is the directory that it leads to.
        let path = if followed { follow_last(root, &path)? } else { path };
        let content_only = text.ends_with("/.") || matches!(text, "." | "" | "/");
        let name = match clean(Path::new(&format!("/{text}"))).file_name() {
            Some(name) if !content_only => PathBuf::from(name),
            _ => PathBuf::new(),
        };
        Ok(Source { path, name, is_directory })
    }
}

/// Where a copy goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// An existing directory.
    pub(super) directory: PathBuf,
    /// The name that the copy has there; nothing for what goes into the directory itself.
    pub(super) name: PathBuf,
}

/// Where a copy of `source` to `path`, which was written as `text`, goes.
pub(super) fn target_of(
    root: &Root,
    path: &Path,
    text: &str,
    source: &Source,
) -> Result<Target, Failure> {
    let path = follow_last(root, path)?;
    match root.stat_followed(&path)?.map(|found| found.kind) {
        Some(FileKind::Dir) => {
            return Ok(Target { directory: path, name: source.name.clone() });
        }
        Some(_) if source.is_directory => {
            return Err(Failure::new(format!("cannot copy directory to the file {text}")));
        }
        Some(_) if text.ends_with('/') => {
            return Err(Failure::new(format!("{text} is no directory")));
        }
        None if text.ends_with('/') && !source.is_directory => {
            return Err(Failure::new(format!("no such directory: {text}")));
        }
        _ => {}
    }
    let path = clean(&path);
    let (directory, name) = match (path.parent(), path.file_name()) {
        (Some(directory), Some(name)) => (directory.to_owned(), PathBuf::from(name)),
        _ => return Err(Failure::new(format!("{text} cannot be made"))),
    };
    match root.stat_followed(&directory)?.map(|found| found.kind) {
        Some(FileKind::Dir) => Ok(Target { directory, name }),
        _ => Err(Failure::new(format!("no such directory: {}", directory.display()))),
    }
}

/// A path without `.`, a slash at its end, and `..` behind a name.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            std::path::Component::ParentDir => drop(clean.pop()),
            component => clean.push(component),
        }
    }
    clean
}
