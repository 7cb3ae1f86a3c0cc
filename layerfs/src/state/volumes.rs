//! Volumes, and who uses them.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::events;

/// A volume as it stands in its row.
pub(crate) struct VolumeRow {
    pub(crate) name: String,
    pub(crate) created: i64,
    pub(crate) anonymous: bool,
    pub(crate) labels: String,
}

const COLUMNS: &str = "SELECT name, created, anonymous, labels FROM volumes";

fn row(row: &Row<'_>) -> rusqlite::Result<VolumeRow> {
    Ok(VolumeRow {
        name: row.get(0)?,
        created: row.get(1)?,
        anonymous: row.get(2)?,
        labels: row.get(3)?,
    })
}

/// Adds a volume.
pub(crate) fn insert(connection: &Connection, volume: &VolumeRow) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO volumes (name, created, anonymous, labels) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![volume.name, volume.created, volume.anonymous, volume.labels])?;
    events::of_volume(connection, "create", &volume.name)
}

/// The volume of this name.
pub(crate) fn by_name(connection: &Connection, name: &str) -> rusqlite::Result<Option<VolumeRow>> {
    connection
        .prepare_cached(&format!("{COLUMNS} WHERE name = ?1"))?
        .query_row([name], row)
        .optional()
}

/// All volumes, by name.
pub(crate) fn all(connection: &Connection) -> rusqlite::Result<Vec<VolumeRow>> {
    connection.prepare_cached(&format!("{COLUMNS} ORDER BY name"))?.query_map([], row)?.collect()
}

/// Notes that a container uses a volume.
pub(crate) fn use_by(
    connection: &Connection,
    container: &str,
    volume: &str,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO container_volumes (container, volume) VALUES (?1, ?2)",
        )?
        .execute([container, volume])
        .map(drop)
}

/// The ids of the containers that use a volume.
pub(crate) fn users(connection: &Connection, volume: &str) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT container FROM container_volumes WHERE volume = ?1")?
        .query_map([volume], |row| row.get(0))?
        .collect()
}

/// The anonymous volumes that a container uses.
pub(crate) fn anonymous_of(
    connection: &Connection,
    container: &str,
) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached(
            "SELECT name FROM volumes JOIN container_volumes ON volume = name
             WHERE container = ?1 AND anonymous",
        )?
        .query_map([container], |row| row.get(0))?
        .collect()
}

/// Removes a volume that nobody uses.
pub(crate) fn remove(connection: &Connection, name: &str) -> rusqlite::Result<()> {
    let removed =
        connection.prepare_cached("DELETE FROM volumes WHERE name = ?1")?.execute([name])?;
    if removed > 0 { events::of_volume(connection, "destroy", name) } else { Ok(()) }
}
