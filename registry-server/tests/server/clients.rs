//! Independent clients: skopeo and podman, against both storages.

#![allow(clippy::unwrap_used, reason = "a test that panics says where")]

use std::path::Path;
use std::process::Command;

use oci::Digest;
use registry_server::{Registry, Storage, serve};
use serde_json::json;

/// Runs a program of the machine and answers with what it prints. That it is missing is a
/// failure that says what to do: nothing is skipped silently.
fn run(program: &str, arguments: &[&str], home: &Path) -> String {
    std::fs::write(home.join("auth.json"), "{}").unwrap();
    let output = Command::new(program)
        .args(arguments)
        .env("HOME", home)
        .env("XDG_RUNTIME_DIR", home)
        .env("REGISTRY_AUTH_FILE", home.join("auth.json"))
        .output()
        .unwrap_or_else(|error| {
            panic!("cannot run {program} ({error}): install it with `apt-get install {program}`")
        });
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Serves a registry while `work` runs with its address.
fn with_registry(storage: Storage, work: impl FnOnce(&str)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (address, stop) = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let end = async { drop(stopped.await) };
        tokio::spawn(serve(listener, Registry::new(storage), end));
        (address, stop)
    });
    work(&address);
    drop(stop);
}

/// An image layout with one image of two layers, tagged `v1`. One layer is large enough to come
/// in many pieces.
fn write_image(dir: &Path) {
    let blobs = dir.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let add = |bytes: &[u8], media_type: &str| {
        let digest = Digest::sha256(bytes);
        std::fs::write(blobs.join(digest.hex()), bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()})
    };
    let layers = [tar("small", 10), tar("large", 5_000_000)];
    let ids: Vec<String> = layers.iter().map(|layer| Digest::sha256(layer).to_string()).collect();
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/small"]},
        "rootfs": {"type": "layers", "diff_ids": ids},
    });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": add(config.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json"),
        "layers": layers.map(|layer| add(&layer, "application/vnd.oci.image.layer.v1.tar")),
    });
    let mut descriptor =
        add(manifest.to_string().as_bytes(), "application/vnd.oci.image.manifest.v1+json");
    descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": "v1"});
    let index = json!({"schemaVersion": 2, "manifests": [descriptor]});
    std::fs::write(dir.join("index.json"), index.to_string()).unwrap();
    std::fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

/// A tar of one file (POSIX ustar).
fn tar(name: &str, size: usize) -> Vec<u8> {
    let mut header = [0_u8; 512];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000755\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{size:011o}\0"));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().copied().map(u32::from).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut tar = header.to_vec();
    tar.extend((0..size).map(|at| ((at * 31) >> 5) as u8));
    tar.resize(tar.len().next_multiple_of(512) + 1024, 0);
    tar
}

fn storages(root: &Path) -> [Storage; 2] {
    [Storage::memory(), Storage::dir(root.join("registry")).unwrap()]
}

#[test]
fn skopeo_copies_both_ways() {
    let scratch = tempfile::tempdir().unwrap();
    let home = scratch.path();
    let image = home.join("image");
    write_image(&image);
    let source = format!("oci:{}:v1", image.display());
    for (number, storage) in storages(home).into_iter().enumerate() {
        with_registry(storage, |address| {
            let name = format!("docker://{address}/team/app:v1");
            let copy = |arguments: &[&str]| run("skopeo", &[&["copy"], arguments].concat(), home);
            copy(&["--dest-tls-verify=false", &source, &name]);
            // A second repository: its blobs are mounted or pushed again.
            let other = format!("docker://{address}/other:v2");
            copy(&["--src-tls-verify=false", "--dest-tls-verify=false", &name, &other]);
            let docker = format!("docker://{address}/docker:v2s2");
            copy(&[
                "--src-tls-verify=false",
                "--dest-tls-verify=false",
                "--format=v2s2",
                &name,
                &docker,
            ]);

            // Skopeo compresses what it pushes; what it pulls is what was pushed.
            let back = home.join(format!("back{number}"));
            copy(&["--src-tls-verify=false", &other, &format!("oci:{}:v1", back.display())]);
            let digest = |name: &str| {
                let tls = if name.starts_with("oci:") { &[][..] } else { &["--tls-verify=false"] };
                run("skopeo", &[&["inspect", "--format={{.Digest}}"], tls, &[name]].concat(), home)
            };
            assert_eq!(digest(&format!("oci:{}:v1", back.display())), digest(&name));

            let inspected = run("skopeo", &["inspect", "--tls-verify=false", &docker], home);
            let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
            assert_eq!(inspected["RepoTags"], json!(["v2s2"]));
            assert_eq!(inspected["Layers"].as_array().unwrap().len(), 2);
            let tags = run(
                "skopeo",
                &["list-tags", "--tls-verify=false", &format!("docker://{address}/other")],
                home,
            );
            assert!(tags.contains("\"v2\""), "{tags}");
            run("skopeo", &["delete", "--tls-verify=false", &other], home);
        });
    }
    // The directory is readable without us.
    let layout = home.join("registry/team/app");
    run("skopeo", &["inspect", &format!("oci:{}:v1", layout.display())], home);
}

#[test]
fn podman_pulls_and_pushes() {
    let scratch = tempfile::tempdir().unwrap();
    let home = scratch.path();
    let image = home.join("image");
    write_image(&image);
    let (root, runroot) = (home.join("storage"), home.join("run"));
    let podman = |arguments: &[&str]| {
        let store = ["--root", root.to_str().unwrap(), "--runroot", runroot.to_str().unwrap()];
        let driver = ["--storage-driver=vfs"];
        run("podman", &[&store[..], &driver, arguments].concat(), home)
    };
    for storage in storages(home) {
        with_registry(storage, |address| {
            let first = format!("{address}/team/app:v1");
            run(
                "skopeo",
                &[
                    "copy",
                    "--dest-tls-verify=false",
                    &format!("oci:{}:v1", image.display()),
                    &format!("docker://{first}"),
                ],
                home,
            );
            podman(&["pull", "--tls-verify=false", &first]);
            let second = format!("{address}/from/podman:v2");
            podman(&["tag", &first, &second]);
            podman(&["push", "--tls-verify=false", &second]);
            podman(&["rmi", "--all", "--force"]);
            let id = podman(&["pull", "--quiet", "--tls-verify=false", &second]);
            let layers = podman(&["inspect", "--format={{len .RootFS.Layers}}", id.trim()]);
            assert_eq!(layers.trim(), "2");
            podman(&["rmi", "--all", "--force"]);
        });
    }
}
