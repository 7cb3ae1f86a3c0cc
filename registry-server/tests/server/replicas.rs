//! Two servers, each a process, over one bucket: they take pushes, removals and collections at
//! once, and lose nothing of what they said they have.

#![allow(clippy::unwrap_used, reason = "a test that panics says where")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use http::{Method, Request};
use http_body_util::BodyExt;
use oci::Digest;
use registry_server::{Collection, Registry, Storage, router};
use tower::ServiceExt;

use crate::process::{self, Process, Random, served};
use crate::store::Store;

const GRACE: Duration = Duration::from_secs(2);
/// For how long there is work.
const SPAN: Duration = Duration::from_secs(12);
const CLIENTS: u64 = 4;

/// What one client does, and what has to be there for it in the end.
struct Client {
    number: u64,
    random: Random,
    servers: [String; 2],
    /// The config that each of its tags has; of what was removed, none.
    tags: BTreeMap<String, Option<u64>>,
    pushed: usize,
}

fn config(number: u64) -> Vec<u8> {
    format!("config {number} ").repeat(100).into_bytes()
}

fn manifest(number: u64, of: u64) -> String {
    let (digest, size) = (Digest::sha256(&config(number)), config(number).len());
    format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"x/y","size":{size},"digest":"{digest}"}},"annotations":{{"client":"{of}"}}}}"#
    )
}

impl Client {
    fn call(&mut self, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let server = &self.servers[self.random.below(2) as usize];
        process::call(server, method, path, body).expect("both servers go on")
    }

    /// Pushes, as clients do: what the registry says that it has is not sent. Few configs, so that
    /// what is pushed is often what a collection is about to take.
    fn push(&mut self, tag: &str) {
        let number = self.random.below(12);
        let digest = Digest::sha256(&config(number));
        let text = manifest(number, self.number);
        for attempt in 0.. {
            if self.call("HEAD", &format!("/v2/a/blobs/{digest}"), b"").0 != 200 {
                let path = format!("/v2/a/blobs/uploads/?digest={digest}");
                assert_eq!(self.call("POST", &path, &config(number)).0, 201);
            }
            let path = format!("/v2/a/manifests/{tag}");
            let (status, body) = self.call("PUT", &path, text.as_bytes());
            if status == 201 {
                break;
            }
            // What another server was asked about before may be gone by now; that is said, and
            // nothing is lost.
            let body = String::from_utf8_lossy(&body).into_owned();
            assert!(status == 400 && body.contains("MANIFEST_BLOB_UNKNOWN"), "{status} {body}");
            assert!(attempt < 20, "pushes do not come through");
        }
        self.tags.insert(tag.to_owned(), Some(number));
        self.pushed += 1;
    }

    fn work(&mut self, until: Instant) {
        while Instant::now() < until {
            let tag = format!("c{}-{}", self.number, self.random.below(5));
            let there = self.tags.get(&tag).is_some_and(Option::is_some);
            if there && self.random.below(3) == 0 {
                assert_eq!(self.call("DELETE", &format!("/v2/a/manifests/{tag}"), b"").0, 202);
                self.tags.insert(tag, None);
            } else {
                self.push(&tag);
            }
            if self.random.below(20) == 0 {
                // Longer than the grace of a collection: what was told before no longer holds.
                std::thread::sleep(GRACE + Duration::from_millis(500));
            }
        }
    }

    /// Asserts that each server has what it should, and not what it should not.
    fn verify(&self) {
        for (tag, number) in &self.tags {
            for server in &self.servers {
                let get = |path: &str| process::call(server, "GET", path, b"").unwrap();
                let (status, body) = get(&format!("/v2/a/manifests/{tag}"));
                let Some(number) = number else {
                    assert_eq!(status, 404, "{tag} was removed");
                    continue;
                };
                let text = manifest(*number, self.number).into_bytes();
                assert!((status, &body) == (200, &text), "{tag}: {status}");
                let blob = Digest::sha256(&config(*number));
                let (status, body) = get(&format!("/v2/a/blobs/{blob}"));
                assert!((status, body) == (200, config(*number)), "the blob of {tag}: {status}");
            }
        }
    }
}

