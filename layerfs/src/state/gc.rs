//! What nobody refers to any more.
//!
//! Images, containers, build records and the pins of live processes refer to layers; layers and
//! the claims of images refer to blobs. Everything else goes. All functions here belong into one
//! write transaction, together with the renames that take the files away.

use oci::{DiffId, Digest};
use rusqlite::Connection;

use super::{Abort, parse};

/// DiffIDs that something refers to, whether unpacked or not.
const LIVE_LAYERS: &str = "
    SELECT diff_id FROM image_layers UNION
    SELECT diff_id FROM container_layers UNION
    SELECT diff_id FROM record_layers UNION
    SELECT digest FROM pins WHERE kind = 'layer'";

/// Removes images that no container is based on: those without a name, or all; of them only some,
/// where that is said.
pub(crate) fn remove_images(
    c: &Connection,
    also_named: bool,
    only: Option<&[Digest]>,
) -> Result<Vec<Digest>, Abort> {
    let sql = if also_named {
        "SELECT id FROM images WHERE id NOT IN (SELECT image FROM containers WHERE image IS NOT NULL)"
    } else {
        "SELECT id FROM images WHERE id NOT IN (SELECT image FROM containers WHERE image IS NOT NULL)
                                 AND id NOT IN (SELECT image FROM names)"
    };
    let mut unused = digests(c, sql)?;
    unused.retain(|id| only.is_none_or(|only| only.contains(id)));
    for id in &unused {
        super::images::remove(c, &id.to_string())?;
    }
    Ok(unused)
}

/// Removes the rows of layers that nothing refers to, and answers with them and their sizes.
pub(crate) fn remove_layers(c: &Connection) -> Result<Vec<(DiffId, u64)>, Abort> {
    let sql =
        format!("DELETE FROM layers WHERE diff_id NOT IN ({LIVE_LAYERS}) RETURNING diff_id, size");
    Ok(sized(c, &sql)?.into_iter().map(|(digest, size)| (DiffId(digest), size)).collect())
}

/// Removes the rows of blobs that nothing refers to, and answers with them and their sizes.
pub(crate) fn remove_blobs(c: &Connection) -> Result<Vec<(Digest, u64)>, Abort> {
    c.execute(&format!("DELETE FROM layer_blobs WHERE diff_id NOT IN ({LIVE_LAYERS})"), [])?;
    let removed = sized(
        c,
        "DELETE FROM blobs WHERE digest NOT IN (
             SELECT digest FROM layer_blobs UNION
             SELECT json_extract(blob, '$.digest') FROM image_layers WHERE blob IS NOT NULL UNION
             SELECT digest FROM pins WHERE kind = 'blob')
         RETURNING digest, size",
    )?;
    c.execute_batch(
        "DELETE FROM blob_sources WHERE digest NOT IN (
             SELECT digest FROM layer_blobs UNION
             SELECT json_extract(blob, '$.digest') FROM image_layers WHERE blob IS NOT NULL)",
    )?;
    Ok(removed)
}

/// Removes documents that belong to no image.
pub(crate) fn remove_documents(c: &Connection) -> rusqlite::Result<()> {
    c.execute_batch(
        "DELETE FROM documents WHERE digest NOT IN (
             SELECT id FROM images UNION
             SELECT manifest FROM manifests UNION
             SELECT manifest FROM names WHERE manifest IS NOT NULL UNION
             SELECT digest FROM pins WHERE kind = 'document')",
    )
}

/// Removes build records last used before `limit`, in seconds since 1970, and those that lost a
/// layer; answers how many.
pub(crate) fn remove_records(c: &Connection, limit: i64) -> rusqlite::Result<usize> {
    c.execute(
        "DELETE FROM records WHERE last_used < ?1 OR key IN (
             SELECT key FROM record_layers LEFT JOIN layers USING (diff_id)
             WHERE layers.diff_id IS NULL)",
        [limit],
    )
}

fn digests(c: &Connection, sql: &str) -> Result<Vec<Digest>, Abort> {
    let texts: Vec<String> =
        c.prepare(sql)?.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    texts.iter().map(|text| Ok(parse("digest", text)?)).collect()
}

fn sized(c: &Connection, sql: &str) -> Result<Vec<(Digest, u64)>, Abort> {
    let rows: Vec<(String, u64)> = c
        .prepare(sql)?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    rows.iter().map(|(text, size)| Ok((parse("digest", text)?, *size))).collect()
}
