//! Blobs and manifests on their way in.

use std::sync::atomic::{AtomicUsize, Ordering};

use oci::{Descriptor, Digest, MediaType};
use registry_client::Error;

use crate::server::{Asked, Reply, Server, layer, noise};

const LIMIT: u64 = 1 << 30;

/// A part of some bytes, as a good registry sends it.
pub(crate) fn part(bytes: &[u8], asked: &Asked) -> Reply {
    match asked.range_start() {
        None => Reply::new(200).body(bytes),
        Some(start) => {
            let range = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
            Reply::new(206).header("Content-Range", range).body(&bytes[start..])
        }
    }
}

#[tokio::test]
async fn a_broken_download_goes_on_where_it_was() {
    let bytes = noise(300_000);
    let content = bytes.clone();
    let server = Server::start(move |asked| {
        let reply = part(&content, asked);
        if asked.range_start().unwrap_or(0) < 250_000 { reply.cut_after(50_000) } else { reply }
    });
    let got = server.client().blob_bytes(&server.name("a"), &layer(&bytes), LIMIT).await.unwrap();
    assert!(got == bytes);
    let asked = server.asked();
    assert!(asked.len() > 5, "more breaks than one policy's tries are survived: {}", asked.len());
    let starts: Vec<_> = asked.iter().map(|asked| asked.range_start().unwrap_or(0)).collect();
    assert!(starts.is_sorted() && starts[1] > 0, "{starts:?}");
}

#[tokio::test]
async fn a_registry_that_sends_the_whole_again_is_understood() {
    let bytes = noise(300_000);
    let content = bytes.clone();
    let count = AtomicUsize::new(0);
    let server = Server::start(move |_| {
        let reply = Reply::new(200).body(&*content);
        if count.fetch_add(1, Ordering::SeqCst) < 3 { reply.cut_after(100_000) } else { reply }
    });
    let got = server.client().blob_bytes(&server.name("a"), &layer(&bytes), LIMIT).await.unwrap();
    assert!(got == bytes);
}

#[tokio::test]
async fn a_part_from_elsewhere_is_refused() {
    let bytes = noise(3000);
    for range in ["bytes 0-1999/3000", "bytes 1001-2999/3000", "bytes 1000-2999/4000", "junk"] {
        let content = bytes.clone();
        let server = Server::start(move |asked| match asked.range_start() {
            None => Reply::new(200).body(&*content).cut_after(1000),
            Some(_) => Reply::new(206).header("Content-Range", range).body(&content[1000..]),
        });
        let got = server.client().blob_bytes(&server.name("a"), &layer(&bytes), LIMIT).await;
        assert!(matches!(got.unwrap_err(), Error::Protocol { .. }), "{range}");
    }
}

#[tokio::test]
async fn an_address_that_expired_is_asked_for_anew() {
    let bytes = noise(3000);
    let content = bytes.clone();
    let count = AtomicUsize::new(0);
    let server = Server::start(move |asked| {
        if asked.path.starts_with("/v2/a/blobs/") {
            let n = count.fetch_add(1, Ordering::SeqCst);
            return Reply::new(307).header("Location", format!("/signed/{n}"));
        }
        match asked.path.as_str() {
            "/signed/0" => part(&content, asked).cut_after(1000),
            "/signed/1" => part(&content, asked),
            _ => Reply::new(200),
        }
    });
    let got = server.client().blob_bytes(&server.name("a"), &layer(&bytes), LIMIT).await.unwrap();
    assert_eq!(got, bytes);
}

#[tokio::test]
async fn wrong_bytes_never_end_without_an_error() {
    let bytes = noise(2000);
    let blob = layer(&bytes);
    let mut other = bytes.clone();
    other[1000] ^= 1;
    let chunked_long = Reply::new(200).body(&*bytes).without_end();
    for (what, reply) in [
        ("another digest", Reply::new(200).body(other)),
        ("too long", Reply::new(200).body([&*bytes, b"x"].concat())),
        ("too short", Reply::new(200).body(&bytes[1..])),
        ("without end", chunked_long),
        ("compressed", Reply::new(200).header("Content-Encoding", "gzip").body(&*bytes)),
        (
            "part of the whole",
            Reply::new(200).header("Content-Length", 2000).body(&bytes[1..]).cut_after(1999),
        ),
    ] {
        let server = Server::start(move |_| reply.clone());
        let mut opened = match server.client().blob(&server.name("a"), &blob).await {
            Ok(opened) => opened,
            Err(Error::Content { .. } | Error::Protocol { .. }) => continue,
            Err(error) => panic!("{what}: {error}"),
        };
        let mut received = 0;
        let end = loop {
            match opened.chunk().await {
                Ok(Some(chunk)) => received += chunk.len(),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        assert!(end.is_err(), "{what}");
        assert!(received <= bytes.len(), "{what}: {received} bytes were passed on");
    }
}

#[tokio::test]
async fn a_blob_that_is_not_there_is_not_tried_again() {
    let server = Server::start(|_| Reply::new(404));
    let client = server.client();
    let blob = layer(b"x");
    assert!(client.blob(&server.name("a"), &blob).await.err().unwrap().is_not_found());
    assert!(!client.has_blob(&server.name("a"), &blob.digest).await.unwrap());
    assert_eq!(server.lines().len(), 2);
}

#[tokio::test]
async fn an_empty_blob_is_a_blob() {
    let server = Server::start(|_| Reply::new(200));
    let got = server.client().blob_bytes(&server.name("a"), &layer(b""), LIMIT).await.unwrap();
    assert_eq!(got, b"");
}

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";

fn manifest() -> String {
    let digest = Digest::sha256(b"{}");
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI}","config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{digest}","size":2}},"layers":[]}}"#
    )
}

