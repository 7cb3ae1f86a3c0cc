//! Whatever the tar, nothing is written outside of the layer's directory, and nothing panics.
#![no_main]

use layerfs::{ApplyOptions, Root, apply_layer, write_layer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let outside = tempfile::tempdir_in("/dev/shm").expect("a directory");
    let layer = outside.path().join("layer");
    std::fs::create_dir(&layer).expect("a directory");
    let root = Root::open(&layer).expect("a root");
    if apply_layer(&mut &bytes[..], &root, &ApplyOptions::default()).is_ok() {
        write_layer(&root, &mut std::io::sink()).expect("what was read can be written");
    }
    let names: Vec<_> = std::fs::read_dir(outside.path()).expect("a list").collect();
    assert_eq!(names.len(), 1);
});
