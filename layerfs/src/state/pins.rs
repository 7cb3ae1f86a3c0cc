//! What live processes use, so that nobody collects it.

use rusqlite::{Connection, params};

/// What a pin keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PinKind {
    /// A layer, by its DiffID.
    Layer,
    /// A blob.
    Blob,
    /// A document.
    Document,
    /// A container, by its id.
    Container,
}

impl PinKind {
    fn as_str(self) -> &'static str {
        match self {
            PinKind::Layer => "layer",
            PinKind::Blob => "blob",
            PinKind::Document => "document",
            PinKind::Container => "container",
        }
    }
}

/// Keeps an object until the lease ends.
pub(crate) fn add(
    connection: &Connection,
    lease: &str,
    kind: PinKind,
    digest: &str,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO pins (lease, kind, digest) VALUES (?1, ?2, ?3)")?
        .execute(params![lease, kind.as_str(), digest])
        .map(drop)
}

/// Keeps an object no longer.
pub(crate) fn remove(
    connection: &Connection,
    lease: &str,
    kind: PinKind,
    digest: &str,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM pins WHERE lease = ?1 AND kind = ?2 AND digest = ?3")?
        .execute(params![lease, kind.as_str(), digest])
        .map(drop)
}

/// Whether another lease than `lease` keeps an object.
pub(crate) fn is_kept_by_others(
    connection: &Connection,
    lease: &str,
    kind: PinKind,
    digest: &str,
) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM pins WHERE digest = ?3 AND kind = ?2 AND lease != ?1)",
        )?
        .query_row(params![lease, kind.as_str(), digest], |row| row.get(0))
}

/// The ids of the containers that a lease keeps.
pub(crate) fn containers(connection: &Connection, lease: &str) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT digest FROM pins WHERE lease = ?1 AND kind = ?2")?
        .query_map([lease, PinKind::Container.as_str()], |row| row.get(0))?
        .collect()
}

/// Forgets what a lease kept.
pub(crate) fn remove_lease(connection: &Connection, lease: &str) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM pins WHERE lease = ?1")?.execute([lease]).map(drop)
}

/// The leases that keep something.
pub(crate) fn leases(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT DISTINCT lease FROM pins")?
        .query_map([], |row| row.get(0))?
        .collect()
}
