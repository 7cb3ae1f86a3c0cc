//! Several processes at one store, and what becomes of it over boots and versions.

use std::fs;

use layerfs::{Error, Store};
use oci::blob::MemoryBlobs;
use oci::{DiffId, ImageSink};

use crate::common::*;

#[test]
fn several_can_unpack_the_same_layers_at_once() {
    let dir = scratch();
    let root = dir.path().join("store");
    let source = MemoryBlobs::default();
    let layers: Vec<Packed> = (0..6)
        .map(|n| {
            let files: Vec<(String, String)> =
                (0..50).map(|f| (format!("{n}-{f}"), "x".repeat(f * 10))).collect();
            let files: Vec<(&str, &str)> =
                files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
            pack(&source, &canonical(&files))
        })
        .collect();
    let image = image(&layers, "shared");
    // Also the making of the store itself is a race here.
    std::thread::scope(|scope| {
        for n in 0..6 {
            let (root, image, source) = (&root, &image, &source);
            scope.spawn(move || {
                let store = open(root);
                store.put(&name(&format!("app:{n}")), image, source).unwrap();
            });
        }
    });
    let store = open(&root);
    assert_eq!(store.resolve("app:0").unwrap().names.len(), 6);
    for layer in &layers {
        assert!(is_whole(&store.layer(&layer.diff_id).unwrap().unwrap()));
    }
    assert_eq!(names_in(root.join("layers")).len(), layers.len());
    assert!(names_in(root.join("staging")).is_empty());
}

#[test]
fn what_was_not_synced_before_the_power_went_is_not_there() {
    let (_dir, store) = new_store();
    let lease = store.lease().unwrap();
    let kept = build(&store, &lease, &[], &[("a", "1")]).layer;
    put_built(&store, &lease, std::slice::from_ref(&kept.diff_id), "kept", &["kept"]);
    let lost = build(&store, &lease, &[], &[("b", "1")]).layer;
    let (lost_blob, _) = put_blob(&lease, b"blob");
    let root = store.root().to_owned();
    drop(lease);
    drop(store);

    let same_boot = open(&root);
    assert!(same_boot.layer(&lost.diff_id).unwrap().is_some());
    drop(same_boot);

    let store = Store::open(&root, options("boot-2")).unwrap();
    assert!(is_whole(&store.layer(&kept.diff_id).unwrap().unwrap()));
    assert!(store.layer(&lost.diff_id).unwrap().is_none());
    assert!(store.blob_path(&lost_blob).unwrap().is_none());
    assert!(!lost.dir.exists());
    assert!(names_in(root.join("blobs/sha256")).is_empty());
    assert!(names_in(root.join("staging")).is_empty());
}

#[test]
fn a_sync_makes_what_was_recorded_last() {
    let (_dir, store) = new_store();
    let layer = build(&store, &store.lease().unwrap(), &[], &[("a", "1")]).layer;
    store
        .put_record(&[1; 32], &serde_json::json!(1), std::slice::from_ref(&layer.diff_id))
        .unwrap();
    store.sync().unwrap();
    let root = store.root().to_owned();
    drop(store);
    let store = Store::open(&root, options("boot-2")).unwrap();
    assert!(store.layer(&layer.diff_id).unwrap().is_some());
    assert!(store.record(&[1; 32]).unwrap().is_some());
}

#[test]
fn an_unrecorded_directory_in_a_layers_place_is_not_believed() {
    let (_dir, store) = new_store();
    let source = MemoryBlobs::default();
    let packed = pack(&source, &canonical(&[("a", "right")]));
    let place = store.root().join("layers").join(packed.diff_id.digest().hex());
    fs::create_dir_all(place.join("tree")).unwrap();
    fs::write(place.join("tree/a"), "wrong").unwrap();
    let lease = store.lease().unwrap();
    assert!(store.layer(&packed.diff_id).unwrap().is_none());
    let layer = store.unpack(&lease, &packed.blob, &packed.diff_id, &source, &quiet).unwrap();
    assert_eq!(content(&layer, "a"), "right");
    assert!(is_whole(&layer));
}

#[test]
fn a_damaged_database_is_a_clear_error() {
    let (_dir, store) = new_store();
    put_empty(&store, "x", &["app"]);
    let root = store.root().to_owned();
    drop(store);
    let path = root.join("state.db");
    for rest in ["-wal", "-shm"] {
        let _ = fs::remove_file(root.join(format!("state.db{rest}")));
    }
    fs::write(&path, "this is no database, and long enough to be sure of that ".repeat(100))
        .unwrap();
    let error = Store::open(&root, options("boot-1")).unwrap_err();
    assert!(matches!(error, Error::StateDamaged { .. }), "{error:?}");
    assert!(error.to_string().contains("state.db"), "{error}");
}

#[test]
fn a_store_of_a_newer_version_is_left_alone() {
    let (_dir, store) = new_store();
    let root = store.root().to_owned();
    drop(store);
    let connection = rusqlite::Connection::open(root.join("state.db")).unwrap();
    connection.pragma_update(None, "user_version", 1000).unwrap();
    drop(connection);
    let error = Store::open(&root, options("boot-1")).unwrap_err();
    assert!(matches!(error, Error::StateTooNew { found: 1000, .. }), "{error:?}");
}

#[test]
fn a_missing_layer_is_named() {
    let (_dir, store) = new_store();
    let missing = DiffId(oci::Digest::sha256(b"nowhere"));
    let lease = store.lease().unwrap();
    let error = store.prepare(&lease, std::slice::from_ref(&missing)).unwrap_err();
    assert!(matches!(&error, Error::LayerNotFound { diff_id } if *diff_id == missing));
    assert!(!lease.pin_layer(&missing).unwrap());
}

#[test]
fn the_directories_of_a_store_are_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let (_dir, store) = new_store();
    for dir in ["", "blobs", "layers", "containers", "cache", "staging", "leases"] {
        let mode = fs::metadata(store.root().join(dir)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o700, "{dir}");
    }
}
