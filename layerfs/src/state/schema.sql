-- Version 1 of a store's database. Digests are text, `algorithm:hex`; times are seconds since 1970.
-- `boot` is null once the bytes are known to be on disk, else the boot during which they were
-- written (a store trusts such rows only during the same boot).

-- Manifests, indexes and configs, by the digest of their bytes.
CREATE TABLE documents (
    digest TEXT PRIMARY KEY,
    bytes  BLOB NOT NULL
);

-- Files below blobs/.
CREATE TABLE blobs (
    digest TEXT PRIMARY KEY,
    size   INTEGER NOT NULL,
    boot   TEXT
) WITHOUT ROWID;
CREATE INDEX blobs_unsynced ON blobs (boot) WHERE boot IS NOT NULL;

-- Directories below layers/. `size` is that of the uncompressed tar, in bytes.
CREATE TABLE layers (
    diff_id TEXT PRIMARY KEY,
    size    INTEGER NOT NULL,
    created INTEGER NOT NULL,
    boot    TEXT
) WITHOUT ROWID;
CREATE INDEX layers_unsynced ON layers (boot) WHERE boot IS NOT NULL;

-- Which blobs hold a layer's tar: verified, never merely claimed by a manifest.
CREATE TABLE layer_blobs (
    diff_id    TEXT NOT NULL,
    digest     TEXT NOT NULL,
    size       INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    PRIMARY KEY (diff_id, digest)
) WITHOUT ROWID;
CREATE INDEX layer_blobs_by_digest ON layer_blobs (digest);

-- Where a blob was seen, for mounting it across repositories.
CREATE TABLE blob_sources (
    digest     TEXT NOT NULL,
    registry   TEXT NOT NULL,
    repository TEXT NOT NULL,
    noted      INTEGER NOT NULL,
    PRIMARY KEY (digest, registry, repository)
) WITHOUT ROWID;

-- Images by the digest of their config.
CREATE TABLE images (
    id    TEXT PRIMARY KEY,
    added INTEGER NOT NULL
) WITHOUT ROWID;

-- Layers, lowest first. `blob` is a descriptor that the image's own manifest, or that of its
-- base, claims for the layer: good for this image alone.
CREATE TABLE image_layers (
    image    TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    diff_id  TEXT NOT NULL,
    blob     TEXT,
    PRIMARY KEY (image, position)
) WITHOUT ROWID;
CREATE INDEX image_layers_by_layer ON image_layers (diff_id);

-- Names of images: `registry/repository:tag` and `registry/repository@digest`. `target` is what
-- the name means in a registry: the index, or else the manifest.
CREATE TABLE names (
    name     TEXT PRIMARY KEY,
    image    TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    manifest TEXT,
    target   TEXT
) WITHOUT ROWID;
CREATE INDEX names_by_image ON names (image);

-- Manifests of an image, pulled or made; the youngest decides where a name says nothing.
CREATE TABLE manifests (
    image    TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    manifest TEXT NOT NULL,
    target   TEXT,
    added    INTEGER NOT NULL,
    PRIMARY KEY (image, manifest)
) WITHOUT ROWID;

-- Results of build steps by cache key.
CREATE TABLE records (
    key       BLOB PRIMARY KEY,
    value     TEXT NOT NULL,
    last_used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE record_layers (
    key     BLOB NOT NULL REFERENCES records (key) ON DELETE CASCADE,
    diff_id TEXT NOT NULL,
    PRIMARY KEY (key, diff_id)
) WITHOUT ROWID;
CREATE INDEX record_layers_by_layer ON record_layers (diff_id);

-- Containers. Their directories stand below containers/.
CREATE TABLE containers (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    image      TEXT,
    image_name TEXT NOT NULL,
    config     TEXT NOT NULL,
    created    INTEGER NOT NULL,
    state      TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX containers_by_image ON containers (image);
CREATE TABLE container_layers (
    container TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
    position  INTEGER NOT NULL,
    diff_id   TEXT NOT NULL,
    PRIMARY KEY (container, position)
) WITHOUT ROWID;

-- What live processes use.
CREATE TABLE pins (
    lease  TEXT NOT NULL,
    kind   TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (lease, kind, digest)
) WITHOUT ROWID;
CREATE INDEX pins_by_digest ON pins (digest);
