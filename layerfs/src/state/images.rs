//! Images, their names, manifests and documents.

use oci::{Descriptor, DiffId, Digest};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Abort, events, now, parse};
use crate::Error;

/// Keeps a document's bytes.
pub(crate) fn put_document(
    connection: &Connection,
    digest: &Digest,
    bytes: &[u8],
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO documents (digest, bytes) VALUES (?1, ?2)")?
        .execute(params![digest.to_string(), bytes])
        .map(drop)
}

/// The bytes of a document.
pub(crate) fn document(
    connection: &Connection,
    digest: &Digest,
) -> rusqlite::Result<Option<Vec<u8>>> {
    connection
        .prepare_cached("SELECT bytes FROM documents WHERE digest = ?1")?
        .query_row([digest.to_string()], |row| row.get(0))
        .optional()
}

/// The size of a document in bytes.
pub(crate) fn document_size(
    connection: &Connection,
    digest: &Digest,
) -> rusqlite::Result<Option<u64>> {
    connection
        .prepare_cached("SELECT length(bytes) FROM documents WHERE digest = ?1")?
        .query_row([digest.to_string()], |row| row.get(0))
        .optional()
}

/// Adds an image with its layers; one that is there only learns claims that it lacked.
pub(crate) fn put_image(
    connection: &Connection,
    id: &Digest,
    layers: &[(DiffId, Option<Descriptor>)],
) -> rusqlite::Result<()> {
    let id = id.to_string();
    let added = connection
        .prepare_cached("INSERT OR IGNORE INTO images (id, added) VALUES (?1, ?2)")?
        .execute(params![id, now()])?;
    if added > 0 {
        events::of_image(connection, "create", &id, &id)?;
    }
    let mut insert = connection.prepare_cached(
        "INSERT INTO image_layers (image, position, diff_id, blob) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (image, position) DO UPDATE SET blob = coalesce(?4, blob)",
    )?;
    for (position, (diff_id, claim)) in layers.iter().enumerate() {
        let claim = claim.as_ref().map(descriptor_text);
        insert.execute(params![id, position, diff_id.to_string(), claim])?;
    }
    Ok(())
}

fn descriptor_text(descriptor: &Descriptor) -> String {
    serde_json::to_string(descriptor).expect("descriptors have string keys only")
}

/// The layers of an image, lowest first, with the claims for their blobs.
pub(crate) fn layers(
    connection: &Connection,
    id: &Digest,
) -> Result<Vec<(DiffId, Option<Descriptor>)>, Abort> {
    let mut statement = connection.prepare_cached(
        "SELECT diff_id, blob FROM image_layers WHERE image = ?1 ORDER BY position",
    )?;
    let mut rows = statement.query([id.to_string()])?;
    let mut layers = Vec::new();
    while let Some(row) = rows.next()? {
        let diff_id = DiffId(parse("diff_id", &row.get::<_, String>(0)?)?);
        let claim = row.get::<_, Option<String>>(1)?.map(|text| {
            serde_json::from_str(&text)
                .map_err(|_| Error::StateValue { column: "descriptor", value: text })
        });
        layers.push((diff_id, claim.transpose()?));
    }
    Ok(layers)
}

/// Sum of the sizes of an image's unpacked layers, as tars, in bytes.
pub(crate) fn size(connection: &Connection, id: &Digest) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(
            "SELECT coalesce(sum(size), 0) FROM image_layers JOIN layers USING (diff_id)
             WHERE image = ?1",
        )?
        .query_row([id.to_string()], |row| row.get(0))
}

/// Notes a manifest of an image.
pub(crate) fn put_manifest(
    connection: &Connection,
    id: &Digest,
    manifest: &Digest,
    target: &Digest,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO manifests (image, manifest, target, added) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (image, manifest) DO UPDATE SET target = ?3, added = ?4",
        )?
        .execute(params![id.to_string(), manifest.to_string(), target.to_string(), now()])
        .map(drop)
}

/// A manifest and what it goes by in a registry, as they stand in a row.
pub(crate) type ManifestRow = (Option<String>, Option<String>);