#[tokio::test]
async fn a_manifest_must_be_what_it_is_sent_as() {
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    let index = "application/vnd.oci.image.index.v1+json";
    let both = manifest().replace("\"layers\":[]", "\"layers\":[],\"manifests\":[]");
    for (what, content_type, body, accepted) in [
        ("as it is", OCI, manifest(), true),
        ("with parameters", &format!("{OCI}; charset=utf-8"), manifest(), true),
        ("as something general", "application/json", manifest(), true),
        ("as another type", docker, manifest(), false),
        ("as an index", index, manifest(), false),
        ("as both (CVE-2021-41190)", OCI, both, false),
        ("as a web page", "text/html", "<html>".into(), false),
        ("as schema 1", OCI, r#"{"schemaVersion":1,"fsLayers":[]}"#.into(), false),
        ("as nothing", OCI, String::new(), false),
    ] {
        let content_type = content_type.to_owned();
        let server = Server::start(move |_| {
            Reply::new(200).header("Content-Type", &content_type).body(&*body)
        });
        let got = server.client().manifest(&server.name("a:1")).await;
        assert_eq!(got.is_ok(), accepted, "{what}: {got:?}");
    }
}

#[tokio::test]
async fn a_manifest_asked_for_by_digest_has_that_digest() {
    let body = manifest();
    let digest = Digest::sha256(body.as_bytes());
    let server = Server::start(move |_| Reply::new(200).header("Content-Type", OCI).body(&*body));
    let client = server.client();
    let right = server.name(&format!("a@{digest}"));
    assert_eq!(*client.manifest(&right).await.unwrap().digest(), digest);
    let wrong = server.name(&format!("a@{}", Digest::sha256(b"")));
    let error = client.manifest(&wrong).await.unwrap_err();
    assert!(matches!(error, Error::Content { .. }), "{error}");
}

#[tokio::test]
async fn a_manifest_has_a_largest_size() {
    let server = Server::start(|_| Reply::new(200).body(noise(1 << 16)).without_end());
    let error = server.client().manifest(&server.name("a:1")).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn a_tag_is_resolved_by_head_where_that_is_enough() {
    let body = manifest();
    let expected = Descriptor::new(
        MediaType::OCI_MANIFEST,
        Digest::sha256(body.as_bytes()),
        body.len() as u64,
    );
    let full = |reply: Reply, digest: &Digest| {
        reply.header("Content-Type", OCI).header("Docker-Content-Digest", digest)
    };
    for (what, head, requests) in [
        ("all headers", full(Reply::new(200), &expected.digest).body(&*body), 1),
        ("no digest", Reply::new(200).header("Content-Type", OCI).body(&*body), 2),
        ("no type", Reply::new(200).header("Docker-Content-Digest", &expected.digest), 2),
        ("no HEAD", Reply::new(405), 2),
    ] {
        let body = body.clone();
        let server = Server::start(move |asked| match asked.method.as_str() {
            "HEAD" => head.clone(),
            _ => Reply::new(200).header("Content-Type", OCI).body(&*body),
        });
        assert_eq!(server.client().resolve(&server.name("a:1")).await.unwrap(), expected, "{what}");
        assert_eq!(server.lines().len(), requests, "{what}");
        let accept = server.asked()[0].header("accept").unwrap().to_owned();
        for media_type in MediaType::MANIFESTS {
            assert!(accept.contains(media_type.as_str()), "{accept}");
        }
    }
}

#[tokio::test]
async fn what_is_absent_is_said_in_several_ways() {
    for reply in [
        Reply::new(404),
        Reply::new(404).body(r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#),
        Reply::new(400).body(r#"{"errors":[{"code":"UNKNOWN","message":"tag not found"}]}"#),
    ] {
        let server = Server::start(move |_| reply.clone());
        let error = server.client().manifest(&server.name("a:1")).await.unwrap_err();
        assert!(error.is_not_found(), "{error}");
    }
}
