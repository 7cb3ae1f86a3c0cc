//! A directory survives: a restart, a kill at any moment, and other tools.

#![allow(clippy::unwrap_used, reason = "a test that panics says where")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use oci::Digest;
use registry_server::{Error, Registry, Storage, serve};

/// Set, the test of that name is the server: the directory to serve.
const SERVE: &str = "TIERCE_TEST_SERVE";
/// How often the server is killed over one directory, and over how many; a directory that has seen
/// many pushes takes long to be looked through.
const KILLS: usize = 20;
const DIRECTORIES: usize = 10;

struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// This test again, in a process of its own that can be killed.
    fn start(root: &Path) -> Server {
        Server::spawn(Command::new(std::env::current_exe().unwrap()), root)
    }

    fn spawn(mut program: Command, root: &Path) -> Server {
        let mut child = program
            .args(["--exact", "durability::acknowledged_pushes_survive_a_kill", "--nocapture"])
            .env(SERVE, root)
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
        Server { child, address }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn run_server(root: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let registry = Registry::new(Storage::dir(root).unwrap());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("listening on {}", listener.local_addr().unwrap());
        serve(listener, registry, std::future::pending()).await.unwrap();
    });
}

/// Status and body; `None` if the server is gone.
fn call(address: &str, method: &str, path: &str, body: &[u8]) -> Option<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer[end + 4..].to_vec()))
}

/// A blob, a manifest that needs it, and the tag they are pushed by.
struct Push {
    repository: String,
    tag: String,
    blob: Vec<u8>,
    manifest: String,
}

