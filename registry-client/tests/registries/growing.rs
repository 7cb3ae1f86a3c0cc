//! Blobs that are sent while they are being made, against Debian's docker-registry.

use std::fs::File;
use std::io::Write as _;

use oci::{Digest, Reference};
use registry_client::Client;
use registry_client::blocking::EarlyUploads;
use testutil::DockerRegistry;
use tokio::runtime::Runtime;

use crate::server::{Reply, Server, config, noise};

/// A file that is written and one to read it by.
fn growing_file() -> (File, File) {
    let file = tempfile::NamedTempFile::new().unwrap();
    (file.reopen().unwrap(), file.into_file())
}

fn early(runtime: &Runtime, name: &Reference) -> EarlyUploads {
    EarlyUploads::new(Client::new(config()), runtime.handle().clone(), name.clone(), 2)
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn a_blob_is_there_soon_after_its_last_byte() {
    let (registry, runtime) = (DockerRegistry::start(), runtime());
    let name: Reference = format!("{}/app:1", registry.address).parse().unwrap();
    let early = early(&runtime, &name);
    let blobs: Vec<Vec<u8>> = [0, 1, 300_000, 5_000_001].into_iter().map(noise).collect();
    std::thread::scope(|scope| {
        for blob in &blobs {
            let early = &early;
            scope.spawn(move || {
                let (mut to, from) = growing_file();
                let growing = early.begin(from, "it");
                let mut size = 0;
                for part in blob.chunks(700_000) {
                    to.write_all(part).unwrap();
                    size += part.len() as u64;
                    growing.grew(size);
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                growing.completed(size, Digest::sha256(blob));
            });
        }
    });
    let sent = early.finish();
    let client = Client::new(config());
    for blob in &blobs {
        let digest = Digest::sha256(blob);
        assert!(sent.contains(&digest), "{} bytes", blob.len());
        let size = runtime.block_on(client.blob_size(&name, &digest)).unwrap();
        assert_eq!(size, Some(blob.len() as u64));
    }
}

#[test]
fn a_blob_that_is_given_up_or_named_wrong_never_appears() {
    let (registry, runtime) = (DockerRegistry::start(), runtime());
    let name: Reference = format!("{}/app:1", registry.address).parse().unwrap();
    let early = early(&runtime, &name);
    let bytes = noise(400_000);
    for completed in [false, true] {
        let (mut to, from) = growing_file();
        let growing = early.begin(from, "it");
        to.write_all(&bytes).unwrap();
        growing.grew(bytes.len() as u64);
        std::thread::sleep(std::time::Duration::from_millis(50));
        if completed {
            growing.completed(bytes.len() as u64, Digest::sha256(b"another"));
        }
    }
    assert!(early.finish().is_empty());
    let client = Client::new(config());
    for digest in [Digest::sha256(&bytes), Digest::sha256(b"another")] {
        assert!(!runtime.block_on(client.has_blob(&name, &digest)).unwrap());
    }
}

#[test]
fn a_registry_that_takes_no_streams_hinders_nobody() {
    let runtime = runtime();
    let server = Server::start(|asked| match asked.method.as_str() {
        "POST" => Reply::new(202).header("Location", "/v2/a/blobs/uploads/s"),
        _ => Reply::new(411),
    });
    let early = early(&runtime, &server.name("a"));
    let growing: Vec<_> = (0..5)
        .map(|_| {
            let (mut to, from) = growing_file();
            to.write_all(b"some").unwrap();
            let growing = early.begin(from, "it");
            growing.grew(4);
            growing
        })
        .collect();
    for growing in growing {
        growing.completed(4, Digest::sha256(b"some"));
    }
    assert!(early.finish().is_empty());
}
