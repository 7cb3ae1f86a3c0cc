//! Volumes: directories that outlive containers and are shared by them.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use rusqlite::Connection;

use super::containers::check_name;
use super::{Store, places, random_hex};
use crate::lease::Lease;
use crate::state::volumes::{self as rows, VolumeRow};
use crate::state::{Abort, now};
use crate::{Error, Result};

/// What of a volume's directory is mounted; docker's name.
const DATA: &str = "_data";

/// A volume to be used or made.
#[derive(Debug, Clone, Default)]
pub struct VolumeSpec {
    /// Its name; without one it is anonymous, and gets 64 hexadecimal digits.
    pub name: Option<String>,
    /// What is noted with it when it is made.
    pub labels: BTreeMap<String, String>,
    /// A directory of the machine that it is to be, in place of one of the store's. It outlives
    /// the volume.
    pub place: Option<PathBuf>,
}

/// A volume of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name, unique in the store.
    pub name: String,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// Whether nobody chose its name.
    pub anonymous: bool,
    /// What was noted with it.
    pub labels: BTreeMap<String, String>,
    /// The directory that is mounted.
    pub data: PathBuf,
    /// Where that is, if it is none of the store's.
    pub place: Option<PathBuf>,
    /// The ids of the containers that use it.
    pub users: Vec<String>,
}

impl Store {
    /// Makes a volume, or finds the one that has the name already.
    ///
    /// # Errors
    /// [`Error::InvalidVolumeName`]; if it cannot be made.
    pub fn create_volume(&self, lease: &Lease, spec: &VolumeSpec) -> Result<Volume> {
        let named = spec.with_name()?;
        let staged = self.stage_volume(lease, spec)?;
        self.state().write("create a volume", |c| self.ensure_volume(c, lease, &named, &staged))
    }

    /// Notes that a container uses volumes, and makes those that are not there, at once: nobody
    /// removes one in between. They come in the order of `specs`.
    ///
    /// # Errors
    /// As [`Store::create_volume`].
    pub fn use_volumes(
        &self,
        lease: &Lease,
        container: &str,
        specs: &[VolumeSpec],
    ) -> Result<Vec<Volume>> {
        let mut staged = Vec::new();
        for spec in specs {
            staged.push((spec.with_name()?, self.stage_volume(lease, spec)?));
        }
        let volumes = self.state().write("use volumes", |c| {
            let mut volumes = Vec::new();
            for (named, staged) in &staged {
                let volume = self.ensure_volume(c, lease, named, staged)?;
                rows::use_by(c, container, &volume.name)?;
                volumes.push(volume);
            }
            Ok(volumes)
        })?;
        volumes.iter().try_for_each(|volume| self.find_data(volume))?;
        Ok(volumes)
    }

    /// All volumes, by name.
    ///
    /// # Errors
    /// If the database fails.
    pub fn volumes(&self) -> Result<Vec<Volume>> {
        self.state().read("list the volumes", |c| {
            rows::all(c)?.into_iter().map(|row| self.volume_of_row(c, row)).collect()
        })
    }

    /// The volume of this name.
    ///
    /// # Errors
    /// [`Error::VolumeNotFound`].
    pub fn volume(&self, name: &str) -> Result<Volume> {
        let volume = self.state().read("look a volume up", |c| self.this_volume(c, name))?;
        self.find_data(&volume)?;
        Ok(volume)
    }