impl Push {
    fn new(client: usize, number: usize) -> Push {
        let blob = format!("{client}/{number} ").repeat(20_000).into_bytes();
        let digest = Digest::sha256(&blob);
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"x/y","size":{},"digest":"{digest}"}}}}"#,
            blob.len()
        );
        // Several clients share a repository, and each moves a tag of its own forward.
        Push { repository: format!("r/{}", client % 2), tag: format!("t{client}"), blob, manifest }
    }

    fn send(&self, address: &str) -> Option<u16> {
        let digest = Digest::sha256(&self.blob);
        let path = format!("/v2/{}/blobs/uploads/?digest={digest}", self.repository);
        let (status, _) = call(address, "POST", &path, &self.blob)?;
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

#[test]
fn acknowledged_pushes_survive_a_kill() {
    if let Some(root) = std::env::var_os(SERVE) {
        return run_server(Path::new(&root));
    }
    for directory in 0..DIRECTORIES {
        survive_kills(directory);
    }
}

/// Kills servers of one directory, each at another moment.
fn survive_kills(directory: usize) {
    let root = tempfile::tempdir().unwrap();
    let acknowledged = Mutex::new(Vec::<Push>::new());
    let mut number = 0;
    for kill in 0..KILLS {
        let server = Server::start(root.path());
        let (over, address) = (AtomicBool::new(false), server.address.clone());
        std::thread::scope(|scope| {
            for client in 0..4 {
                let (acknowledged, over, address) = (&acknowledged, &over, &address);
                scope.spawn(move || {
                    for turn in 0.. {
                        if over.load(Ordering::Relaxed) {
                            break;
                        }
                        let push = Push::new(client, number + turn);
                        if push.send(address) == Some(201) {
                            acknowledged.lock().unwrap().push(push);
                        }
                    }
                });
            }
            // Steps that share no factor with the range reach all of it.
            let moment = 7919 * (directory * KILLS + kill) as u64 % 100_000;
            std::thread::sleep(Duration::from_micros(20_000 + moment));
            server.kill();
            over.store(true, Ordering::Relaxed);
        });
        number += 100_000;

        let server = Server::start(root.path());
        let acknowledged = acknowledged.lock().unwrap();
        for push in acknowledged.iter() {
            push.verify(&server.address);
        }
        whole(root.path(), &server.address);
        server.kill();
    }
    let count = acknowledged.lock().unwrap().len();
    assert!(count > KILLS, "only {count} pushes were acknowledged: the kills tested nothing");
}

/// Asserts that everything visible is whole: each file named by a digest has it, each tag leads
/// to a manifest whose blob is there, and nothing is left of what was not ended.
fn whole(root: &Path, address: &str) {
    assert_eq!(std::fs::read_dir(root.join("_staging")).unwrap().count(), 0);
    for repository in ["r/0", "r/1"] {
        let dir = root.join(repository).join("blobs/sha256");
        for entry in std::fs::read_dir(&dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            let digest = Digest::sha256(&std::fs::read(&path).unwrap());
            assert_eq!(path.file_name().unwrap().to_str().unwrap(), digest.hex());
        }
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

#[test]
fn a_full_disk_is_told_and_costs_nothing() {
    let root = tempfile::tempdir().unwrap();
    // No file of the server may be larger than a megabyte: the nearest to a full disk that needs
    // no disk of its own.
    let limited = r#"trap "" XFSZ; ulimit -f 1024; exec "$0" "$@""#;
    let program = std::env::current_exe().unwrap();
    let mut shell = Command::new("bash");
    shell.args(["-c", limited]).arg(program);
    let server = Server::spawn(shell, root.path());
    let (small, large) = (vec![1; 500_000], vec![2; 3_000_000]);
    let push = |bytes: &[u8]| {
        let path = format!("/v2/a/blobs/uploads/?digest={}", Digest::sha256(bytes));
        call(&server.address, "POST", &path, bytes).unwrap().0
    };
    assert_eq!(push(&small), 201);
    assert_eq!(push(&large), 507);
    let path = format!("/v2/a/blobs/{}", Digest::sha256(&large));
    assert_eq!(call(&server.address, "GET", &path, b"").unwrap().0, 404);
    assert_eq!(std::fs::read_dir(root.path().join("_staging")).unwrap().count(), 0);
    assert_eq!(push(&small[..400_000]), 201);
    let path = format!("/v2/a/blobs/{}", Digest::sha256(&small));
    assert_eq!(call(&server.address, "GET", &path, b"").unwrap(), (200, small));
    server.kill();
}

#[test]
fn one_process_serves_a_directory() {
    let root = tempfile::tempdir().unwrap();
    let first = Storage::dir(root.path()).unwrap();
    assert!(matches!(Storage::dir(root.path()), Err(Error::InUse { .. })));
    drop(first);
    Storage::dir(root.path()).unwrap();
}

#[tokio::test]
async fn an_image_layout_of_another_tool_is_served() {
    use http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    let root = tempfile::tempdir().unwrap();
    let layout = root.path().join("team/app");
    let blobs = layout.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let add = |bytes: &str| {
        let digest = Digest::sha256(bytes.as_bytes());
        std::fs::write(blobs.join(digest.hex()), bytes).unwrap();
        (digest, bytes.len())
    };
    let (config, _) = add("{}");
    let (image, size) = add(&format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"x/y","size":2,"digest":"{config}"}}}}"#
    ));
    let (nested, nested_size) = add(&format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":{size},"digest":"{image}"}}]}}"#
    ));
    std::fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    std::fs::write(
        layout.join("index.json"),
        format!(
            r#"{{"schemaVersion":2,"manifests":[
                {{"mediaType":"application/vnd.oci.image.index.v1+json","size":{nested_size},"digest":"{nested}",
                  "annotations":{{"org.opencontainers.image.ref.name":"v1"}}}},
                {{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":3,"digest":"{}",
                  "annotations":{{"org.opencontainers.image.ref.name":"gone"}}}}]}}"#,
            Digest::sha256(b"not there")
        ),
    )
    .unwrap();
    let router = registry_server::router(Registry::new(Storage::dir(root.path()).unwrap()));
    for (path, expected) in [
        ("/v2/team/app/manifests/v1".to_owned(), 200),
        (format!("/v2/team/app/manifests/{nested}"), 200),
        (format!("/v2/team/app/manifests/{image}"), 200),
        (format!("/v2/team/app/blobs/{config}"), 200),
        ("/v2/team/app/manifests/gone".to_owned(), 404),
    ] {
        let request = Request::get(&path).body(axum::body::Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status().as_u16(), expected, "{path}");
    }
    let request = Request::get("/v2/_catalog").body(axum::body::Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, r#"{"repositories":["team/app"]}"#);
}
