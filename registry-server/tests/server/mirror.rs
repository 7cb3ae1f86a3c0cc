//! Repositories that mirror those of another registry. The upstream is a registry, too, asked in
//! process; it counts what it is asked for and fails when it is told to.

#![allow(clippy::unwrap_used, reason = "a test that panics says where")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use oci::{Digest, MediaType};
use registry_server::{
    Asked, Config, Mirror, PulledBlob, PulledManifest, Registry, Storage, Unanswered, Upstream,
    router,
};
use tokio::sync::Semaphore;
use tower::ServiceExt;

/// The upstream, and what happens to it.
#[derive(Clone)]
struct Origin(Arc<Inner>);

struct Inner {
    server: Router,
    down: AtomicBool,
    refuses: AtomicBool,
    spoils: AtomicBool,
    /// Pieces of blobs that may pass.
    gate: Semaphore,
    blobs: AtomicUsize,
    resolved: AtomicUsize,
    listed: AtomicUsize,
}

const PIECE: usize = 1000;

impl Origin {
    fn new() -> Origin {
        Origin(Arc::new(Inner {
            server: router(Registry::new(Storage::memory())),
            down: AtomicBool::default(),
            refuses: AtomicBool::default(),
            spoils: AtomicBool::default(),
            gate: Semaphore::new(1 << 20),
            blobs: AtomicUsize::default(),
            resolved: AtomicUsize::default(),
            listed: AtomicUsize::default(),
        }))
    }

    fn mirrored(&self, fresh: Duration) -> Router {
        let upstream = Arc::new(self.clone());
        let namespace = Some("hub.example".to_owned());
        let mirror = Mirror { prefix: "hub".to_owned(), namespace, upstream, fresh };
        let config = Config { mirrors: vec![mirror], ..Config::default() };
        router(Registry::with_config(Storage::memory(), config))
    }

    async fn ask(&self, request: &str) -> Result<Option<(MediaType, Bytes)>, Unanswered> {
        if self.0.down.load(Ordering::SeqCst) {
            return Err(Unanswered::Failed("down".to_owned()));
        }
        if self.0.refuses.load(Ordering::SeqCst) {
            return Err(Unanswered::Refused("no".to_owned()));
        }
        let answer = send(&self.0.server, request, b"").await;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let media_type = MediaType::new(answer.headers()["content-type"].to_str().unwrap());
        Ok(Some((media_type, answer.into_body().collect().await.unwrap().to_bytes())))
    }
}

impl Upstream for Origin {
    fn resolve<'a>(&'a self, repository: &'a str, tag: &'a str) -> Asked<'a, Option<Digest>> {
        Box::pin(async move {
            self.0.resolved.fetch_add(1, Ordering::SeqCst);
            let found = self.ask(&format!("GET /v2/{repository}/manifests/{tag}")).await?;
            Ok(found.map(|(_, bytes)| Digest::sha256(&bytes)))
        })
    }

    fn manifest<'a>(
        &'a self,
        repository: &'a str,
        digest: &'a Digest,
    ) -> Asked<'a, Option<PulledManifest>> {
        Box::pin(async move {
            let found = self.ask(&format!("GET /v2/{repository}/manifests/{digest}")).await?;
            Ok(found.map(|(media_type, bytes)| PulledManifest { media_type, bytes }))
        })
    }

    fn tags<'a>(&'a self, repository: &'a str) -> Asked<'a, Option<Vec<String>>> {
        Box::pin(async move {
            self.0.listed.fetch_add(1, Ordering::SeqCst);
            let found = self.ask(&format!("GET /v2/{repository}/tags/list")).await?;
            Ok(found.map(|(_, bytes)| {
                let list: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
                let tags = list["tags"].as_array().unwrap().iter();
                tags.map(|tag| tag.as_str().unwrap().to_owned()).collect()
            }))
        })
    }

    fn referrers<'a>(&'a self, repository: &'a str, subject: &'a Digest) -> Asked<'a, Vec<Digest>> {
        Box::pin(async move {
            let found = self.ask(&format!("GET /v2/{repository}/referrers/{subject}")).await?;
            let list: serde_json::Value = serde_json::from_slice(&found.unwrap().1).unwrap();
            let all = list["manifests"].as_array().unwrap().iter();
            Ok(all.map(|one| one["digest"].as_str().unwrap().parse().unwrap()).collect())
        })
    }

    fn blob_size<'a>(&'a self, repository: &'a str, digest: &'a Digest) -> Asked<'a, Option<u64>> {
        Box::pin(async move {
            let found = self.ask(&format!("GET /v2/{repository}/blobs/{digest}")).await?;
            Ok(found.map(|(_, bytes)| bytes.len() as u64))
        })
    }

    fn blob<'a>(
        &'a self,
        repository: &'a str,
        digest: &'a Digest,
        _size: u64,
    ) -> Asked<'a, Box<dyn PulledBlob>> {
        Box::pin(async move {
            self.0.blobs.fetch_add(1, Ordering::SeqCst);
            let found = self.ask(&format!("GET /v2/{repository}/blobs/{digest}")).await?;
            let mut bytes = found.unwrap().1.to_vec();
            if self.0.spoils.load(Ordering::SeqCst) {
                bytes[0] ^= 1;
            }
            Ok(Box::new(Pieces { origin: self.clone(), rest: bytes.into() }) as Box<dyn PulledBlob>)
        })
    }
}

