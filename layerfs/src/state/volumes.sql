-- Version 3: volumes, whose directories stand below volumes/, and which containers use them. A
-- volume without a name of somebody's choice goes with its container if that is wanted.
CREATE TABLE volumes (
    name      TEXT PRIMARY KEY,
    created   INTEGER NOT NULL,
    anonymous INTEGER NOT NULL,
    labels    TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE container_volumes (
    container TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
    volume    TEXT NOT NULL REFERENCES volumes (name),
    PRIMARY KEY (container, volume)
) WITHOUT ROWID;
CREATE INDEX container_volumes_by_volume ON container_volumes (volume);
