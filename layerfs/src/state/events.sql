-- Version 4: what happened. The last ten thousand stay; a number is never given again.
CREATE TABLE events (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    millis     INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER)),
    kind       TEXT NOT NULL,
    action     TEXT NOT NULL,
    actor      TEXT NOT NULL,
    attributes TEXT NOT NULL
);
