-- Version 2: which encoder made a blob of a layer here, with its level and version. Null for
-- blobs that came from elsewhere: they serve whoever asks for their kind.
ALTER TABLE layer_blobs ADD COLUMN encoder TEXT;
