//! Uploads over one bucket: what began at one server goes on at another, also when the first was
//! killed, and what nobody goes on with is cleaned away, whoever began it.

#![allow(clippy::unwrap_used, reason = "a test that panics says where")]

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use http::{Method, Request};
use http_body_util::BodyExt;
use oci::{Algorithm, Digest};
use registry_server::{Config, Limits, Registry, Storage, router};
use tower::ServiceExt;

use crate::process::{Answer, Process, exchange, served};
use crate::store::Store;

/// Bytes that differ everywhere.
fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|at| ((at * 31) ^ (at >> 8)) as u8).collect()
}

/// Two servers in processes of their own over one bucket.
struct Two {
    _runtime: tokio::runtime::Runtime,
    store: Store,
    servers: [Option<Process>; 2],
}

const A: usize = 0;
const B: usize = 1;

impl Two {
    fn start(test: &str) -> Two {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let store = runtime.block_on(Store::start());
        let test = format!("uploads::{test}");
        let start = || Some(Process::over_bucket(&test, &store.bucket(""), None));
        let servers = [start(), start()];
        Two { _runtime: runtime, store, servers }
    }

    fn call(&self, at: usize, request: &str, range: Option<&str>, body: &[u8]) -> Answer {
        let (method, path) = request.split_once(' ').unwrap();
        let headers: Vec<_> = range.iter().map(|range| ("Content-Range", *range)).collect();
        let address = &self.servers[at].as_ref().expect("it runs").address;
        exchange(address, method, path, &headers, body).expect("an answer")
    }

    fn begin(&self, at: usize) -> String {
        let begun = self.call(at, "POST /v2/a/blobs/uploads/", None, b"");
        assert_eq!(begun.status, 202);
        begun.header("location").unwrap().to_owned()
    }

    /// Status and `Range` of a request on an upload.
    fn step(&self, at: usize, request: &str, range: Option<&str>, body: &[u8]) -> (u16, String) {
        let answer = self.call(at, request, range, body);
        (answer.status, answer.header("range").unwrap_or_default().to_owned())
    }

    fn kill(&mut self, at: usize) {
        self.servers[at].take().unwrap().kill();
    }

    fn assert_pulled(&self, at: usize, content: &[u8]) {
        let get = format!("GET /v2/a/blobs/{}", Digest::sha256(content));
        let answer = self.call(at, &get, None, b"");
        assert!(answer.status == 200 && answer.body == content, "{} at {at}", answer.status);
    }

