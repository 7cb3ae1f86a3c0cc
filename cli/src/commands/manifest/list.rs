//! Lists that were begun and are in no registry yet: a file for each.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use layerfs::Lease;
use oci::edit::{Annotate, PlaceImages, PlatformChange};
use oci::transfer::{Edit, Joined, Origin};
use oci::{Digest, Reference};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::clients::ConnectionArgs;
use crate::copying::{Location, origin};
use crate::error::{Doing, Failure};
use crate::staged_file::StagedFile;

/// A list.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct List {
    pub(super) entries: Vec<Entry>,
}

/// An image that a list has.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The name that it was added by.
    pub(super) name: String,
    /// Where it is, now and later: in a registry by its digest.
    place: String,
    pub(super) digest: Digest,
    #[serde(default)]
    pub(super) platform: PlatformChange,
}

impl Entry {
    /// Looks an image up.
    pub(super) fn find(
        text: &str,
        app: &App,
        lease: &Lease,
        connection: &ConnectionArgs,
    ) -> Result<Entry, Failure> {
        let location = Location::of_registry(text)?;
        let digest = origin(app, lease, &location, connection)?.root()?.digest().clone();
        let place = match &location {
            Location::Registry(name) => format!("docker://{}", name.with_digest(digest.clone())),
            _ => text.to_owned(),
        };
        Ok(Entry { name: text.to_owned(), place, digest, platform: PlatformChange::default() })
    }

    /// Whether a text names it.
    pub(super) fn is(&self, text: &str) -> bool {
        let same_name = || {
            let names = (self.name.parse::<Reference>(), text.parse::<Reference>());
            matches!(names, (Ok(mine), Ok(given)) if mine == given)
        };
        self.name == text || self.place == text || self.digest.to_string() == text || same_name()
    }
}

impl List {
    /// Puts an image on it, in place of the same one.
    pub(super) fn add(&mut self, entry: Entry) {
        match self.entries.iter_mut().find(|known| known.digest == entry.digest) {
            Some(known) => *known = entry,
            None => self.entries.push(entry),
        }
    }

    /// The images as one index.
    pub(super) fn joined(
        &self,
        app: &App,
        lease: &Lease,
        connection: &ConnectionArgs,
    ) -> Result<Joined, Failure> {
        let open = |entry: &Entry| -> Result<Box<dyn Origin>, Failure> {
            origin(app, lease, &Location::of_registry(&entry.place)?, connection)
        };
        let origins = self.entries.iter().map(open).collect::<Result<_, _>>()?;
        Joined::of_all(origins, false).doing(|| "cannot make the list".to_owned())
    }

    /// What of the index is said otherwise.
    pub(super) fn edits(&self, notes: Annotate) -> Vec<Box<dyn Edit>> {
        let place = |entry: &Entry| (entry.digest.clone(), entry.platform.clone());
        let changes = self.entries.iter().map(place).collect();
        vec![Box::new(PlaceImages { changes }), Box::new(notes)]
    }
}

/// The lists of a store, kept from others while this lives.
pub(super) struct Lists {
    dir: PathBuf,
    _lock: File,
}

impl Lists {
    pub(super) fn open(app: &App) -> Result<Lists, Failure> {
        let dir = app.store()?.cache_dir("manifests")?;
        let failed = || format!("cannot lock {}", dir.display());
        let lock = File::open(&dir).doing(failed)?;
        flock(&lock, FlockOperation::LockExclusive).doing(failed)?;
        Ok(Lists { dir, _lock: lock })
    }

    fn path(&self, name: &Reference) -> PathBuf {
        // Names have characters that files cannot have.
        self.dir.join(Digest::sha256(name.to_string().as_bytes()).hex())
    }

    /// The list of this name.
    pub(super) fn find(&self, name: &Reference) -> Result<Option<List>, Failure> {
        let path = self.path(name);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).doing(|| format!("cannot read {}", path.display())),
        };
        let list = serde_json::from_slice(&text)
            .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
        Ok(Some(list))
    }

    /// The list of this name, which must be there.
    pub(super) fn existing(&self, name: &Reference) -> Result<List, Failure> {
        self.find(name)?.ok_or_else(|| {
            Failure::new(format!("no list `{}` was begun here", name.familiar()))
                .hint("begin it with `tierce manifest create`")
        })
    }

    pub(super) fn put(&self, name: &Reference, list: &List) -> Result<(), Failure> {
        let path = self.path(name);
        let text = serde_json::to_vec(list)
            .map_err(|error| Failure::new(format!("cannot write the list: {error}")))?;
        let write = || {
            let staged = StagedFile::beside(&path)?;
            staged.file().write_all(&text)?;
            staged.persist(&path)
        };
        write().doing(|| format!("cannot write {}", path.display()))
    }

    /// Removes a list; false if there is none.
    pub(super) fn remove(&self, name: &Reference) -> Result<bool, Failure> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).doing(|| format!("cannot remove {}", path.display())),
        }
    }
}