    /// Where nothing can be mounted, a container that was killed may still have it.
    fn find_data(&self, volume: &Volume) -> Result<()> {
        if volume.data.exists() {
            return Ok(());
        }
        for user in &volume.users {
            match self.container(user) {
                Ok(container) => self.give_back(&container)?,
                Err(Error::ContainerNotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Removes a volume with all that is in it.
    ///
    /// # Errors
    /// [`Error::VolumeNotFound`], [`Error::VolumeInUse`].
    pub fn remove_volume(&self, lease: &Lease, name: &str) -> Result<()> {
        self.state().write("remove a volume", |c| {
            let volume = self.this_volume(c, name)?;
            if !volume.users.is_empty() {
                let containers = volume.users;
                return Err(Error::VolumeInUse { name: volume.name, containers }.into());
            }
            rows::remove(c, name)?;
            // Within the transaction: nobody may make one of this name before it has gone.
            places::move_away(&self.places().volume(name), lease)?;
            Ok(())
        })
    }

    /// Removes a container as [`Store::remove_container`] does, and the anonymous volumes that
    /// nobody else uses.
    ///
    /// # Errors
    /// As [`Store::remove_container`].
    pub fn remove_container_and_volumes(&self, lease: &Lease, id: &str) -> Result<()> {
        let anonymous = self.state().read("look volumes up", |c| Ok(rows::anonymous_of(c, id)?))?;
        self.remove_container(lease, id)?;
        for name in anonymous {
            match self.remove_volume(lease, &name) {
                Ok(()) | Err(Error::VolumeInUse { .. } | Error::VolumeNotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn stage_volume(&self, lease: &Lease, spec: &VolumeSpec) -> Result<PathBuf> {
        // A store may be older than its first volume.
        places::make_dir(&self.places().volumes(), 0o700)?;
        let staged = lease.scratch_dir("volume")?;
        let data = staged.join(DATA);
        if let Some(place) = &spec.place {
            symlink(place, &data).map_err(|e| Error::io("create", &data, e))?;
            return Ok(staged);
        }
        fs::create_dir(&data).map_err(|e| Error::io("create", &data, e))?;
        // Whatever the umask says: its users are those of containers.
        fs::set_permissions(&data, Permissions::from_mode(0o755))
            .map_err(|e| Error::io("set the mode of", &data, e))?;
        Ok(staged)
    }

    fn ensure_volume(
        &self,
        c: &Connection,
        lease: &Lease,
        named: &Named<'_>,
        staged: &std::path::Path,
    ) -> Result<Volume, Abort> {
        if let Some(row) = rows::by_name(c, &named.name)? {
            return self.volume_of_row(c, row);
        }
        let row = VolumeRow {
            name: named.name.clone(),
            created: now(),
            anonymous: named.anonymous,
            labels: serde_json::to_string(named.labels).expect("a map of texts"),
        };
        rows::insert(c, &row)?;
        places::move_in(staged, &self.places().volume(&row.name), lease)?;
        self.volume_of_row(c, row)
    }

    fn this_volume(&self, c: &Connection, name: &str) -> Result<Volume, Abort> {
        let row = rows::by_name(c, name)?;
        let row = row.ok_or_else(|| Error::VolumeNotFound { name: name.to_owned() })?;
        self.volume_of_row(c, row)
    }

    fn volume_of_row(&self, c: &Connection, row: VolumeRow) -> Result<Volume, Abort> {
        let labels = serde_json::from_str(&row.labels)
            .map_err(|_| Error::StateValue { column: "volume labels", value: row.labels })?;
        let data = self.places().volume(&row.name).join(DATA);
        Ok(Volume {
            users: rows::users(c, &row.name)?,
            place: fs::read_link(&data).ok(),
            data,
            created: row.created,
            anonymous: row.anonymous,
            labels,
            name: row.name,
        })
    }
}

/// A specification whose name is known.
struct Named<'a> {
    name: String,
    anonymous: bool,
    labels: &'a BTreeMap<String, String>,
}

impl VolumeSpec {
    fn with_name(&self) -> Result<Named<'_>> {
        let name = match &self.name {
            None => random_hex(32)?,
            Some(name) => {
                let invalid = |_| Error::InvalidVolumeName { name: name.clone() };
                check_name(name).map_err(invalid)?;
                name.clone()
            }
        };
        Ok(Named { name, anonymous: self.name.is_none(), labels: &self.labels })
    }
}
