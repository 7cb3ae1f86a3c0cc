//! What happened, written down in the transactions in which it happens.
//!
//! Triggers would do the same, but every process would have to read them at its start.

use rusqlite::{Connection, params};
use serde_json::json;

/// How many events are kept.
const KEPT: i64 = 10_240;
/// After how many new ones those beyond are removed.
const STEP: i64 = 256;

/// An event as it stands in its row.
pub(crate) struct EventRow {
    pub(crate) number: i64,
    pub(crate) millis: i64,
    pub(crate) kind: String,
    pub(crate) action: String,
    pub(crate) actor: String,
    pub(crate) attributes: String,
}

/// The events after one, in the order in which they happened; at most `limit`.
pub(crate) fn after(
    connection: &Connection,
    number: i64,
    limit: usize,
) -> rusqlite::Result<Vec<EventRow>> {
    connection
        .prepare_cached(
            "SELECT number, millis, kind, action, actor, attributes FROM events
             WHERE number > ?1 ORDER BY number LIMIT ?2",
        )?
        .query_map(params![number, limit], |row| {
            Ok(EventRow {
                number: row.get(0)?,
                millis: row.get(1)?,
                kind: row.get(2)?,
                action: row.get(3)?,
                actor: row.get(4)?,
                attributes: row.get(5)?,
            })
        })?
        .collect()
}

/// The number of the latest event; 0 if there is none.
pub(crate) fn latest(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT coalesce(max(number), 0) FROM events", [], |row| row.get(0))
}

/// Notes what happened to an image, or to a name of it.
pub(crate) fn of_image(
    connection: &Connection,
    action: &str,
    image: &str,
    name: &str,
) -> rusqlite::Result<()> {
    insert(connection, "image", action, image, &json!({ "name": name }).to_string())
}

/// Notes what happened to a volume.
pub(crate) fn of_volume(connection: &Connection, action: &str, name: &str) -> rusqlite::Result<()> {
    insert(connection, "volume", action, name, &json!({ "driver": "local" }).to_string())
}

/// Notes something, with an object of texts.
pub(crate) fn insert(
    connection: &Connection,
    kind: &str,
    action: &str,
    actor: &str,
    attributes: &str,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO events (kind, action, actor, attributes) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![kind, action, actor, attributes])?;
    let number = connection.last_insert_rowid();
    if number % STEP == 0 {
        connection.execute("DELETE FROM events WHERE number <= ?1", [number - KEPT])?;
    }
    Ok(())
}
