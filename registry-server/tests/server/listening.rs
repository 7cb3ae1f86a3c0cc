//! What only a socket shows: slow clients, broken ones, many at once, and the end.

#![allow(clippy::unwrap_used, reason = "a test that panics says where")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use oci::Digest;
use registry_server::{Config, Limits, Registry, Storage, serve};

/// A registry on a port of its own. It ends when this is dropped.
struct Server {
    address: SocketAddr,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    fn start(storage: Storage, limits: Limits) -> Server {
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .max_blocking_threads(8)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                let config = Config { limits, ..Config::default() };
                let end = async { drop(stopped.await) };
                serve(listener, Registry::with_config(storage, config), end).await.unwrap();
            });
        });
        Server { address: told.recv().unwrap(), stop: Some(stop), thread: Some(thread) }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Sends a request as it stands and answers with everything up to the end of the connection.
    fn say(&self, request: &str) -> String {
        let mut stream = self.connect();
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(request.as_bytes());
        read_all(stream)
    }

    fn call(&self, method: &str, path: &str, body: &[u8]) -> (u16, String) {
        let mut stream = self.connect();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let answer = read_all(stream);
        (status(&answer), answer)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn read_all(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset after the answer loses nothing that was read.
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn upload(server: &Server, repository: &str) -> String {
    let (status, answer) = server.call("POST", &format!("/v2/{repository}/blobs/uploads/"), b"");
    assert_eq!(status, 202, "{answer}");
    header(&answer, "location").unwrap().to_owned()
}

#[test]
fn a_slow_client_delays_nobody() {
    let root = tempfile::tempdir().unwrap();
    for storage in [Storage::memory(), Storage::dir(root.path()).unwrap()] {
        let server = Server::start(storage, Limits::default());
        let session = upload(&server, "slow");
        // More slow uploads than there are threads for blocking work.
        let slow: Vec<TcpStream> = (0..50)
            .map(|number| {
                let mut stream = server.connect();
                let path = if number == 0 { session.clone() } else { upload(&server, "slow") };
                let head = format!(
                    "PATCH {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nonly a little"
                );
                stream.write_all(head.as_bytes()).unwrap();
                stream
            })
            .collect();
        let start = Instant::now();
        let digest = Digest::sha256(b"quick");
        let push = format!("/v2/quick/blobs/uploads/?digest={digest}");
        assert_eq!(server.call("POST", &push, b"quick").0, 201);
        assert_eq!(server.call("GET", &format!("/v2/quick/blobs/{digest}"), b"").0, 200);
        assert_eq!(server.call("GET", &session, b"").0, 204);
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        drop(slow);
    }
}

#[test]
fn what_came_before_a_connection_broke_is_kept() {
    let root = tempfile::tempdir().unwrap();
    for storage in [Storage::memory(), Storage::dir(root.path()).unwrap()] {
        let server = Server::start(storage, Limits::default());
        let content: Vec<u8> = (0..3_000_000_u32).map(|number| ((number * 7) >> 3) as u8).collect();
        let session = upload(&server, "a");
        let mut stream = server.connect();
        let head =
            format!("PATCH {session} HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&content[..2_000_000]).unwrap();
        drop(stream);
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut received = 0;
        while received < 2_000_000 && Instant::now() < deadline {
            let (_, answer) = server.call("GET", &session, b"");
            let range = header(&answer, "range").unwrap();
            received = range.strip_prefix("0-").unwrap().parse::<usize>().unwrap() + 1;
        }
        // All of it arrives here, as the kernel had it; what counts is that we can go on.
        assert_eq!(received, 2_000_000);
        let digest = Digest::sha256(&content);
        let (status, answer) =
            server.call("PUT", &format!("{session}?digest={digest}"), &content[received..]);
        assert_eq!(status, 201, "{answer}");
        assert_eq!(server.call("HEAD", &format!("/v2/a/blobs/{digest}"), b"").0, 200);
    }
}

#[test]
fn one_upload_takes_one_body_at_a_time() {
    let server = Server::start(Storage::memory(), Limits::default());
    let session = upload(&server, "a");
    let mut first = server.connect();
    let head = format!("PATCH {session} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n");
    first.write_all(head.as_bytes()).unwrap();
    first.write_all(b"01234").unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let (status, answer) = server.call("PATCH", &session, b"xxxxx");
    assert_eq!(status, 416, "{answer}");
    first.write_all(b"56789").unwrap();
    let digest = Digest::sha256(b"0123456789");
    let (status, answer) = server.call("PUT", &format!("{session}?digest={digest}"), b"");
    assert_eq!(status, 201, "{answer}");
}

#[test]
fn a_body_that_stops_coming_is_given_up() {
    let limits = Limits { stall: Duration::from_millis(300), ..Limits::default() };
    let server = Server::start(Storage::memory(), limits);
    let session = upload(&server, "a");
    for request in [
        format!("PATCH {session} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsome"),
        "PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{".to_owned(),
    ] {
        let start = Instant::now();
        assert_eq!(status(&server.say(&request)), 408, "{request}");
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    let (_, answer) = server.call("GET", &session, b"");
    assert_eq!(header(&answer, "range"), Some("0-3"), "{answer}");
}

#[test]
fn what_is_too_large_is_refused() {
    let limits = Limits { blob: 1000, uploads: 2, ..Limits::default() };
    let server = Server::start(Storage::memory(), limits);
    let manifest = vec![b' '; (4 << 20) + 1];
    assert_eq!(server.call("PUT", "/v2/a/manifests/v1", &manifest[..4 << 20]).0, 400);
    let declared = "PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4194305\r\n\r\n";
    assert_eq!(status(&server.say(declared)), 413);
    let mut chunked = "PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n400001\r\n".to_owned();
    chunked.push_str(&" ".repeat(0x400001));
    chunked.push_str("\r\n0\r\n\r\n");
    assert_eq!(status(&server.say(&chunked)), 413);

    // A client that sends everything before it listens still hears why.
    for path in ["/v2/a/manifests/v1", "/v2/A/manifests/v1"] {
        let (status, answer) = server.call("PUT", path, &manifest);
        assert_eq!(status, if path.contains('A') { 400 } else { 413 }, "{answer}");
    }
    let unknown = "/v2/a/blobs/uploads/00000000-0000-4000-8000-000000000000";
    assert_eq!(server.call("PATCH", unknown, &manifest).0, 404);

    let digest = Digest::sha256(&manifest[..1000]);
    let push = format!("/v2/a/blobs/uploads/?digest={digest}");
    assert_eq!(server.call("POST", &push, &manifest[..1000]).0, 201);
    assert_eq!(server.call("POST", &push, &manifest[..1001]).0, 413);
    upload(&server, "a");
    upload(&server, "a");
    let (status, answer) = server.call("POST", "/v2/a/blobs/uploads/", b"");
    assert_eq!(status, 429, "{answer}");
    assert!(header(&answer, "retry-after").is_some(), "{answer}");
}

#[test]
fn large_manifests_share_a_limited_memory() {
    let limits = Limits { manifests: 3 << 20, ..Limits::default() };
    let server = Server::start(Storage::memory(), limits);
    // One that takes two thirds of it and does not end.
    let mut hoarder = server.connect();
    let head = "PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n";
    hoarder.write_all(head.as_bytes()).unwrap();
    hoarder.write_all(&vec![b' '; 2 << 20]).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let manifest = |size: usize| {
        let text = r#"{"schemaVersion":2,"manifests":[]}"#;
        format!("{text}{}", " ".repeat(size - text.len())).into_bytes()
    };
    let push = |size| server.call("PUT", "/v2/a/manifests/v2", &manifest(size));
    let (status, answer) = push(2 << 20);
    assert_eq!(status, 429, "{answer}");
    assert!(header(&answer, "retry-after").is_some(), "{answer}");
    assert_eq!(push(500_000).0, 201);
    assert_eq!(push(60_000).0, 201);
    drop(hoarder);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(push(2 << 20).0, 201);
}

#[test]
fn an_upload_that_nobody_goes_on_with_expires() {
    let root = tempfile::tempdir().unwrap();
    let limits = Limits { upload_expiry: Duration::from_millis(200), ..Limits::default() };
    let server = Server::start(Storage::dir(root.path()).unwrap(), limits);
    let session = upload(&server, "a");
    assert_eq!(server.call("PATCH", &session, b"some bytes").0, 202);
    let staged = || std::fs::read_dir(root.path().join("_staging")).unwrap().count();
    assert_eq!(staged(), 1);
    std::thread::sleep(Duration::from_millis(400));
    upload(&server, "a");
    assert_eq!(server.call("GET", &session, b"").0, 404);
    assert_eq!(staged(), 0);
}

#[test]
fn a_push_in_one_request_that_breaks_off_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let limits = Limits { uploads: 1, ..Limits::default() };
    let server = Server::start(Storage::dir(root.path()).unwrap(), limits);
    // They have no name, and are open in this process.
    let staging = root.path().join("_staging");
    let is_staged = |entry: &std::fs::DirEntry| {
        std::fs::read_link(entry.path()).is_ok_and(|file| file.starts_with(&staging))
    };
    let staged = || std::fs::read_dir("/proc/self/fd").unwrap().flatten().filter(is_staged).count();
    let wait = |count: usize| {
        let deadline = Instant::now() + Duration::from_secs(10);
        while staged() != count {
            assert!(Instant::now() < deadline, "{} files are staged, not {count}", staged());
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let digest = Digest::sha256(b"x");
    let head = format!(
        "POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n"
    );
    let mut stream = server.connect();
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&vec![0; 2_000_000]).unwrap();
    wait(1);
    drop(stream);
    wait(0);
    let push = format!("/v2/a/blobs/uploads/?digest={digest}");
    assert_eq!(server.call("POST", &push, b"x").0, 201);
}

#[test]
fn malformed_requests_hurt_nobody() {
    let server = Server::start(Storage::memory(), Limits::default());
    let huge = format!("GET /v2/ HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(1 << 20));
    let many = format!("GET /v2/ HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(10_000));
    let long = format!("GET /v2/{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(1 << 20));
    // Two lengths, or a length and chunks, is how one request is smuggled inside another.
    let smuggled = "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n0\r\n\r\nGET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n";
    for (request, expected) in [
        (huge.as_str(), &[400, 431][..]),
        (&many, &[400, 431]),
        (&long, &[400, 414, 431]),
        (smuggled, &[400]),
        ("GET /v2/\r\n\r\n", &[400]),
        ("\0\0\0\0\r\n\r\n", &[400]),
        (
            "GET /v2/a/manifests/\u{7f}x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            &[400, 404],
        ),
    ] {
        let answer = server.say(request);
        let start: String = request.chars().take(60).collect();
        assert!(expected.contains(&status(&answer)), "{start:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{start:?}: {answer}");
    }
    assert_eq!(server.call("GET", "/v2/", b"").0, 200);
}

/// Whatever stands before us may read the end of a request elsewhere than we do. What can be read
/// in two ways is refused, or ends the connection: nothing that comes behind it is answered.
#[test]
fn no_request_hides_in_another() {
    let server = Server::start(Storage::memory(), Limits::default());
    let hidden = "GET /v2/hidden/tags/list HTTP/1.1\r\nHost: x\r\n\r\n";
    for headers in [
        // A length and chunks: which of them counts?
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        // Chunks that not everybody takes for chunks.
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity\r\nContent-Length: 5\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        " Transfer-Encoding: chunked\r\n",
        "X: y\r\n Transfer-Encoding: chunked\r\n",
        // Lengths that not everybody takes for lengths.
        "Content-Length: 5, 5\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 18446744073709551621\r\n",
        "Content-Length : 5\r\n",
        "Content-Length: \r\n 5\r\n",
    ] {
        let request = format!(
            "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\n{headers}\r\n0\r\n\r\n{hidden}"
        );
        let answer = server.say(&request);
        let answers = answer.matches("HTTP/1.1 ").count();
        // Chunks may count where there is a length, too, if the connection ends with the answer
        // (RFC 9112, section 6.3).
        let ended = header(&answer, "connection") == Some("close");
        let refused = [0, 400, 501].contains(&status(&answer));
        assert!(answers <= 1 && (refused || ended), "{headers:?}: {answer}");
    }
    // Chunks whose sizes can be read in two ways.
    for chunks in ["+0\r\n\r\n", "0x0\r\n\r\n", "-1\r\n\r\n", "fffffffffffffffff\r\n", "0\n\n"] {
        let request = format!(
            "PUT /v2/a/manifests/b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}{hidden}"
        );
        let answer = server.say(&request);
        assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{chunks:?}: {answer}");
    }
    assert_eq!(server.call("GET", "/v2/", b"").0, 200);
}

#[test]
fn who_does_not_ask_in_time_is_let_go() {
    let limits = Limits { head: Duration::from_millis(300), ..Limits::default() };
    let server = Server::start(Storage::memory(), limits);
    // Nothing; what could still be HTTP/2; a head without its end.
    for begin in ["", "P", "PRI * HTTP/2.0\r\n", "GET /v2/ HTTP/1.1\r\nHost: x\r\nX: "] {
        let start = Instant::now();
        let answer = server.say(begin);
        assert!(start.elapsed() < Duration::from_secs(10), "{begin:?} holds a connection");
        assert!(answer.is_empty() || status(&answer) == 408, "{begin:?}: {answer}");
    }
    assert_eq!(server.call("GET", "/v2/", b"").0, 200);
}

#[test]
fn no_path_leads_out_of_the_directory() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("secret"), "secret").unwrap();
    let server = Server::start(Storage::dir(place.path().join("root")).unwrap(), Limits::default());
    let hex = "../".repeat(10) + "secret";
    for path in [
        "/v2/../secret/tags/list",
        "/v2/a/../../secret/blobs/uploads/",
        "/v2/a%2f..%2f..%2fsecret/tags/list",
        "/v2/%2e%2e/secret/tags/list",
        "/v2/a/blobs/sha256:../../../../secret",
        &format!("/v2/a/blobs/sha256:{hex}"),
        "/v2/a/blobs/..%2f..%2f..%2fsecret",
        "/v2/a/manifests/..%2f..%2fsecret",
        "/v2/a/blobs/uploads/..%2f..%2fsecret",
        "/v2/a/referrers/..%2fsecret",
        "/ui/../../secret",
        "//secret",
    ] {
        for method in ["GET", "PUT", "POST", "PATCH", "DELETE"] {
            let (status, answer) = server.call(method, path, b"x");
            assert!((400..500).contains(&status), "{method} {path}: {status}");
            assert!(!answer.contains("\r\n\r\nsecret"), "{method} {path}: {answer}");
        }
    }
    let names: Vec<_> = std::fs::read_dir(place.path()).unwrap().collect();
    assert_eq!(names.len(), 2, "nothing was made beside the root");
    assert_eq!(std::fs::read(place.path().join("secret")).unwrap(), b"secret");
}

#[test]
fn the_end_waits_for_what_is_running_and_not_for_what_is_not() {
    let server = Server::start(Storage::memory(), Limits::default());
    let session = upload(&server, "a");
    let address = server.address;
    // An idle connection, and one in the middle of a body.
    let mut idle = server.connect();
    idle.write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut running = server.connect();
    let head = format!("PATCH {session} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234");
    running.write_all(head.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let start = Instant::now();
    let ending = std::thread::spawn(move || drop(server));
    std::thread::sleep(Duration::from_millis(300));
    assert!(TcpStream::connect(address).is_err(), "it still listens");
    running.write_all(b"56789").unwrap();
    let answer = read_all(running);
    assert_eq!(status(&answer), 202, "{answer}");
    ending.join().unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn many_clients_push_and_pull_at_once() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(Storage::dir(root.path()).unwrap(), Limits::default());
    std::thread::scope(|scope| {
        for client in 0..16_u8 {
            let server = &server;
            scope.spawn(move || {
                // Half of them push the same blob to the same repository.
                let content = vec![client / 2; 700_000];
                let repository = format!("r{}", client / 4);
                let digest = Digest::sha256(&content);
                let push = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
                assert_eq!(server.call("POST", &push, &content).0, 201);
                let config = Digest::sha256(&[client / 2; 700_000]);
                let manifest = format!(
                    r#"{{"schemaVersion":2,"config":{{"mediaType":"x/y","size":700000,"digest":"{config}"}},"n":{client}}}"#
                );
                for tag in 0..10 {
                    let path = format!("/v2/{repository}/manifests/t{client}-{tag}");
                    let (status, answer) = server.call("PUT", &path, manifest.as_bytes());
                    assert_eq!(status, 201, "{answer}");
                    assert!(server.call("GET", &path, b"").1.ends_with(&manifest));
                }
            });
        }
    });
    for repository in 0..4 {
        let (_, answer) = server.call("GET", &format!("/v2/r{repository}/tags/list"), b"");
        assert_eq!(answer.matches("\"t").count() - 1, 40, "{answer}");
    }
}

#[test]
fn a_repository_takes_as_many_tags_as_it_may_have() {
    let limits = Limits { tags: 2, ..Limits::default() };
    let server = Server::start(Storage::memory(), limits);
    let index = br#"{"schemaVersion":2,"manifests":[]}"#;
    for (target, expected) in [
        ("/v2/a/manifests/one", 201),
        ("/v2/a/manifests/two", 201),
        ("/v2/a/manifests/three", 403),
        ("/v2/a/manifests/two", 201),
        ("/v2/b/manifests/three", 201),
        ("/v2/a/manifests/one", 202),
        ("/v2/a/manifests/three", 201),
    ] {
        let method = if expected == 202 { "DELETE" } else { "PUT" };
        let (status, answer) = server.call(method, target, index);
        assert_eq!(status, expected, "{method} {target}: {answer}");
        assert_eq!(answer.contains("DENIED"), expected == 403, "{answer}");
    }
}
