//! What only a bucket can get wrong: several servers over one, a store that fails, and large blobs.

#![allow(clippy::unwrap_used, reason = "a test that panics says where")]

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use oci::Digest;
use registry_server::{Bucket, Collection, Registry, Storage, router};
use tower::ServiceExt;

use crate::store::Store;

fn server(bucket: &Bucket) -> Router {
    router(Registry::new(Storage::bucket(bucket).unwrap()))
}

async fn call(server: &Router, request: &str, body: Vec<u8>) -> (u16, HeaderMap, Vec<u8>) {
    let (method, target) = request.split_once(' ').unwrap();
    let request = Request::builder().method(method).uri(target).body(Body::from(body)).unwrap();
    let (parts, body) = server.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    (parts.status.as_u16(), parts.headers, body)
}

fn manifest(config: &[u8], note: usize) -> Vec<u8> {
    let (digest, size) = (Digest::sha256(config), config.len());
    let config = format!(r#"{{"mediaType":"x/y","size":{size},"digest":"{digest}"}}"#);
    format!(r#"{{"schemaVersion":2,"config":{config},"annotations":{{"n":"{note}"}}}}"#).into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_over_one_bucket_lose_nothing_to_each_other() {
    let store = Store::start().await;
    let servers = [server(&store.bucket("")), server(&store.bucket(""))];
    let blob = format!("POST /v2/a/blobs/uploads/?digest={}", Digest::sha256(b"{}"));
    assert_eq!(call(&servers[0], &blob, b"{}".to_vec()).await.0, 201);
    let pushes = (0..30).map(|number| {
        let server = servers[number % 2].clone();
        tokio::spawn(async move {
            let request = format!("PUT /v2/a/manifests/t{number}");
            call(&server, &request, manifest(b"{}", number)).await.0
        })
    });
    for pushed in futures_util::future::join_all(pushes).await {
        assert_eq!(pushed.unwrap(), 201);
    }
    for server in &servers {
        for number in 0..30 {
            let (status, _, body) =
                call(server, &format!("GET /v2/a/manifests/t{number}"), vec![]).await;
            assert_eq!((status, body), (200, manifest(b"{}", number)));
        }
    }
    // What one deletes is gone at once for the other.
    assert_eq!(call(&servers[0], "DELETE /v2/a/manifests/t0", vec![]).await.0, 202);
    assert_eq!(call(&servers[1], "GET /v2/a/manifests/t0", vec![]).await.0, 404);
    let (_, _, body) = call(&servers[1], "GET /v2/_catalog", vec![]).await;
    assert_eq!(body, br#"{"repositories":["a"]}"#);
}

/// Both servers take pushes and collect all the while. The grace period is longer than any push.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_that_collect_lose_nothing_of_what_they_took() {
    let store = Store::start().await;
    let registries = [(); 2].map(|()| Registry::new(Storage::bucket(&store.bucket("")).unwrap()));
    let servers = registries.clone().map(router);
    let grace = std::time::Duration::from_secs(2);
    let rules = Collection { grace, untagged: true, retention: Vec::new(), dry_run: false };
    let collecting = registries.clone().map(|registry| {
        let rules = rules.clone();
        tokio::spawn(async move {
            loop {
                registry.collect(&rules).await.unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        })
    });
    let begin = std::time::Instant::now();
    let (mut number, mut taken) = (0, 0);
    // Past two grace periods, so that what is not needed does go.
    while begin.elapsed() < 3 * grace {
        let config = format!("config {number}").into_bytes();
        let (first, second) = (&servers[number % 2], &servers[(number + 1) % 2]);
        let blob = format!("POST /v2/a/blobs/uploads/?digest={}", Digest::sha256(&config));
        assert_eq!(call(first, &blob, config.clone()).await.0, 201);
        // One tag of ten moves on: what it named before is for the collection.
        let put = format!("PUT /v2/a/manifests/t{}", number % 10);
        assert_eq!(call(second, &put, manifest(&config, number)).await.0, 201);
        (number, taken) = (number + 1, taken + 1);
    }
    assert!(taken > 20, "only {taken} pushes");
    for last in number - 10..number {
        let config = format!("config {last}").into_bytes();
        for server in &servers {
            let get = format!("GET /v2/a/manifests/t{}", last % 10);
            assert_eq!(call(server, &get, vec![]).await.2, manifest(&config, last));
            let get = format!("GET /v2/a/blobs/{}", Digest::sha256(&config));
            assert_eq!(call(server, &get, vec![]).await.2, config);
        }
    }
    // The first ones go, at the latest with a pass after the last push: how far those beside the
    // pushes came is the machine's affair, but none of them may have failed.
    for pass in collecting {
        assert!(!pass.is_finished(), "a collection failed");
        pass.abort();
    }
    tokio::time::sleep(grace).await;
    registries[0].collect(&rules).await.unwrap();
    let first = format!("GET /v2/a/blobs/{}", Digest::sha256(b"config 0"));
    assert_eq!(call(&servers[0], &first, vec![]).await.0, 404);
}

#[tokio::test]
async fn a_store_that_ignores_conditions_is_found_out() {
    let store = Store::start().await;
    assert!(Storage::memory().can_be_shared().await.unwrap());
    assert!(Storage::bucket(&store.bucket("p")).unwrap().can_be_shared().await.unwrap());
    store.ignore_conditions();
    assert!(!Storage::bucket(&store.bucket("p")).unwrap().can_be_shared().await.unwrap());
    assert_eq!(store.count("p"), 0, "the trial leaves nothing");
}

#[tokio::test]
async fn a_store_that_fails_is_asked_again_and_then_told_of() {
    let store = Store::start().await;
    let server = server(&store.bucket(""));
    let push = |bytes: &[u8]| format!("POST /v2/a/blobs/uploads/?digest={}", Digest::sha256(bytes));
    for (bytes, status) in [
        (&b"bytes"[..], StatusCode::SERVICE_UNAVAILABLE),
        (b"more", StatusCode::INTERNAL_SERVER_ERROR),
        (b"most", StatusCode::TOO_MANY_REQUESTS),
    ] {
        store.fail(2, status);
        assert_eq!(call(&server, &push(bytes), bytes.to_vec()).await.0, 201, "{status}");
    }
    store.slow_down(std::time::Duration::from_millis(300));
    assert_eq!(call(&server, &push(b"late"), b"late".to_vec()).await.0, 201);
    store.slow_down(std::time::Duration::ZERO);
    store.fail(u32::MAX, StatusCode::SERVICE_UNAVAILABLE);
    let get = format!("GET /v2/a/blobs/{}", Digest::sha256(b"bytes"));
    let (status, headers, _) = call(&server, &get, vec![]).await;
    assert_eq!((status, headers["retry-after"].to_str().unwrap()), (503, "5"));
    store.fail(0, StatusCode::OK);
    for bytes in [&b"more"[..], b"most", b"late"] {
        let get = format!("GET /v2/a/blobs/{}", Digest::sha256(bytes));
        assert_eq!(call(&server, &get, vec![]).await.2, bytes);
    }
    assert_eq!(call(&server, &get, vec![]).await.2, b"bytes");
}

#[tokio::test]
async fn a_large_blob_goes_out_in_parts_and_leaves_nothing_behind() {
    let store = Store::start().await;
    let server = server(&store.bucket("p"));
    let bytes: Vec<u8> = (0..12_000_000_u32).map(|number| (number >> 3) as u8).collect();
    for algorithm in [oci::Algorithm::Sha256, oci::Algorithm::Sha512] {
        let digest = algorithm.digest(&bytes);
        let (status, headers, _) = call(&server, "POST /v2/a/blobs/uploads/", vec![]).await;
        assert_eq!(status, 202);
        let location = headers["location"].to_str().unwrap().to_owned();
        let patch = format!("PATCH {location}");
        assert_eq!(call(&server, &patch, bytes.clone()).await.0, 202);
        let put = format!("PUT {location}?digest={digest}");
        assert_eq!(call(&server, &put, vec![]).await.0, 201);
        let (status, _, body) = call(&server, &format!("GET /v2/a/blobs/{digest}"), vec![]).await;
        assert_eq!((status, body == bytes), (200, true));
    }
    // The copies are removed by nobody who waits.
    for _ in 0..200 {
        if store.count("p/uploads") == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("uploads are left in the bucket");
}

#[tokio::test]
async fn a_client_is_sent_to_the_bucket_itself() {
    let store = Store::start().await;
    let hour = Some(std::time::Duration::from_secs(3600));
    let server = server(&Bucket { redirect: hour, ..store.bucket("") });
    let digest = Digest::sha256(b"bytes");
    let push = format!("POST /v2/a/blobs/uploads/?digest={digest}");
    assert_eq!(call(&server, &push, b"bytes".to_vec()).await.0, 201);
    let (status, headers, _) = call(&server, &format!("GET /v2/a/blobs/{digest}"), vec![]).await;
    assert_eq!(status, 307);
    let address = headers["location"].to_str().unwrap();
    assert!(address.contains("X-Amz-Signature") && address.contains(digest.hex()), "{address}");
}
