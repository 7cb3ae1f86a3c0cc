//! What happened. Most rows are written by triggers.

use rusqlite::{Connection, params};

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

/// Notes one that is about no row of ours.
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
        .execute(params![kind, action, actor, attributes])
        .map(drop)
}
