//! Blobs of layers that are made here: the same bytes everywhere, and to be seen as they grow.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex};

use layerfs::{Follower, Lease, Onlooker, Store, StoreOptions};
use oci::compress::Compression;
use oci::{Descriptor, DiffId};

use crate::common::*;

/// Text that compresses to less than half of it, longer than several blocks.
fn text(seed: u32, len: usize) -> String {
    let mut state = seed;
    let mut word = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        format!("{:05} ", state >> 16)
    };
    let mut text = String::new();
    while text.len() < len {
        text.push_str(&word());
    }
    text
}

/// Layers of several sizes, each on its own.
fn build_layers(store: &Store, lease: &Lease) -> Vec<DiffId> {
    [3 << 20, 10, 5 << 20, 1 << 20, 2 << 20]
        .into_iter()
        .zip(1..)
        .map(|(len, seed)| build(store, lease, &[], &[("a", &text(seed, len))]).layer.diff_id)
        .collect()
}

/// Watches blobs being made.
#[derive(Default)]
struct Watching(Arc<Seen>);

/// What was seen.
#[derive(Default)]
struct Seen {
    completed: Mutex<Vec<Descriptor>>,
    given_up: Mutex<usize>,
    steps: Mutex<usize>,
}

impl Onlooker for Watching {
    fn begins(&self, _: &DiffId, file: File) -> Option<Box<dyn Follower>> {
        Some(Box::new(Following {
            seen: Arc::clone(&self.0),
            file,
            bytes: Vec::new(),
            ended: false,
        }))
    }
}

struct Following {
    seen: Arc<Seen>,
    file: File,
    bytes: Vec<u8>,
    ended: bool,
}

impl Following {
    fn read_to(&mut self, size: u64) {
        let from = self.bytes.len();
        self.bytes.resize(usize::try_from(size).unwrap(), 0);
        self.file.read_exact_at(&mut self.bytes[from..], from as u64).unwrap();
    }
}

impl Follower for Following {
    fn grew(&mut self, size: u64) {
        self.read_to(size);
        *self.seen.steps.lock().unwrap() += 1;
    }

    fn completed(mut self: Box<Self>, blob: &Descriptor) {
        self.read_to(blob.size);
        assert_eq!(oci::Digest::sha256(&self.bytes), blob.digest);
        self.ended = true;
        self.seen.completed.lock().unwrap().push(blob.clone());
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        if !self.ended {
            *self.seen.given_up.lock().unwrap() += 1;
        }
    }
}

#[test]
fn whatever_the_number_of_threads_the_blobs_are_the_same() {
    let mut made: Vec<Vec<Descriptor>> = Vec::new();
    for threads in [1, 2, 8] {
        let dir = scratch();
        let threads = NonZeroUsize::new(threads).unwrap();
        let options = StoreOptions { threads, ..options("boot-1") };
        let store = Store::open(&dir.path().join("store"), options).unwrap();
        let lease = store.lease().unwrap();
        let layers = build_layers(&store, &lease);
        put_built(&store, &lease, &layers, "built", &["app"]);
        let record = store.resolve("app").unwrap();
        let image = store.manifest(&lease, &record, None).unwrap();
        assert_eq!(image.manifest.layers.len(), layers.len());
        made.push(image.manifest.layers.clone());
    }
    assert_eq!(made[0], made[1]);
    assert_eq!(made[0], made[2]);
}

#[test]
fn blobs_can_be_read_while_they_are_made_and_are_made_once() {
    let (_dir, store) = new_store();
    let lease = store.lease().unwrap();
    let mut layers = build_layers(&store, &lease);
    layers.push(layers[0].clone());
    put_built(&store, &lease, &layers, "built", &["app"]);
    let record = store.resolve("app").unwrap();
    let watching = Watching::default();
    let seen = &watching.0;
    let image = store.manifest_watched(&lease, &record, None, &watching).unwrap();
    let completed: HashSet<_> =
        seen.completed.lock().unwrap().iter().map(|blob| blob.digest.clone()).collect();
    let listed: HashSet<_> = image.manifest.layers.iter().map(|blob| blob.digest.clone()).collect();
    assert_eq!(completed, listed);
    assert_eq!(seen.completed.lock().unwrap().len(), layers.len() - 1);
    assert!(*seen.steps.lock().unwrap() > layers.len(), "they grew in steps");

    let again = Watching::default();
    let record = store.resolve("app").unwrap();
    store.manifest_watched(&lease, &record, None, &again).unwrap();
    assert!(again.0.completed.lock().unwrap().is_empty(), "what is kept is not made again");
}

