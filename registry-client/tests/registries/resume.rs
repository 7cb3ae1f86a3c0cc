//! Transfers that a killed process began, and the next one goes on with.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use oci::Digest;
use registry_client::{Client, Config, Uploaded};
use testutil::DockerRegistry;

use crate::pull::part;
use crate::server::{Asked, Reply, Server, config, layer, noise};

/// A client of a process that remembers; nothing but the directory is shared with the next one.
fn process(unfinished: &Path) -> Client {
    Client::new(Config { unfinished: Some(unfinished.to_owned()), ..config() })
}

/// A registry that keeps what whole requests brought, and nothing of others.
#[derive(Default)]
struct Chunks {
    bytes: Mutex<Vec<u8>>,
    sessions: AtomicUsize,
}

impl Chunks {
    fn answer(&self, asked: &Asked) -> Reply {
        let mut bytes = self.bytes.lock().unwrap();
        let at = |reply: Reply| reply.header("Location", "/v2/a/blobs/uploads/s?_state=x");
        let range = |bytes: &[u8]| format!("0-{}", bytes.len().saturating_sub(1));
        match asked.method.as_str() {
            "POST" => {
                self.sessions.fetch_add(1, Ordering::SeqCst);
                bytes.clear();
                at(Reply::new(202))
            }
            "GET" => at(Reply::new(204)).header("Range", range(&bytes)),
            "PATCH" => {
                bytes.extend_from_slice(&asked.body);
                at(Reply::new(202)).header("Range", range(&bytes))
            }
            _ => {
                let digest = Digest::sha256(&bytes).to_string().replace(':', "%3A");
                Reply::new(if asked.path.ends_with(&digest) { 201 } else { 400 })
            }
        }
    }
}

#[tokio::test]
async fn a_push_that_was_killed_goes_on_in_another_process() {
    let notes = tempfile::tempdir().unwrap();
    let bytes = noise(10_000_000);
    for chunks_before in 0..10 {
        let registry = Arc::new(Chunks::default());
        let state = Arc::clone(&registry);
        let count = AtomicUsize::new(0);
        let server = Server::start(move |asked| {
            if asked.method == "PATCH" && count.fetch_add(1, Ordering::SeqCst) == chunks_before {
                // The first process is killed while it waits for this answer.
                std::thread::sleep(Duration::from_millis(200));
                return Reply::new(500);
            }
            state.answer(asked)
        });
        let (name, source) = (server.name("a"), Bytes::from(bytes.clone()));
        let killed = process(notes.path());
        let blob = layer(&bytes);
        let upload = killed.upload_blob(&name, &blob, &source, &[]);
        let short = Duration::from_millis(150);
        assert!(tokio::time::timeout(short, upload).await.is_err(), "it was not killed");
        let next = process(notes.path());
        let uploaded = next.upload_blob(&name, &blob, &source, &["b".to_owned()]).await.unwrap();
        assert_eq!(uploaded, Uploaded::Sent);
        assert!(*registry.bytes.lock().unwrap() == bytes);
        assert_eq!(registry.sessions.load(Ordering::SeqCst), 1, "one session serves both");
        let sent: usize = server.asked().iter().map(|asked| asked.body.len()).sum();
        assert!(sent * 10 < bytes.len() * 12, "{sent} bytes were sent");
    }
    assert_eq!(notes.path().read_dir().unwrap().count(), 0, "what has ended is forgotten");
}

#[tokio::test]
async fn a_registry_that_takes_no_chunks_gets_the_whole() {
    let bytes = noise(5_000_000);
    // The second takes chunks, and then not what they make together (ECR).
    for (refused, status) in [("PATCH", 405), ("PATCH", 400), ("PUT", 400), ("PUT", 404)] {
        let notes = tempfile::tempdir().unwrap();
        let whole = bytes.len();
        let server = Server::start(move |asked| match asked.method.as_str() {
            "POST" => Reply::new(202).header("Location", "/v2/a/blobs/uploads/s"),
            "PUT" if asked.body.len() == whole => Reply::new(201),
            method if method == refused => Reply::new(status),
            "PATCH" => Reply::new(201),
            _ => Reply::new(404),
        });
        let client = process(notes.path());
        let source = Bytes::from(bytes.clone());
        client.upload_blob(&server.name("a"), &layer(&bytes), &source, &[]).await.unwrap();
    }
}