    /// Asserts that nothing stays of any upload.
    fn assert_clean(&self) {
        let begin = Instant::now();
        while self.left() > 0 {
            assert!(begin.elapsed() < Duration::from_secs(10), "{} objects stay", self.left());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Objects of uploads, and parts of them: the store keeps those beside the buckets.
    fn left(&self) -> usize {
        let beside = std::fs::read_dir(self.store.path("").parent().unwrap().parent().unwrap());
        let is_part = |entry: &std::fs::DirEntry| {
            entry.file_name().to_string_lossy().starts_with(".upload_id-")
        };
        let parts = beside.unwrap().map(Result::unwrap).filter(is_part).count();
        self.store.count("uploads") + parts
    }
}

#[test]
fn requests_in_turn_at_two_servers_make_one_blob() {
    if served() {
        return;
    }
    let two = Two::start("requests_in_turn_at_two_servers_make_one_blob");
    let content = bytes(14_000_000);
    let place = two.begin(A);
    let patch = format!("PATCH {place}");
    // Streams, without saying where they stand; then chunks, small ones and one of several parts.
    assert_eq!(two.step(B, &patch, None, &content[..10]), (202, "0-9".into()));
    assert_eq!(two.step(A, &patch, None, &content[10..1000]), (202, "0-999".into()));
    let (range, chunk) = ("1000-399999", &content[1000..400_000]);
    assert_eq!(two.step(B, &patch, Some(range), chunk), (202, "0-399999".into()));
    let (range, chunk) = ("400000-12999999", &content[400_000..13_000_000]);
    assert_eq!(two.step(A, &patch, Some(range), chunk), (202, "0-12999999".into()));
    assert_eq!(two.step(B, &format!("GET {place}"), None, b""), (204, "0-12999999".into()));
    // What both have seen is not taken again.
    let (range, chunk) = ("400000-499999", &content[400_000..500_000]);
    assert_eq!(two.step(B, &patch, Some(range), chunk), (416, "0-12999999".into()));
    assert_eq!(two.step(B, &patch, None, &content[13_000_000..13_500_000]).0, 202);
    let put = format!("PUT {place}?digest={}", Digest::sha256(&content));
    assert_eq!(two.step(A, &put, Some("13500000-13999999"), &content[13_500_000..]).0, 201);
    two.assert_pulled(A, &content);
    two.assert_pulled(B, &content);
    assert_eq!(two.step(B, &format!("GET {place}"), None, b"").0, 404);
    assert_eq!(two.step(A, &format!("GET {place}"), None, b"").0, 404);
    two.assert_clean();
}

/// What a server remembers of an upload is not taken for what has come of it elsewhere.
#[test]
fn what_one_server_remembers_is_not_what_another_has_made_of_it() {
    if served() {
        return;
    }
    let two = Two::start("what_one_server_remembers_is_not_what_another_has_made_of_it");
    let content = bytes(2_100_000);
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        for (first, second) in [(10, 20), (10, 1_000_000), (1_000_000, 1_000_010)] {
            let place = two.begin(A);
            let patch = format!("PATCH {place}");
            assert_eq!(two.step(A, &patch, None, &content[..first]).0, 202);
            assert_eq!(two.step(B, &patch, None, &content[first..second]).0, 202);
            let (put, rest) = match first {
                10 => (content[..second].to_vec(), &b""[..]),
                _ => (content.clone(), &content[second..]),
            };
            let put = format!("PUT {place}?digest={}", algorithm.digest(&put));
            assert_eq!(two.step(A, &put, None, rest).0, 201, "{first} and {second}");
        }
    }
    two.assert_clean();
}

#[test]
fn what_one_server_ends_has_ended_for_the_other() {
    if served() {
        return;
    }
    let two = Two::start("what_one_server_ends_has_ended_for_the_other");
    for size in [10, 1_000_000, 6_000_000] {
        let content = bytes(size);
        let place = two.begin(A);
        let patch = format!("PATCH {place}");
        assert_eq!(two.step(A, &patch, None, &content).0, 202);
        assert_eq!(two.step(B, &format!("DELETE {place}"), None, b"").0, 204);
        let put = format!("PUT {place}?digest={}", Digest::sha256(&content));
        for request in [&format!("GET {place}"), &patch, &put, &format!("DELETE {place}")] {
            assert_eq!(two.step(A, request, None, b"").0, 404, "{request}");
        }
        // Of another repository's it knows nothing either.
        let place = two.begin(A);
        let elsewhere = place.replace("/v2/a/", "/v2/b/");
        assert_eq!(two.step(B, &format!("GET {elsewhere}"), None, b"").0, 404);
        assert_eq!(two.step(B, &format!("DELETE {place}"), None, b"").0, 204);
    }
    let wrong = Digest::sha256(b"something else");
    let place = two.begin(A);
    assert_eq!(two.step(A, &format!("PUT {place}?digest={wrong}"), None, b"bytes").0, 400);
    two.assert_clean();
    assert_eq!(two.step(B, &format!("GET {place}"), None, b"").0, 404);
}

#[test]
fn an_upload_outlives_the_server_where_it_began() {
    if served() {
        return;
    }
    let mut two = Two::start("an_upload_outlives_the_server_where_it_began");
    let content = bytes(8_000_000);
    let places = [5, 300_000, 7_000_000].map(|sent| {
        let place = two.begin(A);
        assert_eq!(two.step(A, &format!("PATCH {place}"), None, &content[..sent]).0, 202);
        (place, sent)
    });
    let untouched = two.begin(A);
    two.kill(A);
    for (place, sent) in places {
        let range = format!("0-{}", sent - 1);
        assert_eq!(two.step(B, &format!("GET {place}"), None, b""), (204, range));
        let put = format!("PUT {place}?digest={}", Algorithm::Sha512.digest(&content));
        assert_eq!(two.step(B, &put, None, &content[sent..]).0, 201);
    }
    let put = format!("PUT {untouched}?digest={}", Digest::sha256(&content));
    assert_eq!(two.step(B, &put, None, &content).0, 201);
    two.assert_pulled(B, &content);
    two.assert_clean();
}

#[test]
fn a_server_that_is_killed_while_it_writes_is_taken_over() {
    if served() {
        return;
    }
    let mut two = Two::start("a_server_that_is_killed_while_it_writes_is_taken_over");
    let content = bytes(24_000_000);
    let place = two.begin(A);
    let mut sending = TcpStream::connect(&two.servers[A].as_ref().unwrap().address).unwrap();
    let head = format!("PATCH {place} HTTP/1.1\r\nHost: x\r\nContent-Length: 24000000\r\n\r\n");
    sending.write_all(head.as_bytes()).unwrap();
    sending.write_all(&content[..20_000_000]).unwrap();
    // Others wait for who writes, however slowly, and are then sent away.
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for byte in content[20_000_000..].chunks(1) {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                sending.write_all(byte).unwrap();
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        assert_eq!(two.step(B, &format!("PATCH {place}"), None, b"more").0, 416);
        over.store(true, Ordering::Relaxed);
    });
    two.kill(A);
    let (status, range) = two.step(B, &format!("GET {place}"), None, b"");
    let received: usize = range.strip_prefix("0-").unwrap().parse::<usize>().unwrap() + 1;
    assert!(status == 204 && received >= 5_000_000, "{status} {range}");
    let put = format!("PUT {place}?digest={}", Digest::sha256(&content));
    let range = format!("{received}-23999999");
    assert_eq!(two.step(B, &put, Some(&range), &content[received..]).0, 201);
    two.assert_pulled(B, &content);
    two.assert_clean();
}