#[test]
fn two_processes_that_collect_lose_nothing_to_each_other() {
    if served() {
        return;
    }
    let mut random = Random::seeded("two processes over a bucket");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let store = runtime.block_on(Store::start());
    let test = "replicas::two_processes_that_collect_lose_nothing_to_each_other";
    let mut servers = [(); 2].map(|()| Process::over_bucket(test, &store.bucket(""), Some(GRACE)));
    let addresses = [servers[0].address.clone(), servers[1].address.clone()];
    let mut clients: Vec<Client> = (0..CLIENTS)
        .map(|number| Client {
            number,
            random: Random(random.below(u64::MAX)),
            servers: addresses.clone(),
            tags: BTreeMap::new(),
            pushed: 0,
        })
        .collect();
    let until = Instant::now() + SPAN;
    std::thread::scope(|scope| {
        for client in &mut clients {
            scope.spawn(|| client.work(until));
        }
    });
    // What is not needed any more goes now, and nothing else.
    std::thread::sleep(GRACE * 3);
    clients.iter().for_each(Client::verify);
    let pushed: usize = clients.iter().map(|client| client.pushed).sum();
    assert!(pushed > 40, "only {pushed} pushes");
    for server in &mut servers {
        assert!(server.runs(), "a server ended, or its collection failed");
    }
    println!("{pushed} pushes");
}

const AT_ONCE: Collection =
    Collection { grace: Duration::ZERO, untagged: true, retention: Vec::new(), dry_run: false };

async fn call(server: &Router, request: &str, body: &[u8]) -> u16 {
    let (method, target) = request.split_once(' ').unwrap();
    let request = Request::builder().method(method).uri(target).body(Body::from(body.to_vec()));
    let response = server.clone().oneshot(request.unwrap()).await.unwrap();
    let status = response.status().as_u16();
    response.into_body().collect().await.unwrap();
    status
}

/// Two servers in this process, a blob that nobody needs yet, and what needs it.
struct Two {
    store: Store,
    collecting: Registry,
    serving: Router,
    blob: Digest,
    manifest: Vec<u8>,
}

impl Two {
    async fn start() -> Two {
        let store = Store::start().await;
        let open = || Registry::new(Storage::bucket(&store.bucket("")).unwrap());
        let (collecting, serving) = (open(), router(open()));
        let blob = Digest::sha256(&config(1));
        let push = format!("POST /v2/a/blobs/uploads/?digest={blob}");
        assert_eq!(call(&serving, &push, &config(1)).await, 201);
        let other = r#"{"schemaVersion":2,"manifests":[]}"#;
        assert_eq!(call(&serving, "PUT /v2/a/manifests/other", other.as_bytes()).await, 201);
        Two { store, collecting, serving, blob, manifest: manifest(1, 0).into() }
    }

    /// Removals are the only POST requests that a collection sends.
    fn collect(&self) -> tokio::task::JoinHandle<()> {
        let registry = self.collecting.clone();
        tokio::spawn(async move { drop(registry.collect(&AT_ONCE).await.unwrap()) })
    }

    async fn push(&self, reference: &str) {
        let put = format!("PUT /v2/a/manifests/{reference}");
        assert_eq!(call(&self.serving, &put, &self.manifest).await, 201);
    }

    async fn has(&self, what: &str) -> bool {
        call(&self.serving, &format!("GET /v2/a/{what}"), b"").await == 200
    }
}

#[tokio::test]
async fn a_manifest_that_comes_while_it_is_decided_about_its_blob_keeps_it() {
    let two = Two::start().await;
    // What is looked at after the word that the blob is being removed.
    let word = two.store.hold(Method::PUT, "/holders/");
    let collecting = two.collect();
    word.arrived().await;
    two.push("v1").await;
    word.release();
    collecting.await.unwrap();
    assert!(two.has("manifests/v1").await);
    assert!(two.has(&format!("blobs/{}", two.blob)).await);
}

