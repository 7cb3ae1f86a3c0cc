//! How much repositories may hold, on every storage.

#![allow(clippy::unwrap_used, reason = "a test that panics says where")]

use axum::Router;
use axum::body::Body;
use http::Request;
use oci::Digest;
use registry_server::{Collection, Config, Pattern, Quota, Registry, Storage, router};
use tower::ServiceExt;

/// `team/**` may hold 1000 bytes together, `team/small` 100 of them.
fn registry(storage: Storage) -> Registry {
    let quota =
        |repositories: &str, bytes| Quota { repositories: Pattern::new(repositories), bytes };
    let quotas = vec![quota("team/**", 1000), quota("team/small", 100)];
    Registry::with_config(storage, Config { quotas, ..Config::default() })
}

async fn call(server: &Router, method: &str, path: &str, body: &[u8]) -> (u16, String) {
    let request = Request::builder().method(method).uri(path).body(Body::from(body.to_vec()));
    let (parts, body) = server.clone().oneshot(request.unwrap()).await.unwrap().into_parts();
    let body = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
    (parts.status.as_u16(), String::from_utf8_lossy(&body).into_owned())
}

async fn push(server: &Router, repository: &str, bytes: &[u8]) -> (u16, String) {
    let path = format!("/v2/{repository}/blobs/uploads/?digest={}", Digest::sha256(bytes));
    call(server, "POST", &path, bytes).await
}

async fn keeps_to_quotas(storage: Storage) {
    let server = router(registry(storage.clone()));
    let blob = |byte: u8, size: usize| vec![byte; size];
    assert_eq!(push(&server, "team/one", &blob(1, 600)).await.0, 201);
    // What is there already takes no more room.
    assert_eq!(push(&server, "team/one", &blob(1, 600)).await.0, 201);
    let (status, body) = push(&server, "team/two", &blob(2, 401)).await;
    assert_eq!(status, 403, "{body}");
    assert!(body.contains("DENIED") && body.contains("1000") && body.contains("600"), "{body}");
    assert_eq!(push(&server, "team/two", &blob(2, 200)).await.0, 201);
    assert_eq!(push(&server, "other", &blob(2, 5000)).await.0, 201);
    // The nearest quota counts.
    assert_eq!(push(&server, "team/small", &blob(3, 101)).await.0, 403);
    assert_eq!(push(&server, "team/small", &blob(3, 90)).await.0, 201);

    // A mount takes room as a push does.
    let mount = |repository: &str, bytes: &[u8]| {
        let digest = Digest::sha256(bytes);
        format!("/v2/{repository}/blobs/uploads/?mount={digest}&from=team/one")
    };
    assert_eq!(call(&server, "POST", &mount("team/two", &blob(1, 600)), b"").await.0, 403);
    let lost = format!("/v2/team/two/blobs/{}", Digest::sha256(&blob(1, 600)));
    assert_eq!(call(&server, "HEAD", &lost, b"").await.0, 404);

    // So does a manifest.
    let empty = blob(3, 90);
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"x/y","size":90,"digest":"{}"}}}}"#,
        Digest::sha256(&empty)
    );
    let path = "/v2/team/small/manifests/tag";
    assert_eq!(call(&server, "PUT", path, manifest.as_bytes()).await.0, 403);

    // Chunks are refused once they are too many.
    let begun = Request::post("/v2/team/two/blobs/uploads/").body(Body::empty()).unwrap();
    let begun = server.clone().oneshot(begun).await.unwrap();
    let place = begun.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(call(&server, "PATCH", &place, &blob(4, 60)).await.0, 202);
    assert_eq!(call(&server, "PATCH", &place, &blob(4, 60)).await.0, 403);

    // Room that is given back is room, at once; another server counts for itself.
    let path = format!("/v2/team/one/blobs/{}", Digest::sha256(&blob(1, 600)));
    assert_eq!(call(&server, "DELETE", &path, b"").await.0, 202);
    assert_eq!(push(&server, "team/two", &blob(5, 700)).await.0, 201);
    let another = router(registry(storage));
    assert_eq!(push(&another, "team/two", &blob(6, 20)).await.0, 403);
    assert_eq!(push(&another, "team/two", &blob(6, 10)).await.0, 201);
}

#[tokio::test]
async fn memory_keeps_to_quotas() {
    keeps_to_quotas(Storage::memory()).await;
}

#[tokio::test]
async fn a_directory_keeps_to_quotas() {
    let root = tempfile::tempdir().unwrap();
    keeps_to_quotas(Storage::dir(root.path()).unwrap()).await;
}

#[tokio::test]
async fn pushes_at_once_do_not_pass_a_quota_together() {
    let server = router(registry(Storage::memory()));
    let mut pushes = tokio::task::JoinSet::new();
    for number in 0..50u8 {
        let server = server.clone();
        pushes.spawn(async move { push(&server, "team/all", &[number; 90]).await.0 });
    }
    let statuses = pushes.join_all().await;
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 11);
    assert_eq!(statuses.iter().filter(|status| **status == 403).count(), 39);
}

#[tokio::test]
async fn a_collection_makes_room() {
    let registry = registry(Storage::memory());
    let server = router(registry.clone());
    assert_eq!(push(&server, "team/one", &[1; 1000]).await.0, 201);
    assert_eq!(push(&server, "team/one", &[2; 10]).await.0, 403);
    let grace = std::time::Duration::ZERO;
    let rules = Collection { grace, untagged: false, retention: Vec::new(), dry_run: false };
    assert_eq!(registry.collect(&rules).await.unwrap().bytes, 1000);
    assert_eq!(push(&server, "team/one", &[2; 10]).await.0, 201);
}
