//! Processes that are killed in the middle of everything.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use layerfs::{PruneImages, PruneOptions};
use oci::blob::DirBlobs;
use oci::{Digest, Image, Raw};
use serde_json::json;

use crate::common::*;

/// Set for a child, to the directory that it works in.
const JOB: &str = "LAYERFS_TEST_JOB";

/// Set for a child that is to remove everything instead of making it.
const PRUNE: &str = "LAYERFS_TEST_PRUNE";

const EVERYTHING: PruneOptions = PruneOptions {
    only_containers: None,
    only_images: None,
    stopped_containers: true,
    images: PruneImages::Unused,
    records_before: Some(i64::MAX),
};

/// Not a test of its own: what the children of the others run, which are this program again.
#[test]
fn child() {
    let Some(dir) = std::env::var_os(JOB) else { return };
    let dir = Path::new(&dir);
    if std::env::var_os(PRUNE).is_some() {
        open(&dir.join("store")).prune(&EVERYTHING).unwrap();
        return;
    }
    let source = DirBlobs::new(dir.join("blobs"), dir.join("blob-staging"));
    let image = read_image(dir);
    let store = open(&dir.join("store"));
    let lease = store.lease().unwrap();
    let layers = store.unpack_image(&lease, &image, &source, &quiet).unwrap();
    oci::ImageSink::put(&store, &name("pulled"), &image, &source).unwrap();
    let mut stack = vec![layers[0].diff_id.clone()];
    for step in 0..4_u8 {
        let text = step.to_string().repeat(1000);
        let files: Vec<(String, String)> =
            (0..60).map(|n| (format!("step-{step}-{n}"), text.clone())).collect();
        let files: Vec<(&str, &str)> =
            files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let layer = build(&store, &lease, &stack, &files).layer;
        stack.push(layer.diff_id.clone());
        store.put_record(&[step; 32], &json!(step), &[layer.diff_id]).unwrap();
        // A step that was reported is never lost.
        fs::write(dir.join(format!("reported-{step}")), "").unwrap();
    }
    put_built(&store, &lease, &stack, "built", &["built"]);
}

fn read_image(dir: &Path) -> Image {
    Image {
        manifest: Raw::parse(fs::read(dir.join("manifest")).unwrap(), "manifest").unwrap(),
        config: Raw::parse(fs::read(dir.join("config")).unwrap(), "image config").unwrap(),
        index: None,
    }
}

fn write_image(dir: &Path) -> Image {
    let blobs = DirBlobs::new(dir.join("blobs"), dir.join("blob-staging"));
    let layers: Vec<Packed> = (0..4)
        .map(|n| {
            let files: Vec<(String, String)> =
                (0..150).map(|f| (format!("d{n}-{f}"), format!("{n}").repeat(f * 20))).collect();
            let files: Vec<(&str, &str)> =
                files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
            pack(&blobs, &canonical(&files))
        })
        .collect();
    let image = image(&layers, "pulled");
    fs::write(dir.join("manifest"), image.manifest.bytes()).unwrap();
    fs::write(dir.join("config"), image.config.bytes()).unwrap();
    image
}