#[tokio::test]
async fn a_remembered_upload_that_is_gone_starts_again() {
    let notes = tempfile::tempdir().unwrap();
    let bytes = noise(5_000_000);
    let (blob, source) = (layer(&bytes), Bytes::from(bytes.clone()));
    let registry = Arc::new(Chunks::default());
    let state = Arc::clone(&registry);
    let forgot = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&forgot);
    let server = Server::start(move |asked| match now.load(Ordering::SeqCst) {
        0 if asked.method == "PATCH" => Reply::new(403),
        1 if asked.method == "GET" => Reply::new(404),
        _ => state.answer(asked),
    });
    let name = server.name("a");
    process(notes.path()).upload_blob(&name, &blob, &source, &[]).await.unwrap_err();
    forgot.store(1, Ordering::SeqCst);
    process(notes.path()).upload_blob(&name, &blob, &source, &[]).await.unwrap();
    assert!(*registry.bytes.lock().unwrap() == bytes);
    assert_eq!(registry.sessions.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn docker_registry_goes_on_with_a_push_of_another_process() {
    let registry = DockerRegistry::start();
    let notes = tempfile::tempdir().unwrap();
    let bytes = noise(20_000_000);
    let (blob, source) = (layer(&bytes), Bytes::from(bytes.clone()));
    let name = format!("{}/resumed", registry.address).parse().unwrap();
    let slow = Config {
        unfinished: Some(notes.path().to_owned()),
        limit_rate: std::num::NonZeroU64::new(40_000_000),
        ..config()
    };
    let slow = Client::new(slow);
    let upload = slow.upload_blob(&name, &blob, &source, &[]);
    assert!(tokio::time::timeout(Duration::from_millis(300), upload).await.is_err());
    let note = notes.path().read_dir().unwrap().next().unwrap().unwrap();
    let before = std::fs::read_to_string(note.path()).unwrap();
    assert!(before.contains("_state="), "{before}");
    let next = process(notes.path());
    next.upload_blob(&name, &blob, &source, &[]).await.unwrap();
    assert!(next.blob_bytes(&name, &blob, 1 << 30).await.unwrap() == bytes);
}

#[tokio::test]
async fn a_pull_that_was_killed_goes_on_in_another_process() {
    let notes = tempfile::tempdir().unwrap();
    let bytes = Arc::new(noise(6_000_000));
    let whole = Arc::clone(&bytes);
    let count = AtomicUsize::new(0);
    let server = Server::start(move |asked| {
        if asked.path == "/v2/" {
            return Reply::new(200);
        }
        match count.fetch_add(1, Ordering::SeqCst) {
            0 => part(&whole, asked).cut_after(5_000_000),
            1 => Reply::new(403),
            _ => part(&whole, asked),
        }
    });
    let (name, blob) = (server.name("a"), layer(&bytes));
    let slow = Config {
        unfinished: Some(notes.path().to_owned()),
        limit_rate: std::num::NonZeroU64::new(50_000_000),
        ..config()
    };
    Client::new(slow).blob_bytes(&name, &blob, 1 << 30).await.unwrap_err();
    let pulled = process(notes.path()).blob_bytes(&name, &blob, 1 << 30).await.unwrap();
    assert!(pulled == *bytes);
    let last = server.asked().pop().unwrap();
    assert!(last.range_start().is_some_and(|start| start > 4_000_000), "{:?}", last.range_start());
    assert_eq!(notes.path().read_dir().unwrap().count(), 0, "what has ended is forgotten");
}

#[tokio::test]
async fn first_bytes_that_were_spoilt_are_not_believed_twice() {
    let notes = tempfile::tempdir().unwrap();
    let bytes = Arc::new(noise(6_000_000));
    let whole = Arc::clone(&bytes);
    let server = Server::start(move |asked| part(&whole, asked));
    let (name, blob) = (server.name("a"), layer(&bytes));
    let key = Digest::sha256(format!("download {}", blob.digest).as_bytes());
    std::fs::write(notes.path().join(key.hex()), vec![7; 5_000_000]).unwrap();
    process(notes.path()).blob_bytes(&name, &blob, 1 << 30).await.unwrap_err();
    let pulled = process(notes.path()).blob_bytes(&name, &blob, 1 << 30).await.unwrap();
    assert!(pulled == *bytes);
}
