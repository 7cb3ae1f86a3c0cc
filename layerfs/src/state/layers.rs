//! Layers and blobs: which of the files below `layers/` and `blobs/` count.

use oci::{Descriptor, DiffId, Digest, MediaType};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Abort, now, parse};

/// The size of a layer's tar in bytes, if the layer is there.
pub(crate) fn layer_size(
    connection: &Connection,
    diff_id: &DiffId,
) -> rusqlite::Result<Option<u64>> {
    connection
        .prepare_cached("SELECT size FROM layers WHERE diff_id = ?1")?
        .query_row([diff_id.to_string()], |row| row.get(0))
        .optional()
}

/// Says that a layer is there.
pub(crate) fn insert_layer(
    connection: &Connection,
    diff_id: &DiffId,
    size: u64,
    boot: &str,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO layers (diff_id, size, created, boot) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![diff_id.to_string(), size, now(), boot])
        .map(drop)
}

/// The size of a blob in bytes, if the blob is there.
pub(crate) fn blob_size(connection: &Connection, digest: &Digest) -> rusqlite::Result<Option<u64>> {
    connection
        .prepare_cached("SELECT size FROM blobs WHERE digest = ?1")?
        .query_row([digest.to_string()], |row| row.get(0))
        .optional()
}

/// Says that a blob is there.
pub(crate) fn insert_blob(
    connection: &Connection,
    digest: &Digest,
    size: u64,
    boot: &str,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO blobs (digest, size, boot) VALUES (?1, ?2, ?3)")?
        .execute(params![digest.to_string(), size, boot])
        .map(drop)
}

/// Says that a blob is there no more.
pub(crate) fn remove_blob(connection: &Connection, digest: &Digest) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM blobs WHERE digest = ?1")?
        .execute([digest.to_string()])
        .map(drop)
}

/// Says that a blob was seen to hold a layer, and what made it, if that was done here.
pub(crate) fn link_blob(
    connection: &Connection,
    diff_id: &DiffId,
    blob: &Descriptor,
    encoder: Option<&str>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO layer_blobs (diff_id, digest, size, media_type, encoder)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET size = excluded.size, media_type = excluded.media_type,
                 -- What came from elsewhere as well goes on to serve everybody.
                 encoder = CASE WHEN encoder IS NULL THEN NULL ELSE excluded.encoder END",
        )?
        .execute(params![
            diff_id.to_string(),
            blob.digest.to_string(),
            blob.size,
            blob.media_type.as_str(),
            encoder
        ])
        .map(drop)
}

/// A blob that holds a layer.
pub(crate) struct LayerBlob {
    pub(crate) blob: Descriptor,
    /// What made it; `None` if it came from elsewhere.
    pub(crate) encoder: Option<String>,
}

/// The blobs that hold a layer and are there, in the order of their digests.
pub(crate) fn blobs_of_layer(
    connection: &Connection,
    diff_id: &DiffId,
) -> Result<Vec<LayerBlob>, Abort> {
    let mut statement = connection.prepare_cached(
        "SELECT digest, layer_blobs.size, media_type, encoder FROM layer_blobs
         JOIN blobs USING (digest) WHERE diff_id = ?1 ORDER BY digest",
    )?;
    let mut rows = statement.query([diff_id.to_string()])?;
    let mut blobs = Vec::new();
    while let Some(row) = rows.next()? {
        let digest = parse("digest", row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?;
        let media_type: String = row.get(2)?;
        let blob = Descriptor::new(MediaType::new(&media_type), digest, row.get(1)?);
        blobs.push(LayerBlob { blob, encoder: row.get(3)? });
    }
    Ok(blobs)
}

/// Remembers where a blob was seen.
pub(crate) fn note_source(
    connection: &Connection,
    digest: &Digest,
    registry: &str,
    repository: &str,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO blob_sources (digest, registry, repository, noted)
             VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![digest.to_string(), registry, repository, now()])
        .map(drop)
}

/// Registries and repositories where a blob was seen, the latest first.
pub(crate) fn sources(
    connection: &Connection,
    digest: &Digest,
) -> rusqlite::Result<Vec<(String, String)>> {
    connection
        .prepare_cached(
            "SELECT registry, repository FROM blob_sources WHERE digest = ?1
             ORDER BY noted DESC, registry, repository LIMIT 64",
        )?
        .query_map([digest.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// What was written during the boot `boot` and is not known to be on disk: tables and keys.
pub(crate) struct Unsynced {
    layers: Vec<String>,
    blobs: Vec<String>,
}

impl Unsynced {
    /// Whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.layers.is_empty() && self.blobs.is_empty()
    }
}

/// What would have to be synced.
pub(crate) fn unsynced(connection: &Connection) -> rusqlite::Result<Unsynced> {
    let keys = |sql: &str| -> rusqlite::Result<Vec<String>> {
        connection.prepare_cached(sql)?.query_map([], |row| row.get(0))?.collect()
    };
    Ok(Unsynced {
        layers: keys("SELECT diff_id FROM layers WHERE boot IS NOT NULL")?,
        blobs: keys("SELECT digest FROM blobs WHERE boot IS NOT NULL")?,
    })
}

/// Says that all of `synced` is on disk.
pub(crate) fn mark_synced(connection: &Connection, synced: &Unsynced) -> rusqlite::Result<()> {
    let mut layer =
        connection.prepare_cached("UPDATE layers SET boot = NULL WHERE diff_id = ?1")?;
    for diff_id in &synced.layers {
        layer.execute([diff_id])?;
    }
    let mut blob = connection.prepare_cached("UPDATE blobs SET boot = NULL WHERE digest = ?1")?;
    for digest in &synced.blobs {
        blob.execute([digest])?;
    }
    Ok(())
}

/// Whether there are rows that another boot than `boot` left without a sync.
pub(crate) fn has_lost(connection: &Connection, boot: &str) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM layers WHERE boot IS NOT NULL AND boot != ?1)
                 OR EXISTS (SELECT 1 FROM blobs WHERE boot IS NOT NULL AND boot != ?1)",
        )?
        .query_row([boot], |row| row.get(0))
}

/// Forgets layers and blobs that another boot than `boot` left without a sync, and answers with
/// their digests.
pub(crate) fn forget_lost(
    connection: &Connection,
    boot: &str,
) -> Result<(Vec<DiffId>, Vec<Digest>), Abort> {
    let layers = take_digests(
        connection,
        "DELETE FROM layers WHERE boot IS NOT NULL AND boot != ?1 RETURNING diff_id",
        boot,
    )?;
    let blobs = take_digests(
        connection,
        "DELETE FROM blobs WHERE boot IS NOT NULL AND boot != ?1 RETURNING digest",
        boot,
    )?;
    Ok((layers.into_iter().map(DiffId).collect(), blobs))
}

fn take_digests(connection: &Connection, sql: &str, boot: &str) -> Result<Vec<Digest>, Abort> {
    let texts: Vec<String> = connection
        .prepare_cached(sql)?
        .query_map([boot], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    texts.iter().map(|text| Ok(parse("digest", text)?)).collect()
}
