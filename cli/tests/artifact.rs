//! Files in registries, pushed and pulled as artifacts.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::fs;
use std::path::Path;

use oci::Digest;
use serde_json::{Value, json};
use testutil::{DockerRegistry, EmbeddedRegistry, Output, Scratch, Tierce};

fn tierce() -> Tierce {
    Tierce::new(env!("CARGO_BIN_EXE_tierce"))
}

/// Runs `artifact …` in a directory; it must succeed.
fn artifact(tierce: &Tierce, dir: &Path, args: &[&str]) -> String {
    let output: Output =
        tierce.command([&["artifact"], args].concat()).current_dir(dir).output().unwrap().into();
    assert_eq!(output.code, 0, "{args:?}: {output:#?}");
    output.stdout
}

fn manifest(tierce: &Tierce, name: &str) -> Value {
    serde_json::from_str(&tierce.ok(["registry", "manifest", name])).unwrap()
}

fn round(host: &str) {
    let (tierce, here) = (tierce(), Scratch::new());
    here.write("chart.yaml", "name: x\n");
    here.write("docs/a/readme", "read me\n");
    std::os::unix::fs::symlink("a/readme", here.join("docs/link")).unwrap();
    let outside = tierce.scratch().write("far/config.json", "{\"k\":1}");
    let name = format!("{host}/charts/x:1");
    let config = format!("{}:application/vnd.example.config+json", outside.display());
    let files = ["chart.yaml:text/yaml", "./docs", outside.to_str().unwrap()];
    let words = ["push", "-a", "by=us", "--config", &config, &name];
    let digest = artifact(&tierce, here.path(), &[&words[..], &files[..]].concat());

    let document = manifest(&tierce, &name);
    assert_eq!(tierce.ok(["registry", "digest", &name]), digest);
    assert_eq!(document["config"]["mediaType"], "application/vnd.example.config+json");
    assert_eq!(document["artifactType"], Value::Null, "the config's type tells it");
    assert_eq!(document["annotations"]["by"], "us");
    let layer = |number: usize| &document["layers"][number];
    let title = |number: usize| &layer(number)["annotations"]["org.opencontainers.image.title"];
    assert_eq!([title(0), title(1), title(2)], ["chart.yaml", "docs", "config.json"]);
    assert_eq!(layer(0)["mediaType"], "text/yaml");
    assert_eq!(layer(1)["annotations"]["io.deis.oras.content.unpack"], "true");

    let there = Scratch::new();
    let listed = artifact(&tierce, there.path(), &["pull", &name, "-o", "out"]);
    assert_eq!(listed, "chart.yaml\ndocs\nconfig.json\n");
    let read = |path: &str| fs::read_to_string(there.join("out").join(path)).unwrap();
    assert_eq!(read("chart.yaml"), "name: x\n");
    assert_eq!(read("docs/a/readme"), "read me\n");
    assert_eq!(read("docs/link"), "read me\n");
    assert_eq!(read("config.json"), "{\"k\":1}");
    // Again, over what is there, by digest, and without a word.
    let by_digest = format!("{host}/charts/x@{}", digest.trim());
    let quiet = artifact(&tierce, there.path(), &["pull", "-q", &by_digest, "-o", "out"]);
    assert_eq!(quiet, "");
    assert_eq!(read("chart.yaml"), "name: x\n");
}

#[test]
fn files_and_directories_go_into_a_registry_and_come_back() {
    round(&EmbeddedRegistry::in_memory(&tierce()).address);
}

#[test]
fn another_registry_takes_them_too() {
    round(&DockerRegistry::start().address);
}

#[test]
fn an_artifact_may_have_no_files_but_a_type() {
    let (tierce, here) = (tierce(), Scratch::new());
    let registry = EmbeddedRegistry::in_memory(&tierce);
    let name = format!("{}/mark", registry.address);
    let digest =
        artifact(&tierce, here.path(), &["push", "--artifact-type", "example/mark", &name]);
    let document = manifest(&tierce, &format!("{name}@{}", digest.trim()));
    assert_eq!(document["artifactType"], "example/mark");
    assert_eq!(document["layers"][0]["mediaType"], "application/vnd.oci.empty.v1+json");
    let nothing = tierce.run(["artifact", "push", &name]);
    assert!(nothing.code != 0 && nothing.stderr.contains("no files"), "{nothing:?}");
    let no_name = tierce.run(["artifact", "pull", &format!("{name}@{}", digest.trim())]);
    assert!(no_name.stderr.contains("no blob with the name of a file"), "{no_name:?}");
}

/// An artifact in a layout, whose only blob is to be a file with a name.
fn layout(scratch: &Scratch, title: &str) -> String {
    let put = |bytes: &[u8]| {
        let digest = Digest::sha256(bytes);
        scratch.write(&format!("layout/blobs/sha256/{}", digest.hex()), bytes);
        json!({ "mediaType": "a/b", "digest": digest, "size": bytes.len() })
    };
    let (config, mut layer) = (put(b"{}"), put(b"overwritten"));
    layer["annotations"] = json!({ "org.opencontainers.image.title": title });
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let document = json!({
        "schemaVersion": 2, "mediaType": media_type, "artifactType": "example/evil",
        "config": config, "layers": [layer],
    });
    let mut entry = put(document.to_string().as_bytes());
    entry["mediaType"] = media_type.into();
    let index = json!({ "schemaVersion": 2, "manifests": [entry] });
    scratch.write("layout/index.json", index.to_string());
    scratch.write("layout/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    format!("oci:{}", scratch.join("layout").display())
}

#[test]
fn no_name_leads_out_of_the_directory() {
    let tierce = tierce();
    let registry = EmbeddedRegistry::in_memory(&tierce);
    let name = format!("{}/evil:1", registry.address);
    for title in ["../out", "/tmp/out", "a/../../out", "..", ""] {
        let scratch = Scratch::new();
        let from = layout(&scratch, title);
        tierce.ok(["copy", &from, &format!("docker://{name}")]);
        let into = scratch.join("in");
        let pulled = tierce.run(["artifact", "pull", &name, "-o", into.to_str().unwrap()]);
        assert_eq!(pulled.code, 1, "{title}: {pulled:?}");
        assert!(pulled.stderr.contains("leads elsewhere"), "{title}: {pulled:?}");
    }
    // Nor does a link that is on the way.
    let scratch = Scratch::new();
    let from = layout(&scratch, "up/file");
    tierce.ok(["copy", &from, &format!("docker://{name}")]);
    fs::create_dir_all(scratch.join("in")).unwrap();
    std::os::unix::fs::symlink("../outside", scratch.join("in/up")).unwrap();
    let into = scratch.join("in");
    tierce.run(["artifact", "pull", &name, "-o", into.to_str().unwrap()]);
    assert!(!scratch.join("outside").exists());
}
