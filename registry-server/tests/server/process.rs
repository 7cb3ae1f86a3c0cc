//! Servers in processes of their own, which can be killed: the test's own program again, which
//! serves when a variable says what.

#![allow(clippy::unwrap_used, reason = "a test that panics says where")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use registry_server::{Bucket, Collection, Registry, Storage, serve};

/// The directory to serve.
const DIRECTORY: &str = "TIERCE_TEST_SERVE";
/// The address of the bucket's store.
const ENDPOINT: &str = "TIERCE_TEST_ENDPOINT";
/// The period of grace of a collection that never pauses, in milliseconds.
const GRACE: &str = "TIERCE_TEST_GRACE";

pub(crate) struct Process {
    child: Child,
    pub(crate) address: String,
}

impl Process {
    /// `test` again, which calls [`served`] first, over a directory.
    pub(crate) fn over_directory(test: &str, root: &Path) -> Process {
        let program = Command::new(std::env::current_exe().unwrap());
        Process::spawn(program, test, root)
    }

    /// The same by way of another program.
    pub(crate) fn spawn(mut program: Command, test: &str, root: &Path) -> Process {
        program.env(DIRECTORY, root);
        Process::start(program, test)
    }

    /// `test` again over a bucket, which it may collect all the while.
    pub(crate) fn over_bucket(test: &str, bucket: &Bucket, grace: Option<Duration>) -> Process {
        let mut program = Command::new(std::env::current_exe().unwrap());
        let endpoint = bucket.settings.iter().find(|(name, _)| name == "AWS_ENDPOINT").unwrap();
        program.env(ENDPOINT, &endpoint.1);
        if let Some(grace) = grace {
            program.env(GRACE, grace.as_millis().to_string());
        }
        Process::start(program, test)
    }

    fn start(mut program: Command, test: &str) -> Process {
        let mut child = program
            .args(["--exact", test, "--nocapture"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut lines = lines.map(|line| line.expect("the server says where it listens"));
        let address = lines
            .find_map(|line| {
                line.split_once("listening on ").map(|(_, address)| address.to_owned())
            })
            .unwrap();
        // Read on, so that the child never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        Process { child, address }
    }

    /// How much memory of its own it has, in bytes.
    pub(crate) fn memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Killed before, it is no error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether this process was started as a server; then it has been one until now.
pub(crate) fn served() -> bool {
    let storage = if let Some(root) = std::env::var_os(DIRECTORY) {
        Storage::dir(root)
    } else if let Ok(endpoint) = std::env::var(ENDPOINT) {
        Storage::bucket(&crate::store::bucket_at(&endpoint, ""))
    } else {
        return false;
    };
    let grace = std::env::var(GRACE).ok().map(|text| text.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run(Registry::new(storage.unwrap()), grace.map(Duration::from_millis)));
    true
}

async fn run(registry: Registry, grace: Option<Duration>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("listening on {}", listener.local_addr().unwrap());
    let serving = serve(listener, registry.clone(), std::future::pending());
    let Some(grace) = grace else { return serving.await.unwrap() };
    let rules = Collection { grace, untagged: true, retention: Vec::new(), dry_run: false };
    let collecting = async {
        loop {
            // A collection that fails ends the process, and the test sees that.
            registry.collect(&rules).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        served = serving => served.unwrap(),
        () = collecting => {}
    }
}

/// Status and body; `None` if the server is gone.
pub(crate) fn call(address: &str, method: &str, path: &str, body: &[u8]) -> Option<(u16, Vec<u8>)> {
    let answer = exchange(address, method, path, &[], body)?;
    Some((answer.status, answer.body))
}

/// What a server answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header by its name in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// A request with headers; `None` if the server is gone.
pub(crate) fn exchange(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let length = body.len();
    let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{more}\r\n"
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head, body: answer[end + 4..].to_vec() })
}

/// Numbers that look random and follow from a seed (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// Of the seed that a variable gives, else of one that nobody chose. Which one is printed: with
    /// it everything happens again, as far as the machine lets it.
    pub(crate) fn seeded(of: &str) -> Random {
        let given = std::env::var("TIERCE_SEED").ok().map(|text| text.parse().unwrap());
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let seed = given.unwrap_or(now.as_nanos() as u64);
        println!("{of}: TIERCE_SEED={seed}");
        Random(seed)
    }

    pub(crate) fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % most
    }
}
