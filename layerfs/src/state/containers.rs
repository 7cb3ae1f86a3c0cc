//! Containers.

use oci::DiffId;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// A container as it stands in its row; `store::containers` gives it types.
pub(crate) struct ContainerRow {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) image: Option<String>,
    pub(crate) image_name: String,
    pub(crate) config: String,
    pub(crate) created: i64,
    pub(crate) state: String,
}

const COLUMNS: &str = "SELECT id, name, image, image_name, config, created, state FROM containers";

fn row(row: &Row<'_>) -> rusqlite::Result<ContainerRow> {
    Ok(ContainerRow {
        id: row.get(0)?,
        name: row.get(1)?,
        image: row.get(2)?,
        image_name: row.get(3)?,
        config: row.get(4)?,
        created: row.get(5)?,
        state: row.get(6)?,
    })
}

/// Adds a container.
pub(crate) fn insert(
    connection: &Connection,
    container: &ContainerRow,
    layers: &[DiffId],
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO containers (id, name, image, image_name, config, created, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            container.id,
            container.name,
            container.image,
            container.image_name,
            container.config,
            container.created,
            container.state
        ])?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO container_layers (container, position, diff_id) VALUES (?1, ?2, ?3)",
    )?;
    for (position, layer) in layers.iter().enumerate() {
        insert.execute(params![container.id, position, layer.to_string()])?;
    }
    Ok(())
}

/// All containers, the latest first.
pub(crate) fn all(connection: &Connection) -> rusqlite::Result<Vec<ContainerRow>> {
    connection
        .prepare_cached(&format!("{COLUMNS} ORDER BY created DESC, id"))?
        .query_map([], row)?
        .collect()
}

/// The container of this name.
pub(crate) fn by_name(
    connection: &Connection,
    name: &str,
) -> rusqlite::Result<Option<ContainerRow>> {
    connection
        .prepare_cached(&format!("{COLUMNS} WHERE name = ?1"))?
        .query_row([name], row)
        .optional()
}

/// The container of exactly this id.
pub(crate) fn by_id(connection: &Connection, id: &str) -> rusqlite::Result<Option<ContainerRow>> {
    connection.prepare_cached(&format!("{COLUMNS} WHERE id = ?1"))?.query_row([id], row).optional()
}

/// The containers whose ids begin with `prefix`, which may be any text; at most `limit`.
pub(crate) fn by_prefix(
    connection: &Connection,
    prefix: &str,
    limit: usize,
) -> rusqlite::Result<Vec<ContainerRow>> {
    connection
        .prepare_cached(&format!(
            "{COLUMNS} WHERE substr(id, 1, length(?1)) = ?1 ORDER BY id LIMIT ?2"
        ))?
        .query_map(params![prefix, limit], row)?
        .collect()
}

/// Layers of a container, lowest first.
pub(crate) fn layers(connection: &Connection, id: &str) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached(
            "SELECT diff_id FROM container_layers WHERE container = ?1 ORDER BY position",
        )?
        .query_map([id], |row| row.get(0))?
        .collect()
}

/// Sets a container's state; false if there is no such container.
pub(crate) fn set_state(connection: &Connection, id: &str, state: &str) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("UPDATE containers SET state = ?2 WHERE id = ?1")?
        .execute([id, state])
        .map(|changed| changed > 0)
}

/// Replaces what its maker keeps with a container; false if there is no such container.
pub(crate) fn set_config(
    connection: &Connection,
    id: &str,
    config: &str,
) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("UPDATE containers SET config = ?2 WHERE id = ?1")?
        .execute([id, config])
        .map(|changed| changed > 0)
}

/// Gives a container another name; false if there is no such container.
pub(crate) fn rename(connection: &Connection, id: &str, name: &str) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("UPDATE containers SET name = ?2 WHERE id = ?1")?
        .execute([id, name])
        .map(|changed| changed > 0)
}

/// Removes a container.
pub(crate) fn remove(connection: &Connection, id: &str) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM containers WHERE id = ?1")?.execute([id]).map(drop)
}
