//! Blobs and manifests on their way out.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use oci::{Digest, MediaType};
use registry_client::{Error, Uploaded};

use crate::server::{Asked, BASIC, Reply, Server, layer, noise, password};

/// Uploads as a registry keeps them: one session, whose location changes with every answer.
#[derive(Default)]
struct Session {
    bytes: Mutex<Vec<u8>>,
    step: AtomicUsize,
    done: Mutex<Option<Vec<u8>>>,
}

impl Session {
    fn location(&self, reply: Reply) -> Reply {
        let step = self.step.fetch_add(1, Ordering::SeqCst) + 1;
        reply.header("Location", format!("/v2/a/blobs/uploads/s?_state={step}"))
    }

    fn answer(&self, asked: &Asked) -> Reply {
        let step = self.step.load(Ordering::SeqCst);
        let newest = asked.path.contains(&format!("?_state={step}"));
        let mut bytes = self.bytes.lock().unwrap();
        let range = |bytes: &[u8]| format!("0-{}", bytes.len().saturating_sub(1));
        match asked.method.as_str() {
            "POST" => {
                bytes.clear();
                self.location(Reply::new(202))
            }
            _ if !newest => Reply::new(404),
            "GET" => self.location(Reply::new(204)).header("Range", range(&bytes)),
            "PATCH" => {
                let start = asked.header("content-range").and_then(|r| r.split('-').next());
                if start != Some(&*bytes.len().to_string()) {
                    return self.location(Reply::new(416)).header("Range", range(&bytes));
                }
                bytes.extend_from_slice(&asked.body);
                self.location(Reply::new(202)).header("Range", range(&bytes))
            }
            "PUT" => {
                bytes.extend_from_slice(&asked.body);
                let digest = Digest::sha256(&bytes).to_string().replace(':', "%3A");
                if !asked.path.ends_with(&format!("&digest={digest}")) {
                    return Reply::new(400).body(r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#);
                }
                *self.done.lock().unwrap() = Some(bytes.clone());
                Reply::new(201)
            }
            _ => Reply::new(405),
        }
    }

    fn done(&self) -> Option<Vec<u8>> {
        self.done.lock().unwrap().clone()
    }
}

async fn upload(server: &Server, bytes: &[u8], mounts: &[&str]) -> Result<Uploaded, Error> {
    let source = Bytes::copy_from_slice(bytes);
    let mounts: Vec<String> = mounts.iter().map(|&from| from.to_owned()).collect();
    server.client().upload_blob(&server.name("a"), &layer(bytes), &source, &mounts).await
}

#[tokio::test]
async fn a_blob_is_sent_whole_with_two_requests() {
    for bytes in [noise(1_000_000), noise(1), Vec::new()] {
        let session = Arc::new(Session::default());
        let state = Arc::clone(&session);
        let server = Server::start(move |asked| state.answer(asked));
        assert_eq!(upload(&server, &bytes, &[]).await.unwrap(), Uploaded::Sent);
        assert!(session.done() == Some(bytes.clone()));
        let asked = server.asked();
        assert_eq!(asked.len(), 2, "{:?}", server.lines());
        assert_eq!(asked[1].header("content-length"), Some(&*bytes.len().to_string()));
    }
}

#[tokio::test]
async fn a_broken_upload_goes_on_where_it_was() {
    let bytes = noise(3_000_000);
    let session = Arc::new(Session::default());
    let (state, broken) = (Arc::clone(&session), Arc::clone(&session));
    let count = AtomicUsize::new(0);
    // The first body breaks after a million bytes, the second after a million more; what has
    // come is kept.
    let patience = move |asked: &Asked| {
        let sends = matches!(asked.method.as_str(), "PUT" | "PATCH");
        if !sends || count.fetch_add(1, Ordering::SeqCst) >= 2 {
            return None;
        }
        let mut kept = broken.bytes.lock().unwrap();
        let from = kept.len();
        let whole = noise(3_000_000);
        kept.extend_from_slice(&whole[from..from + 1_000_000]);
        Some(1_000_000)
    };
    let server = Server::impatient(patience, move |asked| state.answer(asked));
    assert_eq!(upload(&server, &bytes, &[]).await.unwrap(), Uploaded::Sent);
    assert!(session.done() == Some(bytes.clone()));
    let sent: usize = server.asked().iter().map(|asked| asked.body.len()).sum();
    assert_eq!(sent, bytes.len(), "no byte was sent twice");
}

#[tokio::test]
async fn an_upload_that_is_gone_starts_again() {
    let bytes = noise(500_000);
    let session = Arc::new(Session::default());
    let (state, broken) = (Arc::clone(&session), Arc::clone(&session));
    let count = AtomicUsize::new(0);
    let patience = move |asked: &Asked| {
        let first = asked.method == "PUT" && count.fetch_add(1, Ordering::SeqCst) == 0;
        // The location becomes unknown.
        first.then(|| broken.step.fetch_add(1, Ordering::SeqCst))
    };
    let server = Server::impatient(patience, move |asked| state.answer(asked));
    assert_eq!(upload(&server, &bytes, &[]).await.unwrap(), Uploaded::Sent);
    assert!(session.done() == Some(bytes));
}

#[tokio::test]
async fn what_is_too_large_is_sent_in_chunks() {
    let bytes = noise(5_000_000);
    let session = Arc::new(Session::default());
    let state = Arc::clone(&session);
    let server = Server::start(move |asked| {
        if asked.body.len() > 1_500_000 { Reply::new(413) } else { state.answer(asked) }
    });
    assert_eq!(upload(&server, &bytes, &[]).await.unwrap(), Uploaded::Sent);
    assert!(session.done() == Some(bytes));
    let patches = server.asked().into_iter().filter(|asked| asked.method == "PATCH");
    let ranges: Vec<_> = patches
        .filter(|p| p.body.len() <= 1_500_000)
        .map(|p| p.header("content-range").unwrap().to_owned())
        .collect();
    assert_eq!(ranges, ["0-1249999", "1250000-2499999", "2500000-3749999", "3750000-4999999"]);
}

#[tokio::test]
async fn a_registry_that_takes_no_size_is_left() {
    let server = Server::start(|asked| match asked.method.as_str() {
        "POST" => Reply::new(202).header("Location", "/v2/a/blobs/uploads/s"),
        _ => Reply::new(413),
    });
    let error = upload(&server, &noise(3_000_000), &[]).await.unwrap_err();
    assert_eq!(error.status().map(|status| status.as_u16()), Some(413), "{error}");
}

#[tokio::test]
async fn an_upload_has_as_many_tries_as_any_call() {
    let server = Server::start(|_| Reply::new(503));
    let error = upload(&server, b"x", &[]).await.unwrap_err();
    assert_eq!(error.status().map(|status| status.as_u16()), Some(503), "{error}");
    assert_eq!(server.lines(), ["POST /v2/a/blobs/uploads/"; 5]);
}

#[tokio::test]
async fn a_registry_that_contradicts_itself_is_left() {
    for status in [400, 404, 416] {
        let server = Server::start(move |asked| match asked.method.as_str() {
            "POST" => Reply::new(202).header("Location", "/v2/a/blobs/uploads/s"),
            "GET" => {
                Reply::new(204).header("Range", "0-0").header("Location", "/v2/a/blobs/uploads/s")
            }
            _ => Reply::new(status),
        });
        let error = upload(&server, &noise(1000), &[]).await.unwrap_err();
        assert_eq!(error.status().map(|status| status.as_u16()), Some(status), "{error}");
        assert!(server.lines().len() < 20, "{:?}", server.lines());
    }
}

#[tokio::test]
async fn a_blob_is_mounted_where_that_works() {
    for (answers, expected, requests) in [
        // The first source has it.
        ([201, 0], Uploaded::Mounted, 1),
        // The second has it.
        ([202, 201], Uploaded::Mounted, 2),
        // None has it: the last session is used.
        ([202, 202], Uploaded::Sent, 3),
        // The registry does not like the question.
        ([400, 405], Uploaded::Sent, 4),
    ] {
        let session = Arc::new(Session::default());
        let state = Arc::clone(&session);
        let count = AtomicUsize::new(0);
        let server = Server::start(move |asked| {
            if !asked.path.contains("mount=") {
                return state.answer(asked);
            }
            match answers[count.fetch_add(1, Ordering::SeqCst)] {
                202 => state.answer(asked),
                status => Reply::new(status),
            }
        });
        // Mounting from where it goes is no use.
        let uploaded = upload(&server, b"layer", &["a", "b", "c/d"]).await.unwrap();
        assert_eq!(uploaded, expected, "{answers:?}");
        assert_eq!(server.lines().len(), requests, "{:?}", server.lines());
        if expected == Uploaded::Sent {
            assert_eq!(session.done().as_deref(), Some(&b"layer"[..]));
        }
    }
}

#[tokio::test]
async fn a_location_on_another_host_gets_the_bytes_and_no_credentials() {
    let elsewhere = Server::start(|_| Reply::new(201));
    let target = format!("http://{}/store?key=1", elsewhere.address);
    let server = Server::start(move |asked| match asked.header("authorization") {
        Some(BASIC) => Reply::new(202).header("Location", &target),
        _ => Reply::challenge("Basic realm=x"),
    });
    let client = server.client_as(password());
    let source = Bytes::from_static(b"layer");
    client.upload_blob(&server.name("a"), &layer(b"layer"), &source, &[]).await.unwrap();
    let asked = elsewhere.asked();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].path.starts_with("/store?key=1&digest=sha256%3A"), "{}", asked[0].path);
    assert_eq!(asked[0].header("authorization"), None);
    assert_eq!(asked[0].body, b"layer");
}