/// One of several servers in this process.
fn server(store: &Store, limits: Limits) -> Router {
    let config = Config { limits, ..Config::default() };
    router(Registry::with_config(Storage::bucket(&store.bucket("")).unwrap(), config))
}

async fn call(server: &Router, request: &str, range: &str, body: &[u8]) -> (u16, String) {
    let (method, target) = request.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(target);
    if !range.is_empty() {
        request = request.header("content-range", range);
    }
    let request = request.body(Body::from(body.to_vec())).unwrap();
    let (parts, body) = server.clone().oneshot(request).await.unwrap().into_parts();
    body.collect().await.unwrap();
    let location = parts.headers.get("location").map(|value| value.to_str().unwrap());
    (parts.status.as_u16(), location.unwrap_or_default().to_owned())
}

#[tokio::test]
async fn of_two_chunks_for_one_place_one_is_taken() {
    for size in [1000, 300_000, 6_000_000] {
        let store = Store::start().await;
        let servers = [(); 2].map(|()| server(&store, Limits::default()));
        let content = bytes(size);
        let (_, place) = call(&servers[A], "POST /v2/a/blobs/uploads/", "", b"").await;
        let (patch, range) = (format!("PATCH {place}"), format!("0-{}", size - 1));
        // The first is about to write down how far it is when the second comes.
        let late = store.hold(Method::PUT, "/state");
        let first = call(&servers[A], &patch, &range, &content);
        let second = async {
            late.arrived().await;
            let taken = call(&servers[B], &patch, &range, &content).await;
            late.release();
            taken
        };
        let (first, second) = tokio::join!(first, second);
        assert_eq!((first.0, second.0), (416, 202), "{size}");
        let put = format!("PUT {place}?digest={}", Digest::sha256(&content));
        assert_eq!(call(&servers[A], &put, "", b"").await.0, 201);
    }
}

/// Without a place, each stands behind what came before.
#[tokio::test]
async fn of_two_streams_both_are_taken_one_behind_the_other() {
    for size in [1000, 300_000, 6_000_000] {
        let store = Store::start().await;
        let servers = [(); 2].map(|()| server(&store, Limits::default()));
        let (one, two) = (vec![1; size], vec![2; size]);
        let (_, place) = call(&servers[A], "POST /v2/a/blobs/uploads/", "", b"").await;
        let patch = format!("PATCH {place}");
        let late = store.hold(Method::PUT, "/state");
        let first = call(&servers[A], &patch, "", &one);
        let second = async {
            late.arrived().await;
            let taken = call(&servers[B], &patch, "", &two).await;
            late.release();
            taken
        };
        let (first, second) = tokio::join!(first, second);
        assert_eq!((first.0, second.0), (202, 202), "{size}");
        let put = format!("PUT {place}?digest={}", Digest::sha256(&[two, one].concat()));
        assert_eq!(call(&servers[B], &put, "", b"").await.0, 201, "{size}");
    }
}

#[tokio::test]
async fn what_is_given_up_is_cleaned_by_any_server() {
    let store = Store::start().await;
    let short = Limits { upload_expiry: Duration::from_secs(2), ..Limits::default() };
    let servers = [Limits::default(), short].map(|limits| server(&store, limits));
    for size in [0, 10, 1_000_000, 6_000_000] {
        let (_, place) = call(&servers[A], "POST /v2/a/blobs/uploads/", "", b"").await;
        assert_eq!(call(&servers[A], &format!("PATCH {place}"), "", &bytes(size)).await.0, 202);
    }
    assert!(store.count("uploads") >= 4);
    // The first look finds nothing that is old enough.
    let (_, place) = call(&servers[B], "POST /v2/a/blobs/uploads/", "", b"").await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(call(&servers[B], &format!("PATCH {place}"), "", b"goes on").await.0, 202);
    let (_, other) = call(&servers[B], "POST /v2/a/blobs/uploads/", "", b"").await;
    let begin = Instant::now();
    // Those two are left, an object each.
    while store.count("uploads") > 2 {
        assert!(begin.elapsed() < Duration::from_secs(10), "{}", store.count("uploads"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for place in [place, other] {
        assert_eq!(call(&servers[A], &format!("GET {place}"), "", b"").await.0, 204);
    }
}

#[tokio::test]
async fn no_text_of_a_client_becomes_another_key() {
    let store = Store::start().await;
    let server = server(&store, Limits::default());
    let (_, place) = call(&server, "POST /v2/a/blobs/uploads/", "", b"").await;
    let id = place.rsplit('/').next().unwrap();
    for id in ["x", "..", "%2e%2e%2frepositories", &format!("{id}%2f"), &id.to_uppercase()] {
        for method in ["GET", "PATCH", "DELETE"] {
            let request = format!("{method} /v2/a/blobs/uploads/{id}");
            assert_eq!(call(&server, &request, "", b"").await.0, 404, "{request}");
        }
    }
}
