//! The same sources make the same image, here and elsewhere, today and tomorrow.

#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use testutil::{EmbeddedRegistry, Scratch, Tierce, busybox, run_ok};

/// Every kind of step that makes a layer, RUN last but for one.
const DOCKERFILE: &str = "\
FROM busybox
WORKDIR /work/sub
COPY . .
COPY --chown=12:34 --chmod=0640 a /some/new/place/
COPY <<EOF /doc/text
a text
EOF
ADD archive.tar /unpacked/here
LABEL a=b
RUN echo made > made && mkdir dir && mv a moved
COPY d/b /after/run
";
/// The place of RUN's layer among those of the Dockerfile, which runs when it runs.
const RUN_LAYER: usize = 5;
const LAYERS: usize = 7;

fn tierce() -> Tierce {
    Tierce::new(env!("CARGO_BIN_EXE_tierce"))
}

/// A checkout of the sources, as old as `age` says.
fn checkout(dir: &Scratch, name: &str, age: Duration) -> PathBuf {
    let file = |path: &str, content: &str| dir.write(&format!("{name}/{path}"), content);
    file("Dockerfile", DOCKERFILE);
    file(".dockerignore", "ignored\n");
    file("a", "a");
    file("d/b", "b");
    // What is ignored does not matter.
    file("ignored", name);
    let context = dir.join(name);
    std::os::unix::fs::symlink("a", context.join("link")).unwrap();
    // The archive has times of its own, which are content.
    run_ok(
        Command::new("tar").args(["--mtime=@1234567890", "--sort=name", "--owner=5:5", "-C"]),
        [context.as_os_str(), "-cf".as_ref(), context.join("archive.tar").as_ref(), "d".as_ref()],
    );
    let time = SystemTime::now() - age;
    for path in ["a", "d/b", "archive.tar", "Dockerfile", "d", ""] {
        std::fs::File::open(context.join(path)).unwrap().set_modified(time).unwrap();
    }
    context
}

fn build(tierce: &Tierce, name: &str, context: &Path, options: &[&str]) {
    let context = context.display().to_string();
    tierce.ok([&["build", "-q", "-t", name], options, &[context.as_str()]].concat());
}

/// The DiffIDs of the layers of the Dockerfile, without those of the base.
fn layers(tierce: &Tierce, name: &str) -> Vec<String> {
    let json = tierce.ok(["inspect", "--format", "{{json .RootFS.Layers}}", name]);
    let all: Vec<String> = serde_json::from_str(&json).unwrap();
    all[all.len() - LAYERS..].to_vec()
}

fn but_run(mut layers: Vec<String>) -> Vec<String> {
    layers.remove(RUN_LAYER);
    layers
}

fn id(tierce: &Tierce, name: &str) -> String {
    tierce.ok(["inspect", "--format", "{{.Id}}", name]).trim().to_owned()
}

/// Lets the second pass: more precise is no time in a tar.
fn pass_a_second() {
    std::thread::sleep(Duration::from_millis(1100));
}

#[test]
fn a_second_build_without_cache_makes_the_same_layers_also_of_another_checkout() {
    let (here, dir) = (tierce(), Scratch::new());
    busybox(&here);
    let new = checkout(&dir, "new", Duration::ZERO);
    build(&here, "first", &new, &[]);
    pass_a_second();
    build(&here, "again", &new, &["--no-cache"]);
    let first = layers(&here, "first");
    let again = layers(&here, "again");
    assert_eq!(but_run(first.clone()), but_run(again.clone()));
    // RUN did run anew, and says when.
    assert_ne!(first[RUN_LAYER], again[RUN_LAYER]);

    let old = checkout(&dir, "old", Duration::from_secs(1_000_000));
    // The times of a checkout are no reason to do anything again.
    build(&here, "cached", &old, &[]);
    assert_eq!(layers(&here, "cached"), again);
    build(&here, "old", &old, &["--no-cache"]);
    // Files keep the times of their sources, as docker's do, where no layer is known for them: on
    // a layer of RUN that is new. Below, what was copied before stands for what is copied again.
    assert_eq!(layers(&here, "old")[..RUN_LAYER], first[..RUN_LAYER]);
}