fn command(dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "crash::child", "--nocapture"])
        .env(JOB, dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn start(dir: &Path) -> Child {
    command(dir).spawn().unwrap()
}

/// All that is in the store is whole, and what was reported is there.
fn check(dir: &Path) {
    let store = open(&dir.join("store"));
    for hex in names_in(store.root().join("layers")) {
        let diff_id = oci::DiffId(Digest::from_parts(oci::Algorithm::Sha256, &hex).unwrap());
        if let Some(layer) = store.layer(&diff_id).unwrap() {
            assert!(is_whole(&layer), "{diff_id}");
        }
    }
    for record in store.images().unwrap() {
        for (diff_id, _) in store.image_layers(&record.id).unwrap() {
            assert!(store.layer(&diff_id).unwrap().is_some(), "{:?} {diff_id}", record.names);
        }
    }
    for step in 0..4_u8 {
        if dir.join(format!("reported-{step}")).exists() {
            assert!(store.record(&[step; 32]).unwrap().is_some(), "step {step}");
        }
    }
    assert!(names_in(store.root().join("staging")).is_empty(), "swept by the one who opened");
    assert!(names_in(store.root().join("leases")).is_empty());
}

#[test]
fn a_kill_at_any_point_loses_nothing_reported_and_leaves_nothing() {
    let dir = scratch();
    let dir = dir.path();
    let image = write_image(dir);

    let whole = {
        let once = scratch();
        write_image(once.path());
        let began = Instant::now();
        assert!(start(once.path()).wait().unwrap().success());
        began.elapsed()
    };
    let kills = 24;
    for kill in 0..kills {
        // A new store every time but one in four, so that killed ones are also gone on with.
        if kill % 4 != 3 {
            let _ = fs::remove_dir_all(dir.join("store"));
            for step in 0..4 {
                let _ = fs::remove_file(dir.join(format!("reported-{step}")));
            }
        }
        let mut child = start(dir);
        std::thread::sleep(whole * kill / kills);
        child.kill().unwrap();
        child.wait().unwrap();
        if dir.join("store/state.db").exists() {
            check(dir);
        }
    }

    assert!(start(dir).wait().unwrap().success());
    check(dir);
    let store = open(&dir.join("store"));
    assert_eq!(store.resolve("pulled").unwrap().id, *image.config.digest());
    assert_eq!(store.image_layers(&store.resolve("built").unwrap().id).unwrap().len(), 5);
    // Those that later runs took the name from have times of their own in their layers.
    let nameless = PruneOptions { images: PruneImages::Nameless, ..PruneOptions::default() };
    store.prune(&nameless).unwrap();
    assert_eq!(names_in(store.root().join("layers")).len(), 8);
    assert_eq!(names_in(store.root().join("blobs/sha256")).len(), 4);
    store.prune(&EVERYTHING).unwrap();
    for dir in ["layers", "blobs/sha256", "staging", "leases"] {
        assert!(names_in(store.root().join(dir)).is_empty(), "{dir}");
    }
}

#[test]
fn live_processes_are_not_swept_and_do_not_hinder_each_other() {
    let dir = scratch();
    let dir = dir.path();
    write_image(dir);
    let mut children: Vec<Child> = (0..3).map(|_| start(dir)).collect();
    let until = Instant::now() + Duration::from_secs(60);
    // Others open, sweep and prune all the while; the children must not notice.
    while children.iter_mut().any(|child| child.try_wait().unwrap().is_none()) {
        assert!(Instant::now() < until, "a child hangs");
        if dir.join("store/state.db").exists() {
            open(&dir.join("store")).collect().unwrap();
        }
    }
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    check(dir);
    assert!(open(&dir.join("store")).resolve("built").is_ok());
}

#[test]
fn a_killed_prune_is_ended_by_the_next_process() {
    let dir = scratch();
    let dir = dir.path();
    write_image(dir);
    let prune = || command(dir).env(PRUNE, "1").spawn().unwrap();
    let mut whole = Duration::ZERO;
    let kills = 12;
    for kill in 0..=kills {
        for step in 0..4 {
            let _ = fs::remove_file(dir.join(format!("reported-{step}")));
        }
        assert!(start(dir).wait().unwrap().success());
        let began = Instant::now();
        let mut child = prune();
        if kill > 0 {
            std::thread::sleep(whole * kill / kills);
            child.kill().unwrap();
        }
        child.wait().unwrap();
        whole = whole.max(if kill == 0 { began.elapsed() } else { whole });
        let store = open(&dir.join("store"));
        assert!(names_in(store.root().join("staging")).is_empty());
        // All or nothing was decided, and what is left has a record once the next one pruned.
        store.collect().unwrap();
        let layers = names_in(store.root().join("layers")).len();
        assert_eq!(layers == 0, store.images().unwrap().is_empty(), "{layers} layers");
        for (diff_id, _) in
            store.images().unwrap().iter().flat_map(|image| store.image_layers(&image.id).unwrap())
        {
            assert!(is_whole(&store.layer(&diff_id).unwrap().unwrap()));
        }
    }
}
