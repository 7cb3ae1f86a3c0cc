//! Content that is made to hurt: it costs its sender something, and nobody else.

#![allow(clippy::unwrap_used, reason = "a test that panics says where")]

use std::io::Write;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use oci::Digest;
use registry_server::{Config, Limits, Registry, Storage, router};
use tower::ServiceExt;

async fn call(server: &Router, method: &str, path: &str, body: Vec<u8>) -> (u16, Vec<u8>) {
    let request = Request::builder().method(method).uri(path).body(Body::from(body)).unwrap();
    let response = server.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    (status, response.into_body().collect().await.unwrap().to_bytes().to_vec())
}

async fn push(server: &Router, bytes: Vec<u8>) -> Digest {
    let digest = Digest::sha256(&bytes);
    let path = format!("/v2/a/blobs/uploads/?digest={digest}");
    assert_eq!(call(server, "POST", &path, bytes).await.0, 201);
    digest
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

#[tokio::test]
async fn manifests_may_be_as_deep_as_they_like() {
    let server = router(Registry::new(Storage::memory()));
    let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
    for (text, status) in [
        // What nobody looks at is not followed.
        (format!(r#"{{"schemaVersion":2,"manifests":[],"x":{deep}}}"#), 201),
        (format!(r#"{{"schemaVersion":2,"manifests":[],"annotations":{{"a":{deep}}}}}"#), 400),
        (format!(r#"{{"schemaVersion":2,"manifests":{deep}}}"#), 400),
        (deep.clone(), 400),
        ("[".repeat(4_000_000), 400),
        (r#"{"x":"#.repeat(700_000), 400),
    ] {
        let sent = text.clone().into_bytes();
        let (answered, body) = call(&server, "PUT", "/v2/a/manifests/t", sent).await;
        let told = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
        assert_eq!(answered, status, "{}: {told}", &text[..40]);
    }
    assert_eq!(call(&server, "GET", "/v2/a/manifests/t", vec![]).await.0, 200);
}

#[tokio::test]
async fn a_manifest_may_have_very_many_layers() {
    let limits = Limits { manifest: 64 << 20, manifests: 256 << 20, ..Limits::default() };
    let registry = Registry::with_config(Storage::memory(), Config { limits, ..Config::default() });
    let server = router(registry);
    let layer = push(&server, b"x".to_vec()).await;
    let link = |digest: &Digest| format!(r#"{{"mediaType":"x/y","size":1,"digest":"{digest}"}}"#);
    let manifest = |layers: Vec<String>| {
        let (config, layers) = (link(&layer), layers.join(","));
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layers}]}}"#).into_bytes()
    };
    let begin = Instant::now();
    let many = manifest(vec![link(&layer); 100_000]);
    let digest = Digest::sha256(&many);
    assert_eq!(call(&server, "PUT", "/v2/a/manifests/many", many).await.0, 201);
    // People see the first ones.
    let (status, page) = call(&server, "GET", &format!("/ui/a@{digest}"), vec![]).await;
    assert_eq!(status, 200);
    assert!(page.len() < 2 << 20, "{} bytes", page.len());
    // And what is missing is told, but not without end.
    let missing = (0..100_000_u32).map(|number| link(&Digest::sha256(&number.to_le_bytes())));
    let missing = manifest(missing.collect());
    let (status, told) = call(&server, "PUT", "/v2/a/manifests/missing", missing).await;
    assert_eq!(status, 400);
    assert!(told.len() < 64 << 10, "{} bytes", told.len());
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
}

/// A layer of a few megabytes that would become hundreds of gigabytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_that_grows_without_end_is_given_up() {
    let server = router(Registry::new(Storage::memory()));
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let mut header = [0_u8; 512];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"endless");
    put(100, b"0000644\0");
    // A size of 2^62 in base 256, as GNU's tar has it.
    put(124, &[0x80, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0]);
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().copied().map(u32::from).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut layer = gzip(&header);
    let zeros = gzip(&vec![0; 32 << 20]);
    for _ in 0..4000 {
        layer.extend_from_slice(&zeros);
    }
    let layer = push(&server, layer).await;
    let before = resident();
    let (listing, path) = (server.clone(), format!("/ui/a@{layer}"));
    let begin = Instant::now();
    let listing = tokio::spawn(async move { call(&listing, "GET", &path, vec![]).await });
    let mut most = 0;
    while !listing.is_finished() {
        let asked = Instant::now();
        assert_eq!(call(&server, "GET", "/v2/", vec![]).await.0, 200);
        assert!(asked.elapsed() < Duration::from_secs(2), "others wait");
        most = most.max(resident());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (status, page) = listing.await.unwrap();
    let page = String::from_utf8(page).unwrap();
    assert!(status == 200 && page.contains("too long"), "{status} {page}");
    assert!(begin.elapsed() < Duration::from_secs(40), "{:?}", begin.elapsed());
    assert!(most < before + (64 << 20), "{} bytes more", most - before);
}

#[tokio::test]
async fn thousands_of_open_uploads_cost_no_descriptors() {
    let root = tempfile::tempdir().unwrap();
    let limits = Limits { uploads: 5000, ..Limits::default() };
    let storage = Storage::dir(root.path()).unwrap();
    let server = router(Registry::with_config(storage, Config { limits, ..Config::default() }));
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    let begin = || async {
        let request = Request::post("/v2/a/blobs/uploads/").body(Body::empty()).unwrap();
        server.clone().oneshot(request).await.unwrap()
    };
    let mut last = None;
    for _ in 0..5000 {
        let begun = begin().await;
        assert_eq!(begun.status(), 202);
        let place = begun.headers()["location"].to_str().unwrap().to_owned();
        assert_eq!(call(&server, "PATCH", &place, b"some".to_vec()).await.0, 202);
        last = Some(place);
    }
    assert!(descriptors() < before + 100, "{} descriptors more", descriptors() - before);
    let refused = begin().await;
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key("retry-after"));
    // Those that are open go on.
    let put = format!("{}?digest={}", last.unwrap(), Digest::sha256(b"some"));
    assert_eq!(call(&server, "PUT", &put, vec![]).await.0, 201);
}
