//! Content store, layers as directories, snapshots, tar to tree and back, diffs.
