//! `tierce copy` where something of what is copied is there already.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::fs;

use testutil::{EmbeddedRegistry, Tierce, busybox};

/// A folder with an index of one image.
fn index_of_busybox(tierce: &Tierce) -> String {
    let folder = tierce.scratch().join("folder");
    let place = format!("dir:{}", folder.display());
    let digest = tierce.ok(["copy", "busybox", &place]).trim().to_owned();
    let manifest = folder.join("manifest.json");
    let entry = serde_json::json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": digest,
        "size": fs::metadata(&manifest).unwrap().len(),
        "platform": { "os": "linux", "architecture": "amd64" },
    });
    let index = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry],
    });
    let hex = digest.trim_start_matches("sha256:");
    fs::rename(&manifest, folder.join(format!("{hex}.manifest.json"))).unwrap();
    fs::write(&manifest, index.to_string()).unwrap();
    place
}

#[test]
fn an_index_without_its_images_is_completed() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    let from = index_of_busybox(&tierce);
    let to = format!("oci:{}:1", tierce.scratch().join("layout").display());
    tierce.ok(["copy", "--multi-arch", "index-only", &from, &to]);
    assert_eq!(tierce.run(["copy", &to, "store:early"]).code, 1);
    tierce.ok(["copy", "--all", &from, &to]);
    tierce.ok(["copy", &to, "store:back"]);
}

#[test]
fn a_second_tag_of_a_repository_takes_no_bytes() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    let registry = EmbeddedRegistry::in_memory(&tierce);
    let name = |tag: &str| format!("docker://{}/app:{tag}", registry.address);
    let digest = tierce.ok(["copy", "busybox", &name("1")]);
    assert_eq!(tierce.ok(["copy", &name("1"), &name("2")]), digest);
    assert_eq!(tierce.ok(["copy", &name("2"), "store:back"]), digest);
}
