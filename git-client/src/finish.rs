//! What makes a checkout the same wherever it is made.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use gix::ObjectId;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use crate::error::{Error, Result};

/// The files of `.git` that say nothing about the repository.
const NEEDLESS: [&str; 6] = ["hooks", "description", "info", "FETCH_HEAD", "refs/fetched", "logs"];

/// Leaves in `.git` what commands of git need: at this commit, and on no branch.
pub(crate) fn keep(git_dir: &Path, commit: ObjectId, url: &str) -> Result<()> {
    for name in NEEDLESS {
        let path = git_dir.join(name);
        let removed = match path.is_dir() {
            true => fs::remove_dir_all(&path),
            false if path.exists() => fs::remove_file(&path),
            false => Ok(()),
        };
        removed.map_err(Error::io("remove", &path))?;
    }
    let head = git_dir.join("HEAD");
    fs::write(&head, format!("{commit}\n")).map_err(Error::io("write", &head))?;
    let config = git_dir.join("config");
    let failed = || Error::io("write", &config);
    let text = fs::read_to_string(&config).map_err(failed())?;
    let url = without_credentials(url);
    let origin = format!(
        "[remote \"origin\"]\n\turl = {url}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n"
    );
    fs::write(&config, text + &origin).map_err(failed())
}

fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    let host = rest[..end].rfind('@').map_or(0, |at| at + 1);
    format!("{scheme}://{}", &rest[host..])
}

/// Gives what is below `directory`, and itself, a time and the modes that git knows.
pub(crate) fn normalise(directory: &Path, time: i64) -> Result<()> {
    let failed = || Error::io("read the directory", directory);
    for entry in fs::read_dir(directory).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(failed())?);
        if kind.is_dir() {
            normalise(&path, time)?;
            continue;
        }
        if kind.is_file() {
            let mode = entry.metadata().map_err(failed())?.permissions().mode();
            set_mode(&path, if mode & 0o100 == 0 { 0o644 } else { 0o755 })?;
        }
        set_time(&path, time)?;
    }
    set_mode(directory, 0o755)?;
    set_time(directory, time)
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    let permissions = fs::Permissions::from_mode(mode);
    fs::set_permissions(path, permissions).map_err(Error::io("set the mode of", path))
}

fn set_time(path: &Path, time: i64) -> Result<()> {
    let time = Timespec { tv_sec: time, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|error| Error::io("set the time of", path)(error.into()))
}
