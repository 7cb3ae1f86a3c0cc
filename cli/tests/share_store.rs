//! A registry that shares the store of who pushes: no blob is copied.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use testutil::{EmbeddedRegistry, Tierce, busybox, run_ok};

/// Bytes that no compression makes less.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..size)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}

/// A store with an image whose layer was never compressed, of several megabytes.
fn tierce() -> Tierce {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    tierce.scratch().write("context/noise", noise(8 << 20));
    tierce.scratch().write("context/Dockerfile", "FROM busybox\nCOPY noise /noise\n");
    let context = tierce.scratch().join("context");
    tierce.ok(["build", "-q", "-t", "app", context.to_str().unwrap()]);
    tierce
}

/// The files below a directory: device and inode, size.
fn files(dir: &Path) -> Vec<((u64, u64), u64)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(((metadata.dev(), metadata.ino()), metadata.len()));
        }
    }
    found
}

/// How many bytes of a registry's directory are in files of its own.
fn of_its_own(tierce: &Tierce, storage: &Path) -> u64 {
    let lent = files(&tierce.root().join("blobs"));
    let own = files(storage).into_iter().filter(|(file, _)| lent.iter().all(|l| l.0 != *file));
    let mut own: Vec<_> = own.collect();
    own.sort_unstable();
    own.dedup();
    own.iter().map(|(_, size)| size).sum()
}

#[test]
fn a_push_into_a_registry_that_shares_the_store_copies_no_layer() {
    let tierce = tierce();
    let storage = tierce.scratch().join("images");
    let arguments = ["--share-store", "--storage", storage.to_str().unwrap()];
    let registry = EmbeddedRegistry::start(&tierce, &arguments);
    let name = |name: &str| format!("{}/{name}", registry.address);
    tierce.ok(["push", "app", &name("one/app:1")]);
    tierce.ok(["copy", "store:app", &format!("docker://{}", name("two/app:1"))]);
    // Manifests and configs are documents in the store, and small.
    let own = of_its_own(&tierce, &storage);
    assert!(own < 100_000, "{own} bytes were copied");
    assert!(files(&storage).iter().any(|(_, size)| *size > 8 << 20), "the layer is there");

    // All of it is there for others, and outlives the store.
    let other = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    tierce.ok(["prune", "--all", "--force"]);
    for repository in ["one/app:1", "two/app:1"] {
        let pulled = name(repository);
        other.ok(["pull", "-q", &pulled]);
        let sum = other.ok(["run", "--rm", &pulled, "sha256sum", "/noise"]);
        let context = tierce.scratch().join("context/noise");
        let expected = run_ok(&mut std::process::Command::new("sha256sum"), [context]);
        assert_eq!(sum.split(' ').next(), expected.split(' ').next());
    }
}

#[test]
fn another_store_is_not_taken_from() {
    let (tierce, other) = (tierce(), Tierce::new(env!("CARGO_BIN_EXE_tierce")));
    let storage = tierce.scratch().join("images");
    let arguments = ["--share-store", "--storage", storage.to_str().unwrap()];
    let registry = EmbeddedRegistry::start(&other, &arguments);
    tierce.ok(["push", "app", &format!("{}/app", registry.address)]);
    assert!(of_its_own(&tierce, &storage) > 8 << 20);
    let output = tierce.run(["registry", "serve", "--share-store", "--listen", "127.0.0.1:0"]);
    assert_ne!(output.code, 0);
    assert!(output.stderr.contains("directory"), "{output:?}");
}
