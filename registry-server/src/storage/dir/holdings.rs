//! Which blobs stand in which repository.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oci::Digest;

use super::{file, layout};
use crate::name::Repository;
use crate::storage::Holding;
use crate::{Error, Result};

/// Finds the blobs of all repositories below a directory, those without an index, too: a push that
/// was given up has left them.
pub(super) fn walk(dir: &Path, prefix: &str, found: &mut Vec<Holding>) -> Result<()> {
    for (name, path) in directories(dir)? {
        let Some(component) = layout::component_of(&name) else { continue };
        let name = format!("{prefix}{component}");
        let Some(repository) = Repository::parse(&name) else { continue };
        blobs(&path.join("blobs"), &repository, found)?;
        walk(&path, &format!("{name}/"), found)?;
    }
    Ok(())
}

fn blobs(dir: &Path, repository: &Repository, found: &mut Vec<Holding>) -> Result<()> {
    for (digest, entry) in files(dir)? {
        let Ok(metadata) = entry.metadata() else { continue };
        let (repository, size) = (repository.clone(), metadata.len());
        found.push(Holding { repository, digest, size, since: linked(&metadata), removing: false });
    }
    Ok(())
}

/// The files `<algorithm>/<hex>` of a directory.
pub(super) fn files(dir: &Path) -> Result<Vec<(Digest, fs::DirEntry)>> {
    let mut found = Vec::new();
    for (algorithm, path) in directories(dir)? {
        for entry in list(&path)? {
            let hex = entry.file_name();
            let digest = format!("{algorithm}:{}", hex.to_string_lossy()).parse::<Digest>();
            found.extend(digest.ok().map(|digest| (digest, entry)));
        }
    }
    Ok(found)
}

/// When a file last got or lost a name: no earlier than when this repository got it.
fn linked(metadata: &fs::Metadata) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(metadata.ctime()).unwrap_or(0))
}

fn directories(dir: &Path) -> Result<Vec<(String, std::path::PathBuf)>> {
    let entries = list(dir)?.into_iter();
    let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    Ok(below
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
        .collect())
}

fn list(dir: &Path) -> Result<Vec<fs::DirEntry>> {
    match fs::read_dir(dir).and_then(Iterator::collect) {
        Err(e) if file::is_missing(&e) => Ok(Vec::new()),
        listed => listed.map_err(|e| Error::at("list", dir, e)),
    }
}
