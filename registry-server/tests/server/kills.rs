//! What was acknowledged survives a server that is killed while it works, and nothing of what was
//! not is there by half.
//!
//! A few kills at each run; `TIERCE_KILLS=200 cargo nextest run -p registry-server kills::` kills
//! 200 times per storage, and `TIERCE_SEED` repeats the moments of a run that failed.

#![allow(clippy::unwrap_used, reason = "a test that panics says where")]

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use oci::Digest;

use crate::process::{Process, Random, call, served};
use crate::store::Store;

/// How often a server is killed over one place; one that has seen many pushes takes long to be
/// looked through.
const KILLS_OF_ONE: u64 = 20;
/// How often where nobody says so.
const KILLS_OF_DIRECTORY: u64 = 60;
const KILLS_OF_BUCKET: u64 = 10;
/// Within what time after the first request a server is killed, in microseconds: a push into a
/// bucket takes several requests to that.
const SOON: u64 = 150_000;
const LATER: u64 = 1_500_000;

/// A blob, a manifest that needs it, and the tag they are pushed by.
struct Push {
    repository: String,
    tag: String,
    blob: Vec<u8>,
    manifest: String,
}

impl Push {
    fn new(client: u64, number: u64) -> Push {
        let blob = format!("{client}/{number} ").repeat(20_000).into_bytes();
        let digest = Digest::sha256(&blob);
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"x/y","size":{},"digest":"{digest}"}}}}"#,
            blob.len()
        );
        // Several clients share a repository, and each moves a tag of its own forward.
        Push { repository: format!("r/{}", client % 2), tag: format!("t{client}"), blob, manifest }
    }

    /// In one request or in several; `None` if the server is gone.
    fn send(&self, address: &str, in_chunks: bool) -> Option<u16> {
        let digest = Digest::sha256(&self.blob);
        let uploads = format!("/v2/{}/blobs/uploads/", self.repository);
        let (status, _) = if in_chunks {
            let place = location(address, &uploads)?;
            let (first, last) = self.blob.split_at(self.blob.len() / 3);
            assert_eq!(call(address, "PATCH", &place, first)?.0, 202);
            call(address, "PUT", &format!("{place}?digest={digest}"), last)?
        } else {
            call(address, "POST", &format!("{uploads}?digest={digest}"), &self.blob)?
        };
        assert_eq!(status, 201);
        let path = format!("/v2/{}/manifests/{}", self.repository, self.tag);
        call(address, "PUT", &path, self.manifest.as_bytes()).map(|(status, _)| status)
    }

    /// Asserts that the blob and the manifest are there by their digests.
    fn verify(&self, address: &str) {
        for (kind, bytes) in [("blobs", &self.blob[..]), ("manifests", self.manifest.as_bytes())] {
            let path = format!("/v2/{}/{kind}/{}", self.repository, Digest::sha256(bytes));
            let (status, body) = call(address, "GET", &path, b"").unwrap();
            assert_eq!((status, body == bytes), (200, true), "{path} of {}", self.tag);
        }
    }
}

/// Where an upload goes on that begins now.
fn location(address: &str, uploads: &str) -> Option<String> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let head = format!(
        "POST {uploads} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.lines().find_map(|line| Some(line.strip_prefix("location: ")?.to_owned()))
}

fn kills(usually: u64) -> u64 {
    std::env::var("TIERCE_KILLS").map_or(usually, |text| text.parse().unwrap())
}

#[test]
fn acknowledged_pushes_into_a_directory_survive() {
    if served() {
        return;
    }
    let mut random = Random::seeded("kills of servers of a directory");
    let mut left = kills(KILLS_OF_DIRECTORY);
    let mut acknowledged = 0;
    while left > 0 {
        let root = tempfile::tempdir().unwrap();
        let test = "kills::acknowledged_pushes_into_a_directory_survive";
        let start = || Process::over_directory(test, root.path());
        let whole = || {
            assert_eq!(std::fs::read_dir(root.path().join("_staging")).unwrap().count(), 0);
            for repository in ["r/0", "r/1"] {
                blobs_are_whole(&root.path().join(repository).join("blobs/sha256"));
            }
        };
        acknowledged += survive(left.min(KILLS_OF_ONE), SOON, &mut random, start, whole);
        left -= left.min(KILLS_OF_ONE);
    }
    println!("{acknowledged} pushes were acknowledged");
}

