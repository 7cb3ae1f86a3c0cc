//! A directory survives: a full disk, a second process, and other tools.

#![allow(clippy::unwrap_used, reason = "a test that panics says where")]

use std::process::Command;

use oci::Digest;
use registry_server::{Error, Registry, Storage};

use crate::process::{Process, call, served};

#[test]
fn a_full_disk_is_told_and_costs_nothing() {
    if served() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    // No file of the server may be larger than a megabyte: the nearest to a full disk that needs
    // no disk of its own.
    let limited = r#"trap "" XFSZ; ulimit -f 1024; exec "$0" "$@""#;
    let program = std::env::current_exe().unwrap();
    let mut shell = Command::new("bash");
    shell.args(["-c", limited]).arg(program);
    let test = "durability::a_full_disk_is_told_and_costs_nothing";
    let server = Process::spawn(shell, test, root.path());
    let (small, large) = (vec![1; 500_000], vec![2; 3_000_000]);
    let push = |bytes: &[u8]| {
        let path = format!("/v2/a/blobs/uploads/?digest={}", Digest::sha256(bytes));
        call(&server.address, "POST", &path, bytes).unwrap().0
    };
    assert_eq!(push(&small), 201);
    assert_eq!(push(&large), 507);
    let path = format!("/v2/a/blobs/{}", Digest::sha256(&large));
    assert_eq!(call(&server.address, "GET", &path, b"").unwrap().0, 404);
    assert_eq!(std::fs::read_dir(root.path().join("_staging")).unwrap().count(), 0);
    assert_eq!(push(&small[..400_000]), 201);
    let path = format!("/v2/a/blobs/{}", Digest::sha256(&small));
    assert_eq!(call(&server.address, "GET", &path, b"").unwrap(), (200, small));
    server.kill();
}

/// A server that is killed leaves nothing of a push in one request: it has no name yet.
#[test]
fn what_one_request_brings_has_no_name_before_it_is_a_blob() {
    use std::io::Write;

    if served() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let test = "durability::what_one_request_brings_has_no_name_before_it_is_a_blob";
    let server = Process::over_directory(test, root.path());
    let bytes = vec![7; 4_000_000];
    let digest = Digest::sha256(&bytes);
    let mut sending = std::net::TcpStream::connect(&server.address).unwrap();
    let head = format!(
        "POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n"
    );
    sending.write_all(head.as_bytes()).unwrap();
    sending.write_all(&bytes[..3_999_999]).unwrap();
    // Until it has come and has been written, but for the last byte.
    std::thread::sleep(std::time::Duration::from_millis(500));
    let named = || std::fs::read_dir(root.path().join("_staging")).unwrap().count();
    assert_eq!(named(), 0);
    server.kill();
    assert_eq!(named(), 0);
    assert!(!root.path().join("a").exists(), "nothing else is there either");
}

#[test]
fn one_process_serves_a_directory() {
    let root = tempfile::tempdir().unwrap();
    let first = Storage::dir(root.path()).unwrap();
    assert!(matches!(Storage::dir(root.path()), Err(Error::InUse { .. })));
    drop(first);
    Storage::dir(root.path()).unwrap();
}

#[tokio::test]
async fn an_image_layout_of_another_tool_is_served() {
    use http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    let root = tempfile::tempdir().unwrap();
    let layout = root.path().join("team/app");
    let blobs = layout.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let add = |bytes: &str| {
        let digest = Digest::sha256(bytes.as_bytes());
        std::fs::write(blobs.join(digest.hex()), bytes).unwrap();
        (digest, bytes.len())
    };
    let (config, _) = add("{}");
    let (image, size) = add(&format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"x/y","size":2,"digest":"{config}"}}}}"#
    ));
    let (nested, nested_size) = add(&format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":{size},"digest":"{image}"}}]}}"#
    ));
    std::fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    std::fs::write(
        layout.join("index.json"),
        format!(
            r#"{{"schemaVersion":2,"manifests":[
                {{"mediaType":"application/vnd.oci.image.index.v1+json","size":{nested_size},"digest":"{nested}",
                  "annotations":{{"org.opencontainers.image.ref.name":"v1"}}}},
                {{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":3,"digest":"{}",
                  "annotations":{{"org.opencontainers.image.ref.name":"gone"}}}}]}}"#,
            Digest::sha256(b"not there")
        ),
    )
    .unwrap();
    let router = registry_server::router(Registry::new(Storage::dir(root.path()).unwrap()));
    for (path, expected) in [
        ("/v2/team/app/manifests/v1".to_owned(), 200),
        (format!("/v2/team/app/manifests/{nested}"), 200),
        (format!("/v2/team/app/manifests/{image}"), 200),
        (format!("/v2/team/app/blobs/{config}"), 200),
        ("/v2/team/app/manifests/gone".to_owned(), 404),
    ] {
        let request = Request::get(&path).body(axum::body::Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status().as_u16(), expected, "{path}");
    }
    let request = Request::get("/v2/_catalog").body(axum::body::Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, r#"{"repositories":["team/app"]}"#);
}
