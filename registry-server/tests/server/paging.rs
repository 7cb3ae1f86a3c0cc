//! Lists that are too long for one answer.

#![allow(clippy::unwrap_used, reason = "a test that panics says where")]

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use oci::Digest;
use registry_server::{Registry, Storage, router};
use serde_json::{Value, json};
use tower::ServiceExt;

async fn call(router: &Router, method: &str, path: &str, body: String) -> (HeaderMap, Value) {
    let request = Request::builder().method(method).uri(path).body(Body::from(body)).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    assert!(
        matches!(parts.status, StatusCode::OK | StatusCode::CREATED),
        "{method} {path}: {bytes:?}"
    );
    (parts.headers, serde_json::from_slice(&bytes).unwrap_or_default())
}

/// The target of the `Link` to the next page.
fn next(headers: &HeaderMap) -> Option<String> {
    let link = headers.get("link")?.to_str().unwrap();
    let (target, relation) = link.strip_prefix('<').unwrap().split_once('>').unwrap();
    assert_eq!(relation, "; rel=\"next\"");
    Some(target.to_owned())
}

#[tokio::test]
async fn referrers_come_in_pages_that_clients_can_take() {
    let router = router(Registry::new(Storage::memory()));
    let config = Digest::sha256(b"{}");
    let push = format!("/v2/a/blobs/uploads/?digest={config}");
    call(&router, "POST", &push, "{}".into()).await;
    let subject = Digest::sha256(b"subject");
    let mut pushed = Vec::new();
    for number in 0..60 {
        let kind = if number % 2 == 0 { "x/even" } else { "x/odd" };
        let manifest = json!({
            "schemaVersion": 2,
            "artifactType": kind,
            "config": {"mediaType": "x/y", "digest": config, "size": 2},
            "subject": {"mediaType": "x/y", "digest": subject, "size": 7},
            "annotations": {"number": number.to_string(), "padding": "x".repeat(200_000)},
        })
        .to_string();
        let digest = Digest::sha256(manifest.as_bytes());
        call(&router, "PUT", &format!("/v2/a/manifests/{digest}"), manifest).await;
        pushed.push((digest.to_string(), kind));
    }
    for (filter, kinds) in [("", &["x/even", "x/odd"][..]), ("?artifactType=x/odd", &["x/odd"])] {
        let mut path = Some(format!("/v2/a/referrers/{subject}{filter}"));
        let (mut listed, mut pages) = (Vec::new(), 0);
        while let Some(this) = path {
            let (headers, list) = call(&router, "GET", &this, String::new()).await;
            assert!(list.to_string().len() < 4 << 20);
            assert_eq!(headers.contains_key("oci-filters-applied"), !filter.is_empty());
            for descriptor in list["manifests"].as_array().unwrap() {
                listed.push(descriptor["digest"].as_str().unwrap().to_owned());
            }
            pages += 1;
            path = next(&headers);
        }
        let mut expected: Vec<String> = pushed
            .iter()
            .filter(|(_, kind)| kinds.contains(kind))
            .map(|(digest, _)| digest.clone())
            .collect();
        expected.sort();
        assert_eq!(listed, expected);
        assert_eq!(pages, if filter.is_empty() { 4 } else { 2 });
    }
}

#[tokio::test]
async fn tags_come_in_pages_even_if_nobody_asks() {
    let router = router(Registry::new(Storage::memory()));
    let manifest = r#"{"schemaVersion":2,"manifests":[]}"#;
    let digest = Digest::sha256(manifest.as_bytes());
    for hundred in 0..105 {
        let tags: Vec<String> = (0..100).map(|n| format!("tag=t{hundred}-{n}")).collect();
        let path = format!("/v2/a/manifests/{digest}?{}", tags.join("&"));
        let (headers, _) = call(&router, "PUT", &path, manifest.into()).await;
        let lines: Vec<_> = headers.get_all("oci-tag").iter().collect();
        let named = lines.iter().flat_map(|line| line.to_str().unwrap().split(", ")).count();
        assert_eq!((lines.len(), named), (10, 100));
    }
    let path = format!("/v2/a/manifests/{digest}?{}", "tag=many&".repeat(101));
    let request = Request::put(path).body(Body::from(manifest)).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::URI_TOO_LONG);
    let (headers, list) = call(&router, "GET", "/v2/a/tags/list", String::new()).await;
    assert_eq!(list["tags"].as_array().unwrap().len(), 10_000);
    let (headers, list) = call(&router, "GET", &next(&headers).unwrap(), String::new()).await;
    assert_eq!(list["tags"].as_array().unwrap().len(), 500);
    assert_eq!(next(&headers), None);
}