#[test]
fn acknowledged_pushes_into_a_bucket_survive() {
    if served() {
        return;
    }
    let mut random = Random::seeded("kills of servers of a bucket");
    let mut left = kills(KILLS_OF_BUCKET);
    let mut acknowledged = 0;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    while left > 0 {
        let store = runtime.block_on(Store::start());
        let test = "kills::acknowledged_pushes_into_a_bucket_survive";
        let start = || Process::over_bucket(test, &store.bucket(""), None);
        let whole = || blobs_are_whole(&store.path("blobs/sha256"));
        acknowledged += survive(left.min(KILLS_OF_ONE), LATER, &mut random, start, whole);
        left -= left.min(KILLS_OF_ONE);
    }
    println!("{acknowledged} pushes were acknowledged");
}

/// Kills servers of one place at random moments, and answers with how many pushes they had
/// acknowledged.
fn survive(
    kills: u64,
    within: u64,
    random: &mut Random,
    start: impl Fn() -> Process,
    whole: impl Fn(),
) -> usize {
    let acknowledged = Mutex::new(Vec::<Push>::new());
    let mut before = 0;
    for kill in 0..kills {
        let server = start();
        let (over, address) = (AtomicBool::new(false), server.address.clone());
        std::thread::scope(|scope| {
            for client in 0..4 {
                let (acknowledged, over, address) = (&acknowledged, &over, &address);
                scope.spawn(move || {
                    for turn in 0.. {
                        if over.load(Ordering::Relaxed) {
                            break;
                        }
                        let push = Push::new(client, kill * 100_000 + turn);
                        if push.send(address, turn % 2 == 1) == Some(201) {
                            acknowledged.lock().unwrap().push(push);
                        }
                    }
                });
            }
            std::thread::sleep(Duration::from_micros(random.below(within)));
            server.kill();
            over.store(true, Ordering::Relaxed);
        });
        let server = start();
        // Those of earlier rounds are looked at once more at the end.
        let acknowledged = acknowledged.lock().unwrap();
        let first = if kill + 1 == kills { 0 } else { before };
        acknowledged[first..].iter().for_each(|push| push.verify(&server.address));
        before = acknowledged.len();
        whole();
        tags_are_whole(&server.address);
    }
    let count = acknowledged.lock().unwrap().len();
    assert!(
        count as u64 > kills,
        "only {count} pushes were acknowledged: the kills tested nothing"
    );
    count
}

/// Asserts that each file has the digest that it is named by.
fn blobs_are_whole(dir: &Path) {
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path: PathBuf = entry.unwrap().path();
        let digest = Digest::sha256(&std::fs::read(&path).unwrap());
        assert_eq!(path.file_name().unwrap().to_str().unwrap(), digest.hex());
    }
}

/// Asserts that each tag leads to a manifest whose blob is there.
fn tags_are_whole(address: &str) {
    for repository in ["r/0", "r/1"] {
        let (status, body) =
            call(address, "GET", &format!("/v2/{repository}/tags/list"), b"").unwrap();
        if status == 404 {
            continue;
        }
        let list: serde_json::Value = serde_json::from_slice(&body).unwrap();
        for tag in list["tags"].as_array().unwrap() {
            let path = format!("/v2/{repository}/manifests/{}", tag.as_str().unwrap());
            let (status, manifest) = call(address, "GET", &path, b"").unwrap();
            assert_eq!(status, 200, "{path}");
            let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
            let blob = manifest["config"]["digest"].as_str().unwrap();
            let path = format!("/v2/{repository}/blobs/{blob}");
            assert_eq!(call(address, "HEAD", &path, b"").unwrap().0, 200, "{path}");
        }
    }
}