/// The youngest manifest of an image.
pub(crate) fn manifest(connection: &Connection, id: &str) -> rusqlite::Result<Option<ManifestRow>> {
    connection
        .prepare_cached(
            "SELECT manifest, target FROM manifests WHERE image = ?1
             ORDER BY added DESC, manifest LIMIT 1",
        )?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// Gives an image a name, taking it from the image that had it.
pub(crate) fn put_name(
    connection: &Connection,
    name: &str,
    id: &Digest,
    manifest: Option<&Digest>,
    target: Option<&Digest>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO names (name, image, manifest, target) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![
            name,
            id.to_string(),
            manifest.map(Digest::to_string),
            target.map(Digest::to_string)
        ])?;
    events::of_image(connection, "tag", &id.to_string(), name)
}

/// What a name means.
pub(crate) struct NameRow {
    /// The image's id.
    pub(crate) image: String,
    /// The manifest through which it was named, if any, and what that goes by.
    pub(crate) manifest: ManifestRow,
}

/// Looks a name up.
pub(crate) fn name(connection: &Connection, name: &str) -> rusqlite::Result<Option<NameRow>> {
    connection
        .prepare_cached("SELECT image, manifest, target FROM names WHERE name = ?1")?
        .query_row([name], |row| {
            Ok(NameRow { image: row.get(0)?, manifest: (row.get(1)?, row.get(2)?) })
        })
        .optional()
}

/// Looks `repository@digest` up where it was pulled by another digest of the same image: by its
/// tag, its index or its manifest. `repository` is in full, with the registry.
pub(crate) fn name_by_digest(
    connection: &Connection,
    repository: &str,
    digest: &Digest,
) -> rusqlite::Result<Option<NameRow>> {
    connection
        .prepare_cached(
            "SELECT image, manifest, target FROM names
             WHERE (manifest = ?1 OR target = ?1)
               AND (substr(name, 1, length(?2) + 1) = ?2 || ':'
                 OR substr(name, 1, length(?2) + 1) = ?2 || '@')
             ORDER BY name LIMIT 1",
        )?
        .query_row(params![digest.to_string(), repository], |row| {
            Ok(NameRow { image: row.get(0)?, manifest: (row.get(1)?, row.get(2)?) })
        })
        .optional()
}

/// Removes a name and says whose it was.
pub(crate) fn remove_name(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    let image: Option<String> = connection
        .prepare_cached("DELETE FROM names WHERE name = ?1 RETURNING image")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    if let Some(image) = &image {
        events::of_image(connection, "untag", image, name)?;
    }
    Ok(image)
}

/// All names of an image, sorted.
pub(crate) fn names(connection: &Connection, id: &str) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT name FROM names WHERE image = ?1 ORDER BY name")?
        .query_map([id], |row| row.get(0))?
        .collect()
}

/// When an image was added; `None` if there is none of this id.
pub(crate) fn added(connection: &Connection, id: &str) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT added FROM images WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()
}

/// Ids of all images, the latest added first.
pub(crate) fn ids(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT id FROM images ORDER BY added DESC, id")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Ids that begin with `prefix`, which may be any text; at most `limit`.
pub(crate) fn ids_with_prefix(
    connection: &Connection,
    prefix: &str,
    limit: usize,
) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached(
            "SELECT id FROM images WHERE substr(id, 1, length(?1)) = ?1 ORDER BY id LIMIT ?2",
        )?
        .query_map(params![prefix, limit], |row| row.get(0))?
        .collect()
}

/// The image that has `digest` as a manifest or index.
pub(crate) fn id_of_manifest(
    connection: &Connection,
    digest: &str,
) -> rusqlite::Result<Option<NameRow>> {
    connection
        .prepare_cached(
            "SELECT image, manifest, target FROM manifests
             WHERE manifest = ?1 OR target = ?1 ORDER BY added DESC LIMIT 1",
        )?
        .query_row([digest], |row| {
            Ok(NameRow { image: row.get(0)?, manifest: (row.get(1)?, row.get(2)?) })
        })
        .optional()
}

/// Removes an image with its names, manifests and list of layers.
pub(crate) fn remove(connection: &Connection, id: &str) -> rusqlite::Result<()> {
    for name in names(connection, id)? {
        events::of_image(connection, "untag", id, &name)?;
    }
    let removed = connection.prepare_cached("DELETE FROM images WHERE id = ?1")?.execute([id])?;
    if removed > 0 {
        events::of_image(connection, "delete", id, id)?;
    }
    Ok(())
}

/// The names of the containers that are based on an image.
pub(crate) fn users(connection: &Connection, id: &str) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT name FROM containers WHERE image = ?1 ORDER BY created")?
        .query_map([id], |row| row.get(0))?
        .collect()
}
