//! Many clients at once, in both directions, within the memory that a small machine has.

#![allow(clippy::unwrap_used, reason = "a test that panics says where")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use oci::Digest;

use crate::process::{Process, Random, call, served};

const CLIENTS: usize = 32;
const TURNS: u64 = 3;
const BLOB: usize = 4 << 20;
/// What the server may take, in bytes.
const MEMORY: usize = 100 << 20;

fn content(client: usize, turn: u64) -> Vec<u8> {
    let mut random = Random(client as u64 * 1000 + turn);
    (0..BLOB / 8).flat_map(|_| random.below(u64::MAX).to_le_bytes()).collect()
}

fn push_and_pull(address: &str, client: usize) {
    let repository = format!("r{}", client % 8);
    for turn in 0..TURNS {
        let bytes = content(client, turn);
        let (digest, size) = (Digest::sha256(&bytes), bytes.len());
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        assert_eq!(call(address, "POST", &path, &bytes).unwrap().0, 201);
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"x/y","size":{size},"digest":"{digest}"}}}}"#
        );
        let path = format!("/v2/{repository}/manifests/c{client}");
        assert_eq!(call(address, "PUT", &path, manifest.as_bytes()).unwrap().0, 201);
        assert_eq!(call(address, "GET", &path, b"").unwrap(), (200, manifest.into_bytes()));
        let path = format!("/v2/{repository}/blobs/{digest}");
        let (status, pulled) = call(address, "GET", &path, b"").unwrap();
        assert!(status == 200 && pulled == bytes, "{status} for {path}");
    }
}

/// Sends a body a byte at a time, and takes one so, until it is over.
fn dawdle(address: &str, blob: &str, over: &AtomicBool) {
    let mut sending = TcpStream::connect(address).unwrap();
    let head = "PUT /v2/slow/manifests/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n";
    sending.write_all(head.as_bytes()).unwrap();
    let mut taking = TcpStream::connect(address).unwrap();
    let head = format!("GET {blob} HTTP/1.1\r\nHost: x\r\n\r\n");
    taking.write_all(head.as_bytes()).unwrap();
    while !over.load(Ordering::Relaxed) {
        // A server that gave us up is none that waits for us.
        let _ = sending.write_all(b" ");
        let _ = taking.read(&mut [0]);
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn many_clients_at_once_take_little_memory_and_a_slow_one_delays_nobody() {
    if served() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let test = "load::many_clients_at_once_take_little_memory_and_a_slow_one_delays_nobody";
    let server = Process::over_directory(test, root.path());
    let address = server.address.as_str();
    push_and_pull(address, CLIENTS);
    let digest = Digest::sha256(&content(CLIENTS, 0));
    let blob = format!("/v2/r{}/blobs/{digest}", CLIENTS % 8);
    let (over, left, mut most) = (AtomicBool::new(false), AtomicUsize::new(CLIENTS), 0);
    std::thread::scope(|scope| {
        scope.spawn(|| dawdle(address, &blob, &over));
        for client in 0..CLIENTS {
            let left = &left;
            scope.spawn(move || {
                let _done = Done(left);
                push_and_pull(address, client);
            });
        }
        while left.load(Ordering::Relaxed) > 0 {
            let asked = Instant::now();
            assert_eq!(call(address, "GET", "/v2/", b"").unwrap().0, 200);
            assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
            most = most.max(server.memory());
            std::thread::sleep(Duration::from_millis(10));
        }
        over.store(true, Ordering::Relaxed);
    });
    println!("{} MiB at most", most >> 20);
    assert!(most < MEMORY, "{most} bytes");
}

/// Counts a client as done, however it ends.
struct Done<'a>(&'a AtomicUsize);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