/// The push is not answered before it is known whether the blob is there.
#[tokio::test]
async fn a_manifest_that_comes_while_its_blob_is_removed_is_refused() {
    let two = Two::start().await;
    let removal = two.store.hold(Method::POST, "/images");
    let collecting = two.collect();
    removal.arrived().await;
    let (serving, bytes) = (two.serving.clone(), two.manifest.clone());
    let put = |to: Router| async move { call(&to, "PUT /v2/a/manifests/v1", &bytes).await };
    let pushing = tokio::spawn(put(serving));
    tokio::time::sleep(Duration::from_millis(300)).await;
    removal.release();
    collecting.await.unwrap();
    assert_eq!(pushing.await.unwrap(), 400);
    assert!(!two.has("manifests/v1").await);
    // As it is told, the client sends both.
    let push = format!("POST /v2/a/blobs/uploads/?digest={}", two.blob);
    assert_eq!(call(&two.serving, &push, &config(1)).await, 201);
    two.push("v1").await;
    assert!(two.has(&format!("blobs/{}", two.blob)).await);
}

#[tokio::test]
async fn a_manifest_that_comes_after_its_blob_was_removed_keeps_it() {
    let two = Two::start().await;
    let change = two.store.hold(Method::PUT, "/_state.json");
    let collect = async {
        change.arrived().await;
        two.collect().await.unwrap();
        change.release();
    };
    tokio::join!(two.push("v1"), collect);
    assert!(two.has("manifests/v1").await);
    assert!(two.has(&format!("blobs/{}", two.blob)).await);
}

#[tokio::test]
async fn a_manifest_that_is_tagged_while_it_is_removed_stays() {
    let two = Two::start().await;
    let digest = Digest::sha256(&two.manifest).to_string();
    two.push(&digest).await;
    let change = two.store.hold(Method::PUT, "/_state.json");
    let collecting = two.collect();
    change.arrived().await;
    two.push("v1").await;
    change.release();
    collecting.await.unwrap();
    assert!(two.has("manifests/v1").await);
    assert!(two.has(&format!("blobs/{}", two.blob)).await);
}

#[tokio::test]
async fn an_index_is_not_taken_without_its_manifests() {
    let two = Two::start().await;
    let digest = Digest::sha256(&two.manifest);
    two.push(&digest.to_string()).await;
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":{},"digest":"{digest}"}}]}}"#,
        two.manifest.len()
    );
    let change = two.store.hold(Method::PUT, "/_state.json");
    let collect = async {
        change.arrived().await;
        two.collect().await.unwrap();
        change.release();
    };
    let put = call(&two.serving, "PUT /v2/a/manifests/v1", index.as_bytes());
    let (status, ()) = tokio::join!(put, collect);
    assert_eq!(status, 400);
    assert!(!two.has("manifests/v1").await);
}

