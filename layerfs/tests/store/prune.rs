//! What goes and what stays.

use std::fs;

use layerfs::{ContainerSpec, PruneImages, PruneOptions, PruneReport};
use oci::blob::MemoryBlobs;
use oci::{ImageSink, Reference};
use serde_json::json;

use crate::common::*;

const EVERYTHING: PruneOptions = PruneOptions {
    only_containers: None,
    only_images: None,
    stopped_containers: true,
    images: PruneImages::Unused,
    records_before: Some(i64::MAX),
};

#[test]
fn nothing_is_left_when_nothing_is_used() {
    let (_dir, store) = new_store();
    let source = MemoryBlobs::default();
    let pulled = image(&[pack(&source, &tar(&[("a", "1")]))], "pulled");
    store.put(&name("pulled"), &pulled, &source).unwrap();
    {
        let lease = store.lease().unwrap();
        let layer = build(&store, &lease, &[], &[("b", "2")]).layer;
        let layers = [layer.diff_id];
        put_built(&store, &lease, &layers, "built", &["built"]);
        store.manifest(&lease, &store.resolve("built").unwrap(), None).unwrap();
        store.put_record(&[1; 32], &json!(1), &layers).unwrap();
        let spec = ContainerSpec {
            name: None,
            image: Some(store.resolve("built").unwrap().id),
            image_name: "built".into(),
            layers: layers.to_vec(),
            config: json!(null),
        };
        store.create_container(&lease, &spec).unwrap();
    }
    assert_eq!(store.collect().unwrap(), PruneReport::default());

    let report = store.prune(&EVERYTHING).unwrap();
    assert_eq!(report.containers.len(), 1);
    assert_eq!(report.images.len(), 2);
    assert_eq!((report.layers, report.blobs, report.records), (2, 2, 1));
    for dir in ["layers", "blobs/sha256", "containers", "staging", "leases"] {
        assert!(names_in(store.root().join(dir)).is_empty(), "{dir}");
    }
    assert_eq!(store.document(pulled.manifest.digest()).unwrap(), None);
    assert_eq!(store.document(pulled.config.digest()).unwrap(), None);
}

#[test]
fn nameless_images_go_and_named_ones_stay() {
    let (_dir, store) = new_store();
    let old = put_empty(&store, "old", &["app"]);
    let new = put_empty(&store, "new", &["app"]);
    let options = PruneOptions { images: PruneImages::Nameless, ..PruneOptions::default() };
    assert_eq!(store.prune(&options).unwrap().images, [old]);
    assert_eq!(store.resolve("app").unwrap().id, new);
}

#[test]
fn what_a_live_process_uses_stays_until_its_lease_ends() {
    let (_dir, store) = new_store();
    let lease = store.lease().unwrap();
    let layer = build(&store, &lease, &[], &[("a", "1")]).layer;
    let (blob, _) = put_blob(&lease, b"a blob on its way");
    let other = open(store.root());
    other.prune(&EVERYTHING).unwrap();
    assert!(store.layer(&layer.diff_id).unwrap().is_some());
    assert!(store.blob_path(&blob).unwrap().is_some());
    assert!(names_in(store.root().join("staging")).contains(&lease.id().to_owned()));

    drop(lease);
    let report = other.prune(&EVERYTHING).unwrap();
    assert_eq!((report.layers, report.blobs), (1, 1));
}

#[test]
fn what_has_no_record_is_swept() {
    let (_dir, store) = new_store();
    let stray = store.root().join("layers").join("a".repeat(64));
    fs::create_dir_all(stray.join("tree/deep")).unwrap();
    fs::write(store.root().join("blobs/sha256").join("b".repeat(64)), "b").unwrap();
    fs::create_dir(store.root().join("containers").join("c".repeat(64))).unwrap();
    fs::create_dir(store.root().join("staging/0123456789abcdef")).unwrap();
    let indexes = store.cache_dir("contexts").unwrap();
    fs::write(indexes.join(".index-abc"), "unfinished").unwrap();
    fs::write(indexes.join("finished"), "x").unwrap();
    store.collect().unwrap();
    assert_eq!(names_in(indexes), ["finished"]);
    for dir in ["layers", "blobs/sha256", "containers", "staging"] {
        assert!(names_in(store.root().join(dir)).is_empty(), "{dir}");
    }
}

#[test]
fn a_removed_image_takes_what_only_it_had() {
    let (_dir, store) = new_store();
    let source = MemoryBlobs::default();
    let shared = pack(&source, &tar(&[("shared", "1")]));
    let own = pack(&source, &tar(&[("own", "1")]));
    let one = image(&[shared.clone(), own.clone()], "one");
    let two = image(std::slice::from_ref(&shared), "two");
    store.put(&name("one"), &one, &source).unwrap();
    store.put(&name("two"), &two, &source).unwrap();
    store.note_blob_source(&own.blob.digest, "registry", "a/b").unwrap();
    store.note_blob_source(&shared.blob.digest, "registry", "a/b").unwrap();

    store.untag(&"one".parse::<Reference>().unwrap()).unwrap();
    store.remove_image(one.config.digest()).unwrap();
    let report = store.collect().unwrap();
    assert_eq!((report.layers, report.blobs), (1, 1));
    assert!(store.layer(&own.diff_id).unwrap().is_none());
    assert!(store.layer(&shared.diff_id).unwrap().is_some());
    assert!(store.blob_path(&shared.blob.digest).unwrap().is_some());
    assert!(store.blob_sources(&own.blob.digest).unwrap().is_empty());
    let sources = store.blob_sources(&shared.blob.digest).unwrap();
    assert_eq!(sources, [("registry".to_owned(), "a/b".to_owned())]);
}

#[test]
fn trees_of_any_depth_and_mode_can_be_removed() {
    use std::os::unix::fs::PermissionsExt;

    let (_dir, store) = new_store();
    let lease = store.lease().unwrap();
    let mut root = layerfs::Root::open(&lease.scratch_dir("deep").unwrap()).unwrap();
    for _ in 0..3000 {
        root.mkdir("d", 0).unwrap();
        root.chmod("d", 0).unwrap();
        root = root.subtree("d").unwrap();
    }
    let locked = lease.scratch_dir("locked").unwrap();
    fs::write(locked.join("file"), "").unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    drop(lease);
    assert!(names_in(store.root().join("staging")).is_empty());
}