struct Pieces {
    origin: Origin,
    rest: Bytes,
}

impl PulledBlob for Pieces {
    fn chunk(&mut self) -> Asked<'_, Option<Bytes>> {
        Box::pin(async move {
            self.origin.0.gate.acquire().await.unwrap().forget();
            let length = PIECE.min(self.rest.len());
            Ok(Some(self.rest.split_to(length)).filter(|piece| !piece.is_empty()))
        })
    }
}

async fn send(server: &Router, request: &str, body: &[u8]) -> http::Response<Body> {
    let (method, target) = request.split_once(' ').unwrap();
    let request = Request::builder().method(method).uri(target);
    server.clone().oneshot(request.body(Body::from(body.to_vec())).unwrap()).await.unwrap()
}

async fn call(server: &Router, request: &str, body: &[u8]) -> (u16, Bytes) {
    let response = send(server, request, body).await;
    (response.status().as_u16(), response.into_body().collect().await.unwrap().to_bytes())
}

/// Pushes an image with one layer.
async fn push(server: &Router, tag: &str, layer: &[u8]) -> (Digest, Vec<u8>) {
    let digest = Digest::sha256(layer);
    let request = format!("POST /v2/app/blobs/uploads/?digest={digest}");
    assert_eq!(call(server, &request, layer).await.0, 201);
    let link = format!(r#"{{"mediaType":"x/y","size":{},"digest":"{digest}"}}"#, layer.len());
    let manifest = format!(r#"{{"schemaVersion":2,"config":{link},"layers":[{link}]}}"#);
    let request = format!("PUT /v2/app/manifests/{tag}");
    assert_eq!(call(server, &request, manifest.as_bytes()).await.0, 201);
    (digest, manifest.into())
}

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn what_was_pulled_once_is_there_without_the_upstream() {
    let origin = Origin::new();
    let layer: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
    let (digest, manifest) = push(&origin.0.server, "v1", &layer).await;
    let mirror = origin.mirrored(LONG);
    let blob = format!("GET /v2/hub/app/blobs/{digest}");
    for down in [false, true] {
        origin.0.down.store(down, Ordering::SeqCst);
        for reference in ["v1".to_owned(), Digest::sha256(&manifest).to_string()] {
            let got = call(&mirror, &format!("GET /v2/hub/app/manifests/{reference}"), b"").await;
            assert_eq!(got, (200, manifest.clone().into()), "{reference} {down}");
        }
        let head = send(&mirror, &blob.replace("GET", "HEAD"), b"").await;
        assert_eq!(
            (head.status().as_u16(), &head.headers()["content-length"]),
            (200, &"100000".parse().unwrap())
        );
        assert_eq!(call(&mirror, &blob, b"").await, (200, layer.clone().into()));
    }
    assert_eq!(origin.0.blobs.load(Ordering::SeqCst), 1);
    assert_eq!(origin.0.resolved.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn lists_are_those_of_the_upstream_while_it_answers() {
    let origin = Origin::new();
    for tag in ["v1", "v2", "v3"] {
        push(&origin.0.server, tag, tag.as_bytes()).await;
    }
    let (_, manifest) = push(&origin.0.server, "v3", b"v3").await;
    let subject = Digest::sha256(&manifest);
    let referrer = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
            "artifactType":"a/sbom","annotations":{{"by":"us"}},"layers":[],
            "config":{{"mediaType":"x/y","size":2,"digest":"{}"}},
            "subject":{{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":{},"digest":"{subject}"}}}}"#,
        Digest::sha256(b"v3"),
        manifest.len()
    );
    let put = format!("PUT /v2/app/manifests/{}", Digest::sha256(referrer.as_bytes()));
    assert_eq!(call(&origin.0.server, &put, referrer.as_bytes()).await.0, 201);

    let mirror = origin.mirrored(LONG);
    let list = "GET /v2/hub/app/tags/list";
    let all = |tags: &str| format!(r#"{{"name":"hub/app","tags":[{tags}]}}"#);
    let referrers = format!("GET /v2/hub/app/referrers/{subject}");
    for down in [false, true] {
        origin.0.down.store(down, Ordering::SeqCst);
        assert_eq!(call(&mirror, list, b"").await, (200, all(r#""v1","v2","v3""#).into()));
        let page = call(&mirror, &format!("{list}?n=1&last=v1"), b"").await;
        assert_eq!(page, (200, all(r#""v2""#).into()));
        let (status, body) = call(&mirror, &referrers, b"").await;
        let body = String::from_utf8_lossy(&body).into_owned();
        assert!(status == 200 && body.contains("a/sbom") && body.contains("by"), "{body}");
    }
    assert_eq!(origin.0.listed.load(Ordering::SeqCst), 1);
    origin.0.down.store(false, Ordering::SeqCst);
    assert_eq!(call(&mirror, "GET /v2/hub/nothing/tags/list", b"").await.0, 404);

    // One that forgets at once lists what is here when it has nobody to ask.
    let forgetful = origin.mirrored(Duration::ZERO);
    assert_eq!(call(&forgetful, "GET /v2/hub/app/manifests/v2", b"").await.0, 200);
    origin.0.down.store(true, Ordering::SeqCst);
    assert_eq!(call(&forgetful, list, b"").await, (200, all(r#""v2""#).into()));
    assert_eq!(call(&forgetful, "GET /v2/hub/other/tags/list", b"").await.0, 502);
}

#[tokio::test]
async fn many_who_ask_at_once_share_one_transfer_and_who_leaves_does_not_end_it() {
    let origin = Origin::new();
    let layer: Vec<u8> = (0..200_000_u32).map(|n| (n / 7) as u8).collect();
    let (digest, _) = push(&origin.0.server, "v1", &layer).await;
    let mirror = origin.mirrored(LONG);
    let blob = format!("GET /v2/hub/app/blobs/{digest}");
    origin.0.gate.forget_permits(1 << 20);
    origin.0.gate.add_permits(10);
    // Its bytes come before all of them are there.
    let mut first = send(&mirror, &blob, b"").await.into_body();
    let begin = first.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(begin, layer[..begin.len()]);
    // This one comes late, and the first goes away.
    let late = tokio::spawn({
        let (mirror, blob) = (mirror.clone(), blob.clone());
        async move { call(&mirror, &blob, b"").await }
    });
    drop(first);
    origin.0.gate.add_permits(1 << 20);
    let rest = join_all((0..8).map(|_| call(&mirror, &blob, b""))).await;
    for got in rest.into_iter().chain([late.await.unwrap()]) {
        assert_eq!(got, (200, layer.clone().into()));
    }
    assert_eq!(origin.0.blobs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_tag_is_asked_for_again_and_stays_while_the_upstream_fails() {
    let origin = Origin::new();
    let (_, old) = push(&origin.0.server, "v1", b"old").await;
    let (eager, patient) = (origin.mirrored(Duration::ZERO), origin.mirrored(LONG));
    let get = "GET /v2/hub/app/manifests/v1";
    for mirror in [&eager, &patient] {
        assert_eq!(call(mirror, get, b"").await, (200, old.clone().into()));
    }
    let (_, new) = push(&origin.0.server, "v1", b"new").await;
    assert_eq!(call(&eager, get, b"").await, (200, new.clone().into()));
    assert_eq!(call(&patient, get, b"").await, (200, old.into()));
    origin.0.down.store(true, Ordering::SeqCst);
    assert_eq!(call(&eager, get, b"").await, (200, new.into()));
    assert_eq!(call(&eager, "GET /v2/hub/app/manifests/v2", b"").await.0, 502);
}

#[tokio::test]
async fn what_the_upstream_lacks_or_refuses_is_answered_so() {
    let origin = Origin::new();
    let (digest, _) = push(&origin.0.server, "v1", b"layer").await;
    let mirror = origin.mirrored(Duration::ZERO);
    let absent = Digest::sha256(b"absent");
    assert_eq!(call(&mirror, "GET /v2/hub/app/manifests/v1", b"").await.0, 200);
    for request in [
        "GET /v2/hub/app/manifests/v2".to_owned(),
        "GET /v2/hub/other/manifests/v1".to_owned(),
        format!("GET /v2/hub/app/manifests/{absent}"),
        format!("GET /v2/hub/app/blobs/{absent}"),
        format!("HEAD /v2/hub/app/blobs/{absent}"),
        // Not mirrored: the prefix ends at a slash.
        "GET /v2/hubapp/manifests/v1".to_owned(),
        "GET /v2/hub/manifests/v1".to_owned(),
    ] {
        assert_eq!(call(&mirror, &request, b"").await.0, 404, "{request}");
    }
    origin.0.refuses.store(true, Ordering::SeqCst);
    for request in
        ["GET /v2/hub/app/manifests/v1".to_owned(), format!("GET /v2/hub/app/blobs/{digest}")]
    {
        assert_eq!(call(&mirror, &request, b"").await.0, 403, "{request}");
    }
}

#[tokio::test]
async fn a_blob_that_comes_wrong_is_neither_completed_nor_kept() {
    let origin = Origin::new();
    let layer = vec![7; 10 * PIECE];
    let (digest, _) = push(&origin.0.server, "v1", &layer).await;
    let mirror = origin.mirrored(LONG);
    let blob = format!("GET /v2/hub/app/blobs/{digest}");
    origin.0.spoils.store(true, Ordering::SeqCst);
    origin.0.gate.forget_permits(1 << 20);
    origin.0.gate.add_permits(5);
    let got = send(&mirror, &blob, b"").await;
    assert_eq!(got.status(), 200);
    origin.0.gate.add_permits(1 << 20);
    assert!(got.into_body().collect().await.is_err(), "the last bytes must not come");
    origin.0.spoils.store(false, Ordering::SeqCst);
    assert_eq!(call(&mirror, &blob, b"").await, (200, layer.into()));
}

#[tokio::test]
async fn a_part_of_a_blob_that_is_not_here_yet_is_served() {
    let origin = Origin::new();
    let (digest, _) = push(&origin.0.server, "v1", b"0123456789").await;
    let request = Request::get(format!("/v2/hub/app/blobs/{digest}")).header("range", "bytes=2-4");
    let mirror = origin.mirrored(LONG);
    let got = mirror.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(got.status(), 206);
    assert_eq!(got.into_body().collect().await.unwrap().to_bytes(), "234");
}

#[tokio::test]
async fn nothing_is_pushed_to_a_mirror_and_everything_beside_it() {
    let origin = Origin::new();
    let mirror = origin.mirrored(LONG);
    for request in ["POST /v2/hub/app/blobs/uploads/", "PUT /v2/hub/app/manifests/v1"] {
        let (status, body) = call(&mirror, request, b"").await;
        assert_eq!(status, 403, "{request}");
        assert!(String::from_utf8_lossy(&body).contains("DENIED"));
    }
    push(&mirror, "v1", b"ours").await;
}
