//! Results of build steps by cache key.

use oci::DiffId;
use rusqlite::{Connection, OptionalExtension, params};

use super::now;

/// How old the note of a record's last use may grow before a reader renews it, in seconds: a
/// build that finds everything in the cache should write nothing.
const LAST_USED_SLACK: i64 = 3600;

/// The value of a record, and whether the note of its last use wants renewal.
pub(crate) fn get(
    connection: &Connection,
    key: &[u8; 32],
) -> rusqlite::Result<Option<(String, bool)>> {
    connection
        .prepare_cached("SELECT value, last_used FROM records WHERE key = ?1")?
        .query_row([&key[..]], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)? < now() - LAST_USED_SLACK))
        })
        .optional()
}

/// Whether all layers of a record are in the store; without them it is worth nothing.
pub(crate) fn is_whole(connection: &Connection, key: &[u8; 32]) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT NOT EXISTS (SELECT 1 FROM record_layers LEFT JOIN layers USING (diff_id)
                                WHERE key = ?1 AND layers.diff_id IS NULL)",
        )?
        .query_row([&key[..]], |row| row.get(0))
}

/// The layers that a record keeps.
pub(crate) fn layers(connection: &Connection, key: &[u8; 32]) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT diff_id FROM record_layers WHERE key = ?1")?
        .query_map([&key[..]], |row| row.get(0))?
        .collect()
}

/// Notes that a record was used now.
pub(crate) fn touch(connection: &Connection, key: &[u8; 32]) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE records SET last_used = ?2 WHERE key = ?1")?
        .execute(params![&key[..], now()])
        .map(drop)
}

/// Writes a record, in place of an older one.
pub(crate) fn put(
    connection: &Connection,
    key: &[u8; 32],
    value: &str,
    layers: &[DiffId],
) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM record_layers WHERE key = ?1")?.execute([&key[..]])?;
    connection
        .prepare_cached(
            "INSERT INTO records (key, value, last_used) VALUES (?1, ?2, ?3)
             ON CONFLICT (key) DO UPDATE SET value = ?2, last_used = ?3",
        )?
        .execute(params![&key[..], value, now()])?;
    let mut insert = connection
        .prepare_cached("INSERT OR IGNORE INTO record_layers (key, diff_id) VALUES (?1, ?2)")?;
    for layer in layers {
        insert.execute(params![&key[..], layer.to_string()])?;
    }
    Ok(())
}
