//! Trees to tars and back, and what changed in them: `cargo bench -p layerfs`.

#![allow(clippy::unwrap_used, reason = "what fails in a benchmark ends it")]

use std::fs;
use std::path::Path;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use layerfs::{ApplyOptions, FileKind, IdMode, Lower, Root, apply_layer, changes, write_layer};

/// How many files the tree has, in directories of a hundred.
const FILES: usize = 5000;

fn main() {
    divan::main();
}

fn tree() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..FILES {
        let parent = dir.path().join(format!("d{:03}", number / 100));
        fs::create_dir_all(&parent).unwrap();
        fs::write(parent.join(format!("f{number}")), vec![b'x'; number % 4096]).unwrap();
    }
    dir
}

fn tar_of(tree: &Path) -> Vec<u8> {
    let mut tar = Vec::new();
    write_layer(&Root::open(tree).unwrap(), &mut tar).unwrap();
    tar
}

#[divan::bench]
fn write_tar(bencher: Bencher<'_, '_>) {
    let tree = tree();
    let size = tar_of(tree.path()).len();
    bencher.counter(BytesCount::new(size)).bench(|| tar_of(tree.path()));
}

#[divan::bench]
fn unpack_tar(bencher: Bencher<'_, '_>) {
    let tar = tar_of(tree().path());
    let options = ApplyOptions { ids: IdMode::Single, ..ApplyOptions::default() };
    bencher
        .counter(ItemsCount::new(FILES))
        .with_inputs(|| tempfile::tempdir().unwrap())
        .bench_refs(|into| {
            let root = Root::open(into.path()).unwrap();
            apply_layer(&mut tar.as_slice(), &root, &options).unwrap()
        });
}

#[divan::bench]
fn list_changes(bencher: Bencher<'_, '_>) {
    let tree = tree();
    let root = Root::open(tree.path()).unwrap();
    bencher.counter(ItemsCount::new(FILES)).bench(|| changes(&root, &Lower::default()).unwrap());
}

#[divan::bench]
fn stat_walk(bencher: Bencher<'_, '_>) {
    fn walk(root: &Root, path: &Path) -> usize {
        let mut found = 0;
        for (name, kind) in root.read_dir(path).unwrap() {
            let path = path.join(name);
            found += match kind {
                FileKind::Dir => walk(root, &path),
                _ => usize::from(root.stat(&path).unwrap().is_some()),
            };
        }
        found
    }
    let tree = tree();
    let root = Root::open(tree.path()).unwrap();
    bencher.counter(ItemsCount::new(FILES)).bench(|| walk(&root, Path::new("")));
}