#[test]
fn a_blob_that_cannot_be_made_is_given_up_and_leaves_nothing() {
    let (_dir, store) = new_store();
    let lease = store.lease().unwrap();
    let layer = build(&store, &lease, &[], &[("a", &text(7, 3 << 20))]).layer;
    std::fs::write(layer.tree().join("a"), text(8, 3 << 20)).unwrap();
    put_built(&store, &lease, &[layer.diff_id], "built", &["app"]);
    let record = store.resolve("app").unwrap();
    let watching = Watching::default();
    let seen = &watching.0;
    store.manifest_watched(&lease, &record, None, &watching).unwrap_err();
    assert_eq!(*seen.given_up.lock().unwrap(), 1);
    assert!(seen.completed.lock().unwrap().is_empty());
    assert_eq!(std::fs::read_dir(store.root().join("blobs/sha256")).unwrap().count(), 0);
}

#[test]
fn a_blob_of_another_encoder_is_not_taken_for_ours() {
    let (_dir, store) = new_store();
    let lease = store.lease().unwrap();
    let layer = build(&store, &lease, &[], &[("a", &text(1, 100_000))]).layer.diff_id;
    let level_9 = Compression::Gzip { level: 9 };
    let small = store.compressed(&lease, &layer, level_9).unwrap();
    let usual = store.compressed(&lease, &layer, Compression::GZIP).unwrap();
    assert_ne!(small.digest, usual.digest);
    assert_eq!(store.compressed(&lease, &layer, level_9).unwrap(), small);

    // As an earlier version would have left it, and as if it had come from elsewhere.
    let database = store.root().join("state.db");
    let set = |encoder: Option<&str>| {
        let connection = rusqlite::Connection::open(&database).unwrap();
        let sql = "UPDATE layer_blobs SET encoder = ?1 WHERE digest = ?2";
        connection.execute(sql, (encoder, small.digest.to_string())).unwrap();
        let sql = "DELETE FROM layer_blobs WHERE digest = ?1";
        connection.execute(sql, [usual.digest.to_string()]).unwrap();
    };
    set(Some("gzip 1 libdeflate 0.1"));
    assert_eq!(store.compressed(&lease, &layer, Compression::GZIP).unwrap(), usual);
    set(None);
    assert_eq!(store.compressed(&lease, &layer, Compression::GZIP).unwrap(), small);
}

#[test]
fn a_store_of_the_first_version_keeps_its_blobs() {
    let (dir, store) = new_store();
    let lease = store.lease().unwrap();
    let layer = build(&store, &lease, &[], &[("a", "text")]).layer.diff_id;
    let blob = store.compressed(&lease, &layer, Compression::Gzip { level: 9 }).unwrap();
    put_built(&store, &lease, std::slice::from_ref(&layer), "built", &["app"]);
    drop(lease);
    let root = store.root().to_owned();
    drop(store);
    let connection = rusqlite::Connection::open(root.join("state.db")).unwrap();
    let downgrade = "ALTER TABLE layer_blobs DROP COLUMN encoder;
        DROP TABLE container_volumes; DROP TABLE volumes; DROP TABLE events;";
    connection.execute_batch(downgrade).unwrap();
    let sql = "SELECT 'DROP TRIGGER ' || name FROM sqlite_schema WHERE type = 'trigger'";
    let mut triggers = connection.prepare(sql).unwrap();
    let drops: Vec<String> =
        triggers.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    drop(triggers);
    drops.iter().for_each(|sql| connection.execute_batch(sql).unwrap());
    connection.pragma_update(None, "user_version", 1).unwrap();
    drop(connection);

    let store = open(&dir.path().join("store"));
    let lease = store.lease().unwrap();
    assert_eq!(store.compressed(&lease, &layer, Compression::GZIP).unwrap(), blob);
    let mut bytes = Vec::new();
    oci::BlobRead::open(&store, &blob).unwrap().read_to_end(&mut bytes).unwrap();
}