/// Bytes that come anew while they are being removed are there in the end.
#[tokio::test]
async fn a_blob_that_comes_while_its_bytes_are_removed_is_there() {
    let two = Two::start().await;
    // Found to be held by nobody, and doomed.
    two.collect().await.unwrap();
    let removal = two.store.hold(Method::POST, "/images");
    let collecting = two.collect();
    removal.arrived().await;
    let push = format!("POST /v2/a/blobs/uploads/?digest={}", two.blob);
    let (serving, bytes) = (two.serving.clone(), config(1));
    let pushing = tokio::spawn(async move { call(&serving, &push, &bytes).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    removal.release();
    collecting.await.unwrap();
    assert_eq!(pushing.await.unwrap(), 201);
    assert!(two.has(&format!("blobs/{}", two.blob)).await);
}

/// What a server was sending when it was killed does not stay for ever.
#[tokio::test]
async fn what_a_killed_server_left_is_swept() {
    let two = Two::start().await;
    let uploads = two.store.path("uploads");
    std::fs::create_dir_all(&uploads).unwrap();
    for (name, age) in [("old", 7200), ("new", 0)] {
        let file = std::fs::File::create(uploads.join(name)).unwrap();
        let then = std::time::SystemTime::now() - Duration::from_secs(age);
        file.set_modified(then).unwrap();
    }
    two.collect().await.unwrap();
    assert!(!uploads.join("old").exists());
    assert!(uploads.join("new").exists());
}

/// One collection of many, killed at one of its requests, and beside it a push that comes at
/// another one of them.
async fn killed(store: &Store, push_at: usize, dies: usize) -> bool {
    let prefix = format!("{push_at}-{dies}");
    let serving = router(Registry::new(Storage::bucket(&store.bucket(&prefix)).unwrap()));
    let blob = Digest::sha256(&config(1));
    let push = format!("POST /v2/a/blobs/uploads/?digest={blob}");
    assert_eq!(call(&serving, &push, &config(1)).await, 201);
    let other = r#"{"schemaVersion":2,"manifests":[]}"#;
    assert_eq!(call(&serving, "PUT /v2/a/manifests/other", other.as_bytes()).await, 201);

    let line = store.line(push_at, dies).await;
    let registry = Registry::new(Storage::bucket(&line.bucket(&prefix)).unwrap());
    let collecting = tokio::spawn(async move { registry.collect(&AT_ONCE).await.is_ok() });
    let server = serving.clone();
    let put =
        async move { call(&server, "PUT /v2/a/manifests/v1", manifest(1, 0).as_bytes()).await };
    tokio::select! {
        () = line.arrived.notified() => {}
        // Some requests are made at once.
        () = line.dead.notified() => line.dead.notify_one(),
        () = ends(&collecting) => {}
    }
    // A push that waits for the collection is waited for no longer.
    let mut pushing = tokio::spawn(put);
    let pushed = tokio::time::timeout(Duration::from_millis(100), &mut pushing).await;
    line.go.notify_one();
    tokio::select! {
        () = line.dead.notified() => collecting.abort(),
        () = ends(&collecting) => {}
    }
    let over = line.count() < dies;
    if !over {
        age(&store.path(&format!("{prefix}/holders")));
    }
    let status = match pushed {
        Ok(status) => status.unwrap(),
        Err(_) => pushing.await.unwrap(),
    };
    let has = |what: String| {
        let serving = serving.clone();
        async move { call(&serving, &format!("GET /v2/a/{what}"), b"").await == 200 }
    };
    let taken = has("manifests/v1".to_owned()).await;
    assert!(status != 201 || taken, "push at {push_at}, death at {dies}");
    if taken {
        assert!(has(format!("blobs/{blob}")).await, "push at {push_at}, death at {dies}");
        // And it stays so with the next one.
        let next = Registry::new(Storage::bucket(&store.bucket(&prefix)).unwrap());
        for _ in 0..3 {
            next.collect(&AT_ONCE).await.unwrap();
        }
        assert!(has(format!("blobs/{blob}")).await, "push at {push_at}, death at {dies}");
        let head = format!("HEAD /v2/a/blobs/{blob}");
        assert_eq!(call(&serving, &head, b"").await, 200, "push at {push_at}, death at {dies}");
    }
    over
}

async fn ends<T>(task: &tokio::task::JoinHandle<T>) {
    while !task.is_finished() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// What was written is as if it had been long ago.
fn age(dir: &std::path::Path) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().map(Result::unwrap) {
        if entry.path().is_dir() {
            age(&entry.path());
        } else {
            let file = std::fs::File::options().write(true).open(entry.path()).unwrap();
            file.set_modified(std::time::SystemTime::now() - Duration::from_secs(600)).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collection_that_is_killed_at_any_request_takes_nothing_that_is_needed() {
    let store = Store::start().await;
    let mut tried = 0;
    for dies in 1_usize.. {
        let pushes = dies.saturating_sub(6)..dies;
        let killed = pushes.map(|push_at| killed(&store, push_at, dies));
        let over = futures_util::future::join_all(killed).await;
        tried += over.len();
        if over.into_iter().all(|over| over) {
            break;
        }
    }
    println!("{tried} collections");
    assert!(tried > 50, "only {tried} collections");
}
