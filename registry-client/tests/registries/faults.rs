//! A network that breaks all the time.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::Bytes;
use oci::Reference;
use registry_client::{Client, Config, Retry};
use registry_server::{Registry, Storage, serve};
use testutil::DockerRegistry;

use crate::server::{config, layer, noise};

/// Passes connections on to a server, and cuts each after a number of bytes, counted in both
/// directions, that differs from one to the next and has an upper limit.
struct Cutter {
    address: String,
    cuts: Arc<AtomicU64>,
}

impl Cutter {
    fn start(to: &str, most: u64) -> Cutter {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let cuts = Arc::new(AtomicU64::new(0));
        let cutter = Cutter { address, cuts: Arc::clone(&cuts) };
        let to = to.to_owned();
        thread::spawn(move || {
            let mut state = most;
            for client in listener.incoming().flatten() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let budget = Arc::new(Mutex::new(20_000 + (state >> 33) % most));
                let Ok(server) = TcpStream::connect(&to) else { return };
                let ends = [(&client, &server), (&server, &client)]
                    .map(|(from, to)| Some((from.try_clone().ok()?, to.try_clone().ok()?)));
                for (from, to) in ends.into_iter().flatten() {
                    let (budget, cuts) = (Arc::clone(&budget), Arc::clone(&cuts));
                    thread::spawn(move || pass(from, to, &budget, &cuts));
                }
            }
        });
        cutter
    }

    fn name(&self, rest: &str) -> Reference {
        format!("{}/{rest}", self.address).parse().unwrap()
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, budget: &Mutex<u64>, cuts: &AtomicU64) {
    let mut buffer = [0; 16 << 10];
    let result: io::Result<()> = (|| {
        loop {
            let count = from.read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            let left = {
                let mut budget = budget.lock().unwrap();
                let take = (*budget).min(count as u64);
                *budget -= take;
                usize::try_from(take).unwrap()
            };
            to.write_all(&buffer[..left])?;
            if left < count {
                cuts.fetch_add(1, Ordering::Relaxed);
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
    })();
    let how = if result.is_ok() { Shutdown::Write } else { Shutdown::Both };
    let _ = to.shutdown(how);
    if result.is_err() {
        let _ = from.shutdown(Shutdown::Both);
    }
}

async fn push_and_pull(client: &Client, push: &Cutter, pull: &Cutter) {
    for round in 0..10 {
        let (to, from) = (push.name(&format!("r{round}")), pull.name(&format!("r{round}")));
        for size in [0, 1, 30_000, 500_000, 2_000_000] {
            let bytes = noise(size + round);
            let blob = layer(&bytes);
            client.upload_blob(&to, &blob, &Bytes::from(bytes.clone()), &[]).await.unwrap();
            let pulled = client.blob_bytes(&from, &blob, 1 << 30).await.unwrap();
            assert!(pulled == bytes);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_keeps_what_came_needs_no_whole_connection() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let registry = Registry::new(Storage::memory());
    let server = tokio::spawn(serve(listener, registry, std::future::pending()));
    // No connection lives long enough for the larger blobs, in neither direction.
    let cutter = Cutter::start(&address, 300_000);
    push_and_pull(&Client::new(config()), &cutter, &cutter).await;
    assert!(cutter.cuts.load(Ordering::Relaxed) > 100);
    server.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_push_and_pull_ends_well() {
    let registry = DockerRegistry::start();
    // docker-registry forgets an upload whose body breaks: the whole must fit into a connection
    // now and then. A download goes on where it was.
    let push = Cutter::start(&registry.address, 4_000_000);
    let pull = Cutter::start(&registry.address, 300_000);
    let retry = Retry { times: 12, ..config().retry };
    let client = Client::new(Config { retry, ..config() });
    push_and_pull(&client, &push, &pull).await;
    for (cutter, least) in [(push, 5), (pull, 50)] {
        let cuts = cutter.cuts.load(Ordering::Relaxed);
        assert!(cuts >= least, "only {cuts} connections were cut");
    }
}
