//! Containers: an upper directory over layers, with what it takes to run it again.

use std::fs;
use std::path::PathBuf;

use oci::{DiffId, Digest};
use rusqlite::Connection;
use serde_json::Value;

use super::container_events::{note, note_change};
use super::container_state::ContainerState;
use super::{Store, names, places, random_hex};
use crate::lease::Lease;
use crate::state::containers::{self as rows, ContainerRow};
use crate::state::{Abort, layers as layer_rows, now, parse};
use crate::{Error, Result};

/// How often a name is drawn before one is made unique with digits.
const NAME_DRAWS: usize = 8;

/// What a container is made from.
#[derive(Debug, Clone)]
pub struct ContainerSpec {
    /// Its name; drawn at random if there is none.
    pub name: Option<String>,
    /// The image that it is based on, which stays as long as the container does.
    pub image: Option<Digest>,
    /// The image as it was named.
    pub image_name: String,
    /// The layers below its own, lowest first.
    pub layers: Vec<DiffId>,
    /// Whatever the caller wants back.
    pub config: Value,
}

/// A container of the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name, unique in the store.
    pub name: String,
    /// The image that it is based on.
    pub image: Option<Digest>,
    /// The image as it was named.
    pub image_name: String,
    /// The layers below its own, lowest first.
    pub layers: Vec<DiffId>,
    /// What its maker wrote.
    pub config: Value,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// What it is doing.
    pub state: ContainerState,
    /// Its directory, with `upper/` and `work/` inside.
    pub dir: PathBuf,
}

impl Container {
    /// The directory that takes its changes.
    pub fn upper(&self) -> PathBuf {
        self.dir.join("upper")
    }

    /// The directory that overlay needs beside that.
    pub fn work(&self) -> PathBuf {
        self.dir.join("work")
    }
}

impl Store {
    /// Makes a container, with empty `upper/` and `work/`. While the lease lives nobody else uses
    /// or prunes it.
    ///
    /// # Errors
    /// [`Error::LayerNotFound`], [`Error::InvalidContainerName`], [`Error::ContainerNameInUse`].
    pub fn create_container(&self, lease: &Lease, spec: &ContainerSpec) -> Result<Container> {
        if let Some(name) = &spec.name {
            check_name(name)?;
        }
        self.require_layers(lease, &spec.layers)?;
        let staged = lease.scratch_dir("container")?;
        for part in ["upper", "work"] {
            let path = staged.join(part);
            fs::create_dir(&path).map_err(|e| Error::io("create", &path, e))?;
        }
        let id = random_hex(32)?;
        let draws = names::draws(NAME_DRAWS)?;
        self.state().write("create a container", |c| {
            if let Some(image) = &spec.image
                && crate::state::images::added(c, &image.to_string())?.is_none()
            {
                return Err(Error::ImageNotFound { name: image.to_string() }.into());
            }
            for diff_id in &spec.layers {
                if layer_rows::layer_size(c, diff_id)?.is_none() {
                    return Err(Error::LayerNotFound { diff_id: diff_id.clone() }.into());
                }
            }
            let row = ContainerRow {
                id: id.clone(),
                name: free_name(c, spec.name.as_deref(), &draws)?,
                image: spec.image.as_ref().map(Digest::to_string),
                image_name: spec.image_name.clone(),
                config: spec.config.to_string(),
                created: now(),
                state: state_text(ContainerState::Created),
            };
            rows::insert(c, &row, &spec.layers)?;
            note(c, &row, "create", &[])?;
            lease.pin_container(c, &id)?;
            places::move_in(&staged, &self.places().container(&id), lease)?;
            container_of_row(self, c, row)
        })
    }

    /// All containers, the latest first.
    ///
    /// # Errors
    /// If the database fails.
    pub fn containers(&self) -> Result<Vec<Container>> {
        self.state().read("list the containers", |c| {
            rows::all(c)?.into_iter().map(|row| container_of_row(self, c, row)).collect()
        })
    }

    /// The container of this name, or whose id begins so.
    ///
    /// # Errors
    /// [`Error::ContainerNotFound`]; [`Error::AmbiguousId`] if it could be several.
    pub fn container(&self, text: &str) -> Result<Container> {
        self.state().read("look a container up", |c| {
            if let Some(row) = rows::by_name(c, text)? {
                return container_of_row(self, c, row);
            }
            let is_id = !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
            let mut rows = if is_id { rows::by_prefix(c, text, 1000)? } else { Vec::new() };
            match (rows.pop(), rows.len()) {
                (Some(row), 0) => container_of_row(self, c, row),
                (None, _) => Err(Error::ContainerNotFound { name: text.to_owned() }.into()),
                (Some(_), more) => {
                    let (kind, prefix) = ("container", text.to_owned());
                    Err(Error::AmbiguousId { kind, prefix, count: more + 1 }.into())
                }
            }
        })
    }

    /// Writes down that a container begins to run, unless it does already: of several who want to
    /// start it, one does. `lease` may have it pinned so far; from now on it is the state's.
    ///
    /// # Errors
    /// [`Error::ContainerRunning`]; [`Error::ContainerNotFound`] if it was removed meanwhile.
    pub fn begin_container(&self, lease: &Lease, id: &str, state: ContainerState) -> Result<()> {
        self.state().write("record the start of a container", |c| {
            let before = this_container(self, c, id)?.state;
            if before.is_running() {
                return Err(Error::ContainerRunning { id: id.to_owned() }.into());
            }
            lease.unpin_container(c, id)?;
            change_state(c, id, before.followed_by(state))
        })
    }

