//! Names for the builder. Elsewhere a builder is a daemon, of which there may be several; here
//! builds run in this program, and what a script made and chose as its builder is another name
//! for that: all of them share one cache.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use layerfs::Store;
use oci::Platform;
use serde::{Deserialize, Serialize};

use crate::error::{Doing, Failure};

/// The name that is always there.
pub(crate) const DEFAULT: &str = "default";
/// The file that says which builder was chosen. No builder has such a name.
const CHOSEN: &str = ".chosen";

/// One name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Named {
    pub(crate) name: String,
    /// What it was made for; nothing for this machine's platform.
    pub(crate) platforms: Vec<Platform>,
}

/// The names of a store.
pub(crate) struct Builders(PathBuf);

impl Builders {
    /// Those of a store.
    pub(crate) fn of(store: &Store) -> Result<Builders, Failure> {
        Ok(Builders(store.cache_dir("builders")?))
    }

    /// All of them, the one that is always there first.
    pub(crate) fn all(&self) -> Result<Vec<Named>, Failure> {
        let doing = || format!("cannot read {}", self.0.display());
        let mut all = vec![Named { name: DEFAULT.to_owned(), platforms: Vec::new() }];
        for entry in fs::read_dir(&self.0).doing(doing)? {
            let entry = entry.doing(doing)?;
            if entry.file_name() != CHOSEN {
                let text = fs::read(entry.path()).doing(doing)?;
                all.push(serde_json::from_slice(&text).doing(doing)?);
            }
        }
        all[1..].sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// The one with a name.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn find(&self, name: &str) -> Result<Named, Failure> {
        let found = self.all()?.into_iter().find(|builder| builder.name == name);
        found.ok_or_else(|| {
            Failure::new(format!("no builder \"{name}\" found"))
                .hint(format!("make it with `tierce buildx create --name {name}`"))
        })
    }

    /// The name of the one that was chosen last.
    pub(crate) fn chosen(&self) -> Result<String, Failure> {
        let name = match fs::read_to_string(self.0.join(CHOSEN)) {
            Ok(name) => name,
            Err(e) if e.kind() == ErrorKind::NotFound => DEFAULT.to_owned(),
            Err(e) => return Err(e).doing(|| format!("cannot read {}", self.0.display())),
        };
        let is_there = self.all()?.iter().any(|builder| builder.name == name);
        Ok(if is_there { name } else { DEFAULT.to_owned() })
    }

    /// Chooses one.
    pub(crate) fn choose(&self, name: &str) -> Result<(), Failure> {
        let name = self.find(name)?.name;
        self.write(CHOSEN, name.as_bytes())
    }

    /// Makes one.
    ///
    /// # Errors
    /// If it is there, or cannot have this name.
    pub(crate) fn create(&self, builder: &Named) -> Result<(), Failure> {
        let name = &builder.name;
        let is_letter = |c: char| c.is_ascii_alphanumeric();
        let is_name = name.starts_with(is_letter)
            && name.len() <= 128
            && name.chars().all(|c| is_letter(c) || "-_.".contains(c));
        if !is_name {
            return Err(Failure::new(format!("invalid builder name `{name:.140}`")));
        }
        if self.all()?.iter().any(|there| there.name == *name) {
            return Err(Failure::new(format!("there is a builder {name} already")));
        }
        let text = serde_json::to_vec(builder).doing(|| format!("cannot describe {name}"))?;
        self.write(name, &text)
    }

    /// Removes one; who had chosen it has the one that is always there.
    ///
    /// # Errors
    /// If there is none, or it is always there.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Failure> {
        if self.find(name)?.name == DEFAULT {
            return Err(Failure::new("the default builder cannot be removed"));
        }
        fs::remove_file(self.0.join(name)).doing(|| format!("cannot remove {name}"))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let doing = || format!("cannot write to {}", self.0.display());
        let mut file =
            tempfile::NamedTempFile::new_in(self.0.parent().unwrap_or(&self.0)).doing(doing)?;
        std::io::Write::write_all(&mut file, bytes).doing(doing)?;
        file.persist(self.0.join(name)).map_err(|e| e.error).doing(doing)?;
        Ok(())
    }
}