/// BuildKit leaves the times in the layers of RUN alone unless its exporter is told
/// `rewrite-timestamp=true`, and so makes another image every time. Whoever says what time it is
/// wants the same image: ours is.
#[test]
fn with_a_source_date_the_whole_image_is_the_same() {
    let dir = Scratch::new();
    let images = ["one", "two"].map(|name| {
        let tierce = tierce();
        let age = Duration::from_secs(if name == "one" { 0 } else { 1_000_000 });
        let context = checkout(&dir, name, age);
        dated_busybox(&tierce);
        let dated = ["--build-arg", "SOURCE_DATE_EPOCH=1700000000"];
        build(&tierce, "dated", &context, &dated);
        let image = (layers(&tierce, "dated"), id(&tierce, "dated"));
        pass_a_second();
        build(&tierce, "again", &context, &[&dated[..], &["--no-cache"]].concat());
        assert_eq!((layers(&tierce, "again"), id(&tierce, "again")), image);
        let created = tierce.ok(["inspect", "--format", "{{.Created}}", "dated"]);
        assert_eq!(created.trim(), "2023-11-14T22:13:20Z");
        image
    });
    assert_eq!(images[0], images[1]);
}

/// The base, with a date too: it is part of the image.
fn dated_busybox(tierce: &Tierce) {
    busybox(tierce);
    let context = Scratch::new();
    // The tree of the base as one layer, whose times the date bounds.
    context.write("Dockerfile", "FROM busybox AS base\nFROM scratch\nCOPY --from=base / /\n");
    let context = context.path().display().to_string();
    let date = "SOURCE_DATE_EPOCH=1600000000";
    tierce.ok(["build", "-q", "-t", "busybox", "--build-arg", date, &context]);
}

#[test]
fn what_two_stores_built_they_push_as_the_same_bytes() {
    let dir = Scratch::new();
    let registry_of = tierce();
    let registry = EmbeddedRegistry::in_memory(&registry_of);
    let manifests = ["one", "two"].map(|name| {
        let tierce = tierce();
        dated_busybox(&tierce);
        let context = checkout(&dir, name, Duration::from_secs(name.len() as u64));
        let pushed = format!("{}/{name}:1", registry.address);
        build(&tierce, &pushed, &context, &["--build-arg", "SOURCE_DATE_EPOCH=1700000000"]);
        tierce.ok(["push", "-q", &pushed]);
        let digest = tierce.ok(["inspect", "--format", "{{index .RepoDigests 0}}", &pushed]);
        let digest = digest.trim().rsplit_once('@').unwrap().1.to_owned();
        // Through an archive it is the same, too.
        let archive = dir.join(&format!("{name}.tar")).display().to_string();
        tierce.ok(["save", "--format", "oci-archive", "-o", &archive, &pushed]);
        let index = run_ok(&mut Command::new("tar"), ["-xOf", &archive, "index.json"]);
        let index: Value = serde_json::from_str(&index).unwrap();
        assert_eq!(index["manifests"][0]["digest"], digest.as_str());
        digest
    });
    assert_eq!(manifests[0], manifests[1]);
}

#[test]
fn an_archive_that_describes_the_root_makes_the_same_layer_every_time() {
    let (here, dir) = (tierce(), Scratch::new());
    dir.write("tree/file", "x");
    dir.write("context/Dockerfile", "FROM scratch\nADD root.tar /\n");
    // The first entry is the root, which becomes otherwise than it was.
    run_ok(
        Command::new("tar").args(["--mode=0750", "--mtime=@1234567890", "--owner=7:7", "-C"]),
        [
            dir.join("tree").as_os_str(),
            "-cf".as_ref(),
            dir.join("context/root.tar").as_ref(),
            ".".as_ref(),
        ],
    );
    let context = dir.join("context").display().to_string();
    let layers = ["one", "two"].map(|name| {
        pass_a_second();
        here.ok(["build", "-q", "--no-cache", "-t", name, &context]);
        here.ok(["inspect", "--format", "{{json .RootFS.Layers}}", name])
    });
    assert_eq!(layers[0], layers[1]);
}
