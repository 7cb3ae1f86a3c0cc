//! Blobs on their way out of a directory: the kernel sends their files.

#![allow(clippy::unwrap_used, reason = "a test that panics says where")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use oci::Digest;
use registry_server::{Durability, Registry, Storage, serve};

/// A registry on a directory that holds blobs of `a`. It ends when this is dropped.
struct Server {
    root: tempfile::TempDir,
    address: SocketAddr,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    fn start() -> Server {
        let root = tempfile::tempdir().unwrap();
        let storage = Storage::dir_with(root.path(), Durability::Process).unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                let end = async { drop(stopped.await) };
                serve(listener, Registry::new(storage), end).await.unwrap();
            });
        });
        let address = told.recv().unwrap();
        Server { root, address, stop: Some(stop), thread: Some(thread) }
    }

    /// Puts a blob where the registry keeps those of `a`.
    fn hold(&self, content: &[u8]) -> Digest {
        let digest = Digest::sha256(content);
        let path = self.path(&digest);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        digest
    }

    fn path(&self, digest: &Digest) -> std::path::PathBuf {
        self.root.path().join(Path::new("a/blobs/sha256")).join(digest.hex())
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Client(BufReader::new(stream))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

/// A connection that is kept alive.
struct Client(BufReader<TcpStream>);

impl Client {
    fn ask(&mut self, method: &str, digest: &Digest, headers: &str) {
        let head = format!("{method} /v2/a/blobs/{digest} HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
        self.0.get_mut().write_all(head.as_bytes()).unwrap();
    }

    /// The status of the next answer, and the length that it announces.
    fn head(&mut self) -> (u16, usize) {
        let (mut status, mut length) = (None, None);
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the connection ended");
            if line == "\r\n" {
                return (status.unwrap(), length.unwrap());
            }
            status = status.or_else(|| line.split(' ').nth(1)?.parse().ok());
            length = length.or_else(|| line.strip_prefix("content-length: ")?.trim().parse().ok());
        }
    }

    fn body(&mut self, length: usize) -> Vec<u8> {
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        body
    }

    fn get(&mut self, digest: &Digest, headers: &str) -> (u16, Vec<u8>) {
        self.ask("GET", digest, headers);
        let (status, length) = self.head();
        (status, self.body(length))
    }
}

/// Bytes none of which can be taken for others, nor for zeros.
fn content(length: u32, seed: u32) -> Vec<u8> {
    (0..length).map(|at| (((at / 251) ^ at ^ seed) as u8) | 1).collect()
}

#[test]
fn a_connection_carries_files_and_documents_in_turn() {
    let server = Server::start();
    let blobs: Vec<Vec<u8>> = [5_000_000, 3, 1 << 20, (1 << 20) + 1, 300_000, 262_144, 262_145, 0]
        .into_iter()
        .map(|length| content(length, length))
        .collect();
    let mut client = server.connect();
    for blob in blobs.iter().chain(&blobs) {
        let digest = server.hold(blob);
        assert_eq!(client.get(&digest, ""), (200, blob.clone()), "{} bytes", blob.len());
        client.ask("HEAD", &digest, "");
        assert_eq!(client.head(), (200, blob.len()));
    }
}

#[test]
fn parts_of_a_file_are_what_was_asked_for() {
    let server = Server::start();
    let blob = content(5_000_000, 1);
    let digest = server.hold(&blob);
    let mut client = server.connect();
    for (first, last) in [
        (0, 0),
        (0, 4_999_999),
        (1, 1 << 20),
        ((1 << 20) - 1, 1 << 20),
        (1 << 20, (3 << 20) - 1),
        (4_999_999, 4_999_999),
        (123_456, 4_567_890),
    ] {
        let (status, part) = client.get(&digest, &format!("Range: bytes={first}-{last}\r\n"));
        assert_eq!(status, 206);
        assert!(part == blob[first..=last], "{first}-{last}");
    }
}

#[test]
fn requests_sent_at_once_are_answered_in_their_order() {
    let server = Server::start();
    let blobs: Vec<Vec<u8>> =
        [2_500_000, 10, 400_000, 1_200_000].map(|length| content(length, length)).into();
    let digests: Vec<Digest> = blobs.iter().map(|blob| server.hold(blob)).collect();
    let mut client = server.connect();
    for (number, digest) in digests.iter().enumerate() {
        client.ask(if number == 2 { "HEAD" } else { "GET" }, digest, "");
    }
    for (number, blob) in blobs.iter().enumerate() {
        assert_eq!(client.head(), (200, blob.len()));
        assert!(number == 2 || client.body(blob.len()) == *blob, "blob {number}");
    }
}

#[test]
fn a_file_that_became_shorter_ends_the_connection_and_nothing_stands_in_for_it() {
    let server = Server::start();
    let blob = content(40_000_000, 2);
    let digest = server.hold(&blob);
    let mut client = server.connect();
    client.ask("GET", &digest, "");
    assert_eq!(client.head(), (200, blob.len()));
    // What the sockets' buffers hold is less than this.
    let file = std::fs::OpenOptions::new().write(true).open(server.path(&digest)).unwrap();
    file.set_len(39_000_000).unwrap();
    let mut received = Vec::new();
    // The connection may end by a reset.
    let _ = client.0.read_to_end(&mut received);
    assert!(received.len() <= 39_000_000, "{} bytes came", received.len());
    assert!(received == blob[..received.len()]);
    let other = server.hold(b"other");
    assert_eq!(server.connect().get(&other, ""), (200, b"other".to_vec()));
}

#[test]
fn connections_cut_in_the_middle_of_a_file_leave_the_others_alone() {
    let server = Server::start();
    let blob = content(20_000_000, 3);
    let digest = server.hold(&blob);
    let open = || {
        let path = server.path(&digest);
        let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        descriptors
            .filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|p| p == path))
            .count()
    };
    for round in 0..8 {
        let mut cut = server.connect();
        cut.ask("GET", &digest, "");
        cut.head();
        cut.body(round * 100_000);
        drop(cut);
        let (status, received) = server.connect().get(&digest, "");
        assert!(status == 200 && received == blob, "round {round}");
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while open() > 0 {
        assert!(Instant::now() < deadline, "{} files stay open", open());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn files_that_are_not_in_memory_are_read_first() {
    let server = Server::start();
    let blobs = [5_000_000, 60_000].map(|length| content(length, length));
    for blob in &blobs {
        let digest = server.hold(blob);
        let file = std::fs::File::open(server.path(&digest)).unwrap();
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        let (status, received) = server.connect().get(&digest, "");
        assert!(status == 200 && received == *blob, "{} bytes", blob.len());
    }
}

#[test]
fn slow_readers_cost_no_memory() {
    let server = Server::start();
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
    };
    // A file of holes is as large, and costs no disk.
    let digest = server.hold(b"large");
    let file = std::fs::OpenOptions::new().write(true).open(server.path(&digest)).unwrap();
    file.set_len(500 << 20).unwrap();
    let before = resident();
    let mut clients: Vec<Client> = (0..32).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.ask("GET", &digest, "");
        assert_eq!(client.head(), (200, 500 << 20));
    }
    let mut most = before;
    for _ in 0..20 {
        for client in &mut clients {
            client.body(100_000);
        }
        most = most.max(resident());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(most < before + (64 << 20), "{} bytes more", most - before);
}
