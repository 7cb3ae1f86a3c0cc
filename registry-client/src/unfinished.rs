//! Transfers under way, remembered in a directory: what a killed process leaves, the next one
//! goes on with.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::{Duration, SystemTime};

use oci::{Digest, Reference};
use serde::{Deserialize, Serialize};

/// How large a note may be, in bytes.
const MAX_NOTE: u64 = 64 << 10;
/// How long a note is of use: registries forget an upload within a week.
const LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// The directory of notes. Each is locked by who works at its transfer; nobody else touches it.
pub(crate) struct Unfinished {
    directory: PathBuf,
    prepared: Once,
}

/// What is known of an upload session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedSession {
    pub(crate) location: String,
    pub(crate) chunk_minimum: u64,
}

impl Unfinished {
    pub(crate) fn new(directory: PathBuf) -> Unfinished {
        Unfinished { directory, prepared: Once::new() }
    }

    /// The note of an upload into a repository, which nobody else holds. `blob` is its digest or,
    /// as long as nobody knows that, a name for what it is made of. Notes are a matter of time
    /// alone: one that cannot be taken is none.
    pub(crate) fn upload(&self, repository: &Reference, blob: &str) -> Option<Note> {
        self.note(self.upload_path(repository, blob))
    }

    /// The note of a blob's first bytes, which are its content.
    pub(crate) fn download(&self, blob: &Digest) -> Option<Note> {
        self.note(self.download_path(blob))
    }

    /// Whether there is one.
    pub(crate) fn has_download(&self, blob: &Digest) -> bool {
        self.download_path(blob).exists()
    }

    fn download_path(&self, blob: &Digest) -> PathBuf {
        self.directory.join(file_name(&format!("download {blob}")))
    }

    /// Gives an upload that was known by another name its digest.
    pub(crate) fn name_upload(&self, repository: &Reference, before: &str, digest: &Digest) {
        let after = self.upload_path(repository, &digest.to_string());
        // There is none if the upload has not begun.
        let _ = fs::rename(self.upload_path(repository, before), after);
    }

    fn upload_path(&self, repository: &Reference, blob: &str) -> PathBuf {
        let (registry, path) = (repository.registry(), repository.repository());
        self.directory.join(file_name(&format!("upload {registry} {path} {blob}")))
    }

    fn note(&self, path: PathBuf) -> Option<Note> {
        self.prepared.call_once(|| {
            if let Err(error) = prepare(&self.directory) {
                tracing::debug!(%error, "nothing will be remembered");
            }
        });
        // Others have no business with addresses that may be signed.
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).ok()?;
        file.try_lock().ok()?;
        Some(Note { file, path })
    }
}

fn file_name(key: &str) -> String {
    Digest::sha256(key.as_bytes()).hex().to_owned()
}

/// Makes the directory, and removes what is too old.
fn prepare(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let now = SystemTime::now();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let age = now.duration_since(entry.metadata()?.modified()?).unwrap_or_default();
        if age > LIFE {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// One note, locked as long as this lives.
pub(crate) struct Note {
    pub(crate) file: File,
    path: PathBuf,
}

impl Note {
    /// The session that was written down, if it can be read.
    pub(crate) fn session(&self) -> Option<SavedSession> {
        let mut bytes = Vec::new();
        (&self.file).take(MAX_NOTE).read_to_end(&mut bytes).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Writes down a session.
    pub(crate) fn keep(&self, session: &SavedSession) {
        let bytes = serde_json::to_vec(session).expect("a text and a number are JSON");
        let written =
            self.file.write_all_at(&bytes, 0).and_then(|()| self.file.set_len(bytes.len() as u64));
        if let Err(error) = written {
            tracing::debug!(%error, "an upload is not remembered");
        }
    }

    /// Follows what [`Unfinished::name_upload`] did.
    pub(crate) fn named(&mut self, unfinished: &Unfinished, to: &Reference, digest: &Digest) {
        let path = unfinished.upload_path(to, &digest.to_string());
        // It may have been moved already.
        let _ = fs::rename(&self.path, &path);
        self.path = path;
    }

    /// Removes the note: the transfer has ended, or is of no more use.
    pub(crate) fn forget(self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> SavedSession {
        SavedSession { location: "https://r.io/up?_state=1".into(), chunk_minimum: 7 }
    }

    #[test]
    fn a_note_is_held_by_one_and_found_by_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let unfinished = Unfinished::new(directory.path().join("new"));
        let name: Reference = "r.io/a".parse().unwrap();
        let note = unfinished.upload(&name, "x").unwrap();
        assert_eq!(note.session(), None);
        note.keep(&session());
        assert!(unfinished.upload(&name, "x").is_none(), "two work at one upload");
        let digest = Digest::sha256(b"x");
        unfinished.name_upload(&name, "x", &digest);
        drop(note);
        let note = unfinished.upload(&name, &digest.to_string()).unwrap();
        assert_eq!(note.session(), Some(session()));
        note.forget();
        let note = unfinished.upload(&name, &digest.to_string()).unwrap();
        assert_eq!(note.session(), None);
        let other: Reference = "r.io/b".parse().unwrap();
        assert!(unfinished.upload(&other, "x").is_some_and(|note| note.session().is_none()));
    }

    #[test]
    fn a_note_that_was_cut_short_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let unfinished = Unfinished::new(directory.path().to_owned());
        let name: Reference = "r.io/a".parse().unwrap();
        let note = unfinished.upload(&name, "x").unwrap();
        note.keep(&session());
        note.file.set_len(10).unwrap();
        drop(note);
        assert_eq!(unfinished.upload(&name, "x").unwrap().session(), None);
    }

    #[test]
    fn where_nothing_can_be_written_nothing_is_remembered() {
        let unfinished = Unfinished::new("/proc/nothing".into());
        assert!(unfinished.upload(&"r.io/a".parse().unwrap(), "x").is_none());
    }
}