#[tokio::test]
async fn an_upload_without_a_location_is_an_error() {
    let server = Server::start(|_| Reply::new(202));
    assert!(matches!(upload(&server, b"x", &[]).await.unwrap_err(), Error::Protocol { .. }));
    let server = Server::start(|_| Reply::new(202).header("Location", "file:///x"));
    assert!(matches!(upload(&server, b"x", &[]).await.unwrap_err(), Error::RefusedTarget { .. }));
}

#[tokio::test]
async fn a_refused_blob_is_not_sent_again() {
    let server = Server::start(|asked| match asked.method.as_str() {
        "POST" => Reply::new(202).header("Location", "/v2/a/blobs/uploads/s"),
        _ => Reply::new(403).body(r#"{"errors":[{"code":"DENIED","message":"quota exceeded"}]}"#),
    });
    let error = upload(&server, b"x", &[]).await.unwrap_err();
    assert!(error.to_string().ends_with("denied: quota exceeded (403)"), "{error}");
    assert_eq!(server.lines().len(), 2);
}

#[tokio::test]
async fn a_busy_registry_gets_the_blob_later() {
    let session = Arc::new(Session::default());
    let state = Arc::clone(&session);
    let count = AtomicUsize::new(0);
    let server = Server::start(move |asked| {
        if asked.method == "PUT" && count.fetch_add(1, Ordering::SeqCst) < 2 {
            return Reply::new(503);
        }
        state.answer(asked)
    });
    assert_eq!(upload(&server, b"layer", &[]).await.unwrap(), Uploaded::Sent);
    assert_eq!(session.done().as_deref(), Some(&b"layer"[..]));
}

#[tokio::test]
async fn a_manifest_is_stored_as_it_is_or_not_at_all() {
    let bytes = b"{}".to_vec();
    let digest = Digest::sha256(&bytes);
    for (stored, accepted) in [
        (Some(digest.to_string()), true),
        (Some(Digest::sha256(b"other").to_string()), false),
        (Some("junk".into()), true),
        (None, true),
    ] {
        let header = stored.clone();
        let server = Server::start(move |_| match &header {
            Some(digest) => Reply::new(201).header("Docker-Content-Digest", digest),
            None => Reply::new(201).header("OCI-Subject", "sha256:0"),
        });
        let client = server.client();
        let pushed =
            client.put_manifest(&server.name("a:1"), bytes.clone(), &MediaType::OCI_INDEX).await;
        assert_eq!(pushed.is_ok(), accepted, "{stored:?}: {pushed:?}");
        if let Ok(pushed) = pushed {
            assert_eq!(pushed.digest, digest);
            assert_eq!(pushed.subject_listed, stored.is_none());
        }
        let asked = &server.asked()[0];
        assert_eq!(asked.line(), "PUT /v2/a/manifests/1");
        assert_eq!(asked.header("content-type"), Some(MediaType::OCI_INDEX.as_str()));
        assert_eq!(asked.body, bytes);
    }
    let server = Server::start(|_| Reply::new(201));
    let other = server.name(&format!("a@{}", Digest::sha256(b"other")));
    assert!(server.client().put_manifest(&other, bytes, &MediaType::OCI_INDEX).await.is_err());
    assert!(server.lines().is_empty(), "{:?}", server.lines());
}

#[tokio::test]
async fn a_registry_may_find_a_blob_by_itself() {
    let bytes = noise(100_000);
    let found =
        Server::start(|asked| Reply::new(if asked.path.contains("?mount=") { 201 } else { 500 }));
    assert_eq!(upload(&found, &bytes, &[]).await.unwrap(), Uploaded::Mounted);
    let digest = layer(&bytes).digest.to_string().replace(':', "%3A");
    assert_eq!(found.lines(), [format!("POST /v2/a/blobs/uploads/?mount={digest}")]);

    // One that takes the question amiss is not asked again.
    let offended = Server::start(|asked| match asked.method.as_str() {
        "POST" if asked.path.contains("?mount=") => Reply::new(400),
        "POST" => Reply::new(202).header("Location", "/v2/a/blobs/uploads/s"),
        _ => Reply::new(201),
    });
    let client = offended.client();
    for bytes in [bytes, noise(200_000)] {
        let source = Bytes::from(bytes.clone());
        let uploaded = client.upload_blob(&offended.name("a"), &layer(&bytes), &source, &[]).await;
        assert_eq!(uploaded.unwrap(), Uploaded::Sent);
    }
    let asked = offended.lines();
    assert_eq!(asked.iter().filter(|line| line.contains("?mount=")).count(), 1, "{asked:?}");
    assert_eq!(asked.iter().filter(|line| line.starts_with("PUT")).count(), 2, "{asked:?}");
}