    /// Writes down what a container is doing.
    ///
    /// # Errors
    /// [`Error::ContainerNotFound`] if it was removed meanwhile.
    pub fn set_container_state(&self, id: &str, state: ContainerState) -> Result<()> {
        self.state().write("record the state of a container", |c| change_state(c, id, state))
    }

    /// Replaces what its maker keeps with a container.
    ///
    /// # Errors
    /// [`Error::ContainerNotFound`] if it was removed meanwhile.
    pub fn set_container_config(&self, id: &str, config: &Value) -> Result<()> {
        self.state().write("record the configuration of a container", |c| {
            found(rows::set_config(c, id, &config.to_string())?, id)
        })
    }

    /// Gives a container another name.
    ///
    /// # Errors
    /// [`Error::InvalidContainerName`], [`Error::ContainerNameInUse`],
    /// [`Error::ContainerNotFound`].
    pub fn rename_container(&self, id: &str, name: &str) -> Result<()> {
        check_name(name)?;
        self.state().write("rename a container", |c| {
            free_name(c, Some(name), &[])?;
            let mut container = this_row(c, id)?;
            rows::rename(c, id, name)?;
            let before = std::mem::replace(&mut container.name, name.to_owned());
            Ok(note(c, &container, "rename", &[("oldName", &before)])?)
        })
    }

    /// Removes a container with all that it changed.
    ///
    /// # Errors
    /// [`Error::ContainerRunning`], [`Error::ContainerNotFound`].
    pub fn remove_container(&self, lease: &Lease, id: &str) -> Result<()> {
        let container = self.container(id)?;
        if container.id == id {
            self.give_back(&container)?;
        }
        self.state().write("remove a container", |c| {
            if this_container(self, c, id)?.state.is_running() {
                return Err(Error::ContainerRunning { id: id.to_owned() }.into());
            }
            note(c, &this_row(c, id)?, "destroy", &[])?;
            Ok(rows::remove(c, id)?)
        })?;
        // Not before the record is gone for certain; the id is never used again.
        places::move_away(&self.places().container(id), lease).map(drop)
    }
}

/// A row with types, and its state as it is by now.
pub(crate) fn container_of_row(
    store: &Store,
    c: &Connection,
    row: ContainerRow,
) -> Result<Container, Abort> {
    let invalid = |column| move |value: String| Error::StateValue { column, value };
    let state: ContainerState = serde_json::from_str(&row.state)
        .map_err(|_| invalid("container state")(row.state.clone()))?;
    let layers = rows::layers(c, &row.id)?;
    Ok(Container {
        dir: store.places().container(&row.id),
        image: row.image.as_deref().map(|text| parse("image", text)).transpose()?,
        layers: layers
            .iter()
            .map(|text| parse("diff_id", text).map(DiffId))
            .collect::<Result<_>>()?,
        config: serde_json::from_str(&row.config)
            .map_err(|_| invalid("container config")(row.config.clone()))?,
        state: state.checked(),
        id: row.id,
        name: row.name,
        image_name: row.image_name,
        created: row.created,
    })
}

/// The container of exactly this id.
fn this_container(store: &Store, c: &Connection, id: &str) -> Result<Container, Abort> {
    container_of_row(store, c, this_row(c, id)?)
}

fn this_row(c: &Connection, id: &str) -> Result<ContainerRow, Abort> {
    Ok(rows::by_id(c, id)?.ok_or_else(|| Error::ContainerNotFound { name: id.to_owned() })?)
}

/// Writes a state down, and what has happened thereby.
fn change_state(c: &Connection, id: &str, state: ContainerState) -> Result<(), Abort> {
    let before = this_row(c, id)?;
    rows::set_state(c, id, &state_text(state))?;
    Ok(note_change(c, &before, state)?)
}

fn state_text(state: ContainerState) -> String {
    serde_json::to_string(&state).expect("a state has string keys only")
}

fn found(changed: bool, id: &str) -> Result<(), Abort> {
    if changed { Ok(()) } else { Err(Error::ContainerNotFound { name: id.to_owned() }.into()) }
}

/// The name asked for, or the first of `draws` that nobody has.
fn free_name(c: &Connection, wanted: Option<&str>, draws: &[String]) -> Result<String, Abort> {
    let Some(wanted) = wanted else {
        for name in draws {
            if rows::by_name(c, name)?.is_none() {
                return Ok(name.clone());
            }
        }
        // So crowded a store gets the digits of an id.
        return Ok(format!("{}_{}", draws[0], random_hex(4)?));
    };
    match rows::by_name(c, wanted)? {
        None => Ok(wanted.to_owned()),
        Some(row) => Err(Error::ContainerNameInUse { name: wanted.to_owned(), id: row.id }.into()),
    }
}

/// Docker's rule: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
pub(super) fn check_name(name: &str) -> Result<()> {
    let bytes = name.as_bytes();
    let holds = (2..=255).contains(&bytes.len())
        && bytes[0].is_ascii_alphanumeric()
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if holds { Ok(()) } else { Err(Error::InvalidContainerName { name: name.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_of_two_letters_or_more() {
        for good in ["ab", "a1", "Web-1.test_x"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "-a", "_a", "a/b", "a b", "\u{e4}b", &"a".repeat(256)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
