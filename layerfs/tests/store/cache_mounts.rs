//! Directories that outlive builds, and who may use them at a time.

use std::fs;

use layerfs::{CacheMount, CacheSharing, Error, Lease, PruneOptions, Root, Store};

use crate::common::*;

const EVERYTHING: PruneOptions = PruneOptions {
    only_containers: None,
    only_images: None,
    stopped_containers: false,
    images: layerfs::PruneImages::None,
    records_before: Some(i64::MAX),
};

fn open(store: &Store, lease: &Lease, sharing: CacheSharing) -> Option<CacheMount> {
    let fill = |root: &Root| root.mkdir("content", 0o755);
    store.cache_mount::<Error>(lease, "ab", sharing, fill).unwrap()
}

#[test]
fn what_is_written_is_there_the_next_time() {
    let (_dir, store) = new_store();
    let lease = store.lease().unwrap();
    let first = open(&store, &lease, CacheSharing::Locked).unwrap();
    fs::write(first.path.join("a"), "1").unwrap();
    drop((first, lease));
    let lease = store.lease().unwrap();
    let second = open(&store, &lease, CacheSharing::Private).unwrap();
    assert_eq!(fs::read_to_string(second.path.join("a")).unwrap(), "1");
}

#[test]
fn a_cache_that_cannot_be_filled_is_not_made() {
    let (_dir, store) = new_store();
    let lease = store.lease().unwrap();
    let fill = |root: &Root| root.open_file("missing").map(drop);
    assert!(store.cache_mount::<Error>(&lease, "ab", CacheSharing::Shared, fill).is_err());
    let mount = open(&store, &lease, CacheSharing::Shared).unwrap();
    assert!(mount.path.is_dir());
}

#[test]
fn users_share_wait_or_get_their_own() {
    use CacheSharing::{Locked, Private, Shared};
    let (_dir, store) = new_store();
    let lease = store.lease().unwrap();
    // Whoever comes second: nothing yet, the same directory, or another one.
    let cases = [
        (Shared, Shared, Some(true)),
        (Shared, Private, Some(false)),
        (Shared, Locked, None),
        (Private, Shared, Some(false)),
        (Private, Private, Some(false)),
        (Locked, Locked, None),
        (Locked, Shared, Some(false)),
    ];
    for (first, second, expected) in cases {
        store.prune(&EVERYTHING).unwrap();
        let one = open(&store, &lease, first).unwrap();
        let two = open(&store, &lease, second);
        assert_eq!(two.map(|two| two.path == one.path), expected, "{first:?} {second:?}");
        drop(one);
        assert!(open(&store, &lease, second).is_some());
    }
}

#[test]
fn only_caches_that_nobody_uses_are_pruned() {
    let (_dir, store) = new_store();
    let lease = store.lease().unwrap();
    let used = open(&store, &lease, CacheSharing::Shared).unwrap();
    fs::write(used.path.join("a"), "1").unwrap();
    assert_eq!(store.prune(&EVERYTHING).unwrap().caches, 0);
    assert!(used.path.join("a").exists());
    drop(used);
    assert_eq!(store.collect().unwrap().caches, 0);
    assert_eq!(store.prune(&EVERYTHING).unwrap().caches, 1);
    let new = open(&store, &lease, CacheSharing::Shared).unwrap();
    assert!(!new.path.join("a").exists());
}
