//! Collection while the registry serves: what goes, what stays, and that no push loses.

#![allow(clippy::unwrap_used, reason = "a test that panics says where")]

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use oci::Digest;
use registry_server::{Bucket, Collection, Pattern, Registry, Retention, Storage, router};
use tower::ServiceExt;

use crate::store;

async fn call(server: &Router, request: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let (method, target) = request.split_once(' ').unwrap();
    let request = Request::builder().method(method).uri(target);
    let response =
        server.clone().oneshot(request.body(Body::from(body.to_vec())).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    (status, response.into_body().collect().await.unwrap().to_bytes().to_vec())
}

async fn push_blob(server: &Router, bytes: &[u8]) -> Digest {
    let digest = Digest::sha256(bytes);
    let request = format!("POST /v2/a/blobs/uploads/?digest={digest}");
    assert_eq!(call(server, &request, bytes).await.0, 201);
    digest
}

fn manifest(config: &Digest, extra: &str) -> Vec<u8> {
    let config = format!(r#"{{"mediaType":"x/y","size":1,"digest":"{config}"}}"#);
    format!(r#"{{"schemaVersion":2,"config":{config}{extra}}}"#).into()
}

async fn push(server: &Router, reference: &str, bytes: &[u8]) -> Digest {
    assert_eq!(call(server, &format!("PUT /v2/a/manifests/{reference}"), bytes).await.0, 201);
    Digest::sha256(bytes)
}

const AT_ONCE: Collection =
    Collection { grace: Duration::ZERO, untagged: true, retention: Vec::new(), dry_run: false };

async fn goes_and_stays(registry: Registry) {
    let server = router(registry.clone());
    let used = push_blob(&server, b"used").await;
    let stray = push_blob(&server, b"stray").await;
    let image = push(&server, "v1", &manifest(&used, "")).await;
    let subject = format!(
        r#","subject":{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{image}","size":1}}"#
    );
    let signature = manifest(&used, &subject);
    let signature = push(&server, &Digest::sha256(&signature).to_string(), &signature).await;
    let lone = manifest(&used, r#","annotations":{"a":"b"}"#);
    let lone = push(&server, &Digest::sha256(&lone).to_string(), &lone).await;

    // A push that is under way relies on what is fresh.
    let patient = Collection { grace: Duration::from_secs(60), ..AT_ONCE };
    let kept = registry.collect(&patient).await.unwrap();
    assert_eq!((kept.blobs, kept.manifests), (vec![], vec![]));

    let told = registry.collect(&Collection { dry_run: true, ..AT_ONCE }).await.unwrap();
    assert_eq!(told.manifests, [format!("a@{lone}")]);
    assert_eq!(call(&server, &format!("HEAD /v2/a/manifests/{lone}"), b"").await.0, 200);

    let gone = registry.collect(&AT_ONCE).await.unwrap();
    assert_eq!(gone.manifests, [format!("a@{lone}")]);
    assert!(gone.blobs.contains(&format!("a@{stray}")), "{gone:?}");
    for (target, status) in [
        (format!("blobs/{used}"), 200),
        (format!("blobs/{stray}"), 404),
        ("manifests/v1".to_owned(), 200),
        (format!("manifests/{signature}"), 200),
        (format!("manifests/{lone}"), 404),
    ] {
        assert_eq!(call(&server, &format!("GET /v2/a/{target}"), b"").await.0, status, "{target}");
    }
    assert_eq!(registry.collect(&AT_ONCE).await.unwrap(), Default::default());
}

#[tokio::test]
async fn memory_is_collected() {
    goes_and_stays(Registry::new(Storage::memory())).await;
}

#[tokio::test]
async fn a_directory_is_collected() {
    let root = tempfile::tempdir().unwrap();
    goes_and_stays(Registry::new(Storage::dir(root.path()).unwrap())).await;
    let shared = std::fs::read_dir(root.path().join("_shared/sha256")).unwrap();
    assert_eq!(shared.count(), 3, "what nobody holds takes no place");
}

#[tokio::test]
async fn a_bucket_is_collected_in_two_steps() {
    let store = store::Store::start().await;
    let registry = |bucket: &Bucket| Registry::new(Storage::bucket(bucket).unwrap());
    let registry = registry(&store.bucket(""));
    goes_and_stays(registry.clone()).await;
    registry.collect(&AT_ONCE).await.unwrap();
    assert_eq!((store.count("blobs"), store.count("doomed")), (3, 0));
}

#[tokio::test]
async fn rules_of_retention_let_old_tags_go() {
    let registry = Registry::new(Storage::memory());
    let server = router(registry.clone());
    let config = push_blob(&server, b"x").await;
    for number in 0..5 {
        let extra = format!(r#","annotations":{{"n":"{number}"}}"#);
        push(&server, &format!("dev-{number}"), &manifest(&config, &extra)).await;
    }
    push(&server, "v1", &manifest(&config, "")).await;
    let rule = |repositories: &str, keep_last, keep_within| Retention {
        repositories: Pattern::new(repositories),
        tags: Pattern::new("dev-*"),
        keep_last,
        keep_within: Duration::from_secs(keep_within),
    };
    let with = |rule| Collection { retention: vec![rule], ..AT_ONCE };
    assert_eq!(registry.collect(&with(rule("b", 0, 0))).await.unwrap().tags.len(), 0);
    assert_eq!(registry.collect(&with(rule("a", 0, 60))).await.unwrap().tags.len(), 0);
    let gone = registry.collect(&with(rule("a", 2, 0))).await.unwrap();
    assert_eq!(gone.tags, ["a:dev-2", "a:dev-1", "a:dev-0"]);
    let (_, list) = call(&server, "GET /v2/a/tags/list", b"").await;
    assert_eq!(list, br#"{"name":"a","tags":["dev-3","dev-4","v1"]}"#);
}

/// What was acknowledged stays pullable, however often it is collected meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_push_loses_to_a_collection() {
    let root = tempfile::tempdir().unwrap();
    let registry = Registry::new(Storage::dir(root.path()).unwrap());
    let server = router(registry.clone());
    // The directory tells time in seconds: a grace of two keeps what is a moment old.
    let rules = Collection { grace: Duration::from_secs(2), ..AT_ONCE };
    let collecting = tokio::spawn(async move {
        for _ in 0..30 {
            registry.collect(&rules).await.unwrap();
        }
    });
    for number in 0..60_u32 {
        let config = push_blob(&server, &number.to_le_bytes()).await;
        push(&server, &format!("t{number}"), &manifest(&config, "")).await;
    }
    collecting.await.unwrap();
    for number in 0..60_u32 {
        assert_eq!(call(&server, &format!("GET /v2/a/manifests/t{number}"), b"").await.0, 200);
        let blob = Digest::sha256(&number.to_le_bytes());
        assert_eq!(call(&server, &format!("GET /v2/a/blobs/{blob}"), b"").await.0, 200);
    }
}

/// Who pushes or mounts what has been there for long relies on it as one who brings it.
async fn what_comes_again_is_new(storage: Storage) {
    let registry = Registry::new(storage);
    let server = router(registry.clone());
    let pushed = push_blob(&server, b"pushed").await;
    let mounted = push_blob(&server, b"mounted").await;
    let looked_up = push_blob(&server, b"looked up").await;
    let stray = push_blob(&server, b"stray").await;
    let used = manifest(&pushed, "");
    let untagged = Digest::sha256(&used).to_string();
    push(&server, &untagged, &used).await;
    // The directory tells time in seconds.
    let rules = Collection { grace: Duration::from_secs(2), ..AT_ONCE };
    tokio::time::sleep(Duration::from_secs(4)).await;
    push_blob(&server, b"pushed").await;
    let mount = format!("POST /v2/a/blobs/uploads/?mount={mounted}&from=b");
    assert_eq!(call(&server, &mount, b"").await.0, 201);
    assert_eq!(call(&server, &format!("HEAD /v2/a/blobs/{looked_up}"), b"").await.0, 200);
    push(&server, &untagged, &used).await;
    let gone = registry.collect(&rules).await.unwrap();
    assert_eq!(gone.manifests, Vec::<String>::new());
    assert_eq!(gone.blobs, [format!("a@{stray}")]);
}

#[tokio::test]
async fn in_memory_what_comes_again_is_new() {
    what_comes_again_is_new(Storage::memory()).await;
}

#[tokio::test]
async fn in_a_directory_what_comes_again_is_new() {
    let root = tempfile::tempdir().unwrap();
    what_comes_again_is_new(Storage::dir(root.path()).unwrap()).await;
}

#[tokio::test]
async fn in_a_bucket_what_comes_again_is_new() {
    let store = store::Store::start().await;
    what_comes_again_is_new(Storage::bucket(&store.bucket("")).unwrap()).await;
}
