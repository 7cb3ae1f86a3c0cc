//! A store that speaks S3, in this process: `s3s-fs` behind a socket, made to keep what it does
//! not: that of conditional writes at once to one object, one is made. It fails when it is told to.

#![allow(clippy::unwrap_used, reason = "a test that panics says where")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::Bucket;
use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::sync::Notify;

/// The bucket that is there.
const NAME: &str = "images";

pub(crate) struct Store {
    root: tempfile::TempDir,
    service: S3Service,
    address: SocketAddr,
    failing: Arc<AtomicU32>,
    status: Arc<AtomicU32>,
    slowness: Arc<AtomicU32>,
    careless: Arc<AtomicBool>,
    holding: Arc<Mutex<Option<Held>>>,
}

impl Store {
    pub(crate) async fn start() -> Store {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join(NAME)).unwrap();
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single("key", "secret"));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, failing) = (listener.local_addr().unwrap(), Arc::new(AtomicU32::new(0)));
        let careless = Arc::new(AtomicBool::new(false));
        let (status, slowness) = (Arc::<AtomicU32>::default(), Arc::<AtomicU32>::default());
        let holding = Arc::<Mutex<Option<Held>>>::default();
        let faults = Faults {
            holding: holding.clone(),
            failing: failing.clone(),
            status: status.clone(),
            slowness: slowness.clone(),
            careless: careless.clone(),
            root: root.path().to_owned(),
        };
        let service = builder.build();
        tokio::spawn(listen(listener, service.clone(), faults));
        Store { root, service, address, failing, status, slowness, careless, holding }
    }

    /// The bucket, all keys below `prefix`.
    pub(crate) fn bucket(&self, prefix: &str) -> Bucket {
        bucket_at(&format!("http://{}", self.address), prefix)
    }

    /// Where the objects below a prefix are.
    pub(crate) fn path(&self, prefix: &str) -> PathBuf {
        self.root.path().join(NAME).join(prefix)
    }

    /// The same bucket for one who is to die: of his requests the first are answered, then one
    /// waits until it is let go, and from the last on none is made.
    #[allow(dead_code, reason = "not every test that includes this has one die")]
    pub(crate) async fn line(&self, waits: usize, dies: usize) -> Line {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (arrived, go, dead) = Default::default();
        let count = Arc::default();
        let line = Line { address, waits, dies, count, arrived, go, dead };
        tokio::spawn(line.clone().listen(listener, self.service.clone()));
        line
    }

    /// The next request of this kind waits.
    #[allow(dead_code, reason = "not every test that includes this holds one")]
    pub(crate) fn hold(&self, method: Method, path: &'static str) -> Held {
        let (arrived, go) = (Arc::<Notify>::default(), Arc::<Notify>::default());
        let held = Held { method, path, arrived, go };
        *self.holding.lock().unwrap() = Some(held.clone());
        held
    }

    /// The next `count` requests fail with this status.
    #[allow(dead_code, reason = "not every test that includes this lets it fail")]
    pub(crate) fn fail(&self, count: u32, status: StatusCode) {
        self.status.store(status.as_u16().into(), Ordering::SeqCst);
        self.failing.store(count, Ordering::SeqCst);
    }

    /// From now on every request takes this long.
    #[allow(dead_code, reason = "not every test that includes this has a slow one")]
    pub(crate) fn slow_down(&self, span: Duration) {
        let millis = u32::try_from(span.as_millis()).unwrap();
        self.slowness.store(millis, Ordering::SeqCst);
    }

    /// From now on conditions of writes are not looked at, as some services have it.
    #[allow(dead_code, reason = "not every test that includes this has a careless one")]
    pub(crate) fn ignore_conditions(&self) {
        self.careless.store(true, Ordering::SeqCst);
    }

    /// How many objects there are below a prefix.
    #[allow(dead_code, reason = "not every test that includes this counts")]
    pub(crate) fn count(&self, prefix: &str) -> usize {
        let mut todo = vec![self.path(prefix)];
        let mut count = 0;
        while let Some(dir) = todo.pop() {
            for entry in std::fs::read_dir(dir).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() { todo.push(path) } else { count += 1 }
            }
        }
        count
    }
}

/// The bucket of a store somewhere.
pub(crate) fn bucket_at(endpoint: &str, prefix: &str) -> Bucket {
    let settings = [
        ("AWS_ENDPOINT", endpoint),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Bucket { name: NAME.to_owned(), prefix: prefix.to_owned(), settings, redirect: None }
}

/// The way of one who is to die to the store.
#[derive(Clone)]
pub(crate) struct Line {
    address: SocketAddr,
    waits: usize,
    dies: usize,
    count: Arc<AtomicUsize>,
    /// That the one request waits, that it may go on, and that no more are made.
    pub(crate) arrived: Arc<Notify>,
    pub(crate) go: Arc<Notify>,
    pub(crate) dead: Arc<Notify>,
}

#[allow(dead_code, reason = "not every test that includes this has one die")]
impl Line {
    pub(crate) fn bucket(&self, prefix: &str) -> Bucket {
        bucket_at(&format!("http://{}", self.address), prefix)
    }

    /// How many requests have come.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    async fn listen(self, listener: tokio::net::TcpListener, store: S3Service) {
        while let Ok((stream, _)) = listener.accept().await {
            let (line, store) = (self.clone(), store.clone());
            let answer = tower::service_fn(move |request: Request<hyper::body::Incoming>| {
                let (line, store) = (line.clone(), store.clone());
                async move {
                    let number = line.count.fetch_add(1, Ordering::SeqCst);
                    if number >= line.dies {
                        line.dead.notify_one();
                        std::future::pending::<()>().await;
                    }
                    if number == line.waits {
                        line.arrived.notify_one();
                        line.go.notified().await;
                    }
                    Ok::<_, Infallible>(store.call(request.map(s3s::Body::from)).await.unwrap())
                }
            });
            let mut builder = Builder::new(TokioExecutor::new());
            builder.http1().half_close(false);
            tokio::spawn(async move {
                let service = TowerToHyperService::new(answer);
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }
}

/// A request that waits.
#[derive(Clone)]
pub(crate) struct Held {
    method: Method,
    path: &'static str,
    arrived: Arc<Notify>,
    go: Arc<Notify>,
}

impl Held {
    /// Waits until there is one.
    #[allow(dead_code, reason = "not every test that includes this holds one")]
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Lets it go on.
    #[allow(dead_code, reason = "not every test that includes this holds one")]
    pub(crate) fn release(&self) {
        self.go.notify_one();
    }
}

/// What a store is made to do.
#[derive(Clone)]
struct Faults {
    holding: Arc<Mutex<Option<Held>>>,
    failing: Arc<AtomicU32>,
    status: Arc<AtomicU32>,
    /// In milliseconds.
    slowness: Arc<AtomicU32>,
    careless: Arc<AtomicBool>,
    /// Where its objects are.
    root: PathBuf,
}

async fn listen(listener: tokio::net::TcpListener, store: S3Service, faults: Faults) {
    let turn = Arc::new(tokio::sync::Mutex::new(()));
    while let Ok((stream, _)) = listener.accept().await {
        let (store, faults, turn) = (store.clone(), faults.clone(), turn.clone());
        let answer = tower::service_fn(move |request: Request<hyper::body::Incoming>| {
            let (store, turn) = (store.clone(), turn.clone());
            let Faults { failing, status, slowness, careless, root, holding } = faults.clone();
            async move {
                let is_meant = |held: &mut Held| {
                    held.method == request.method() && request.uri().path().contains(held.path)
                };
                let held = holding.lock().unwrap().take_if(is_meant);
                if let Some(held) = held {
                    held.arrived.notify_one();
                    held.go.notified().await;
                }
                let slowness = slowness.load(Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(slowness.into())).await;
                let fails = failing
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
                if fails.is_ok() {
                    let mut response = Response::new(s3s::Body::empty());
                    let status = status.load(Ordering::SeqCst) as u16;
                    *response.status_mut() = StatusCode::from_u16(status).unwrap();
                    return Ok::<_, Infallible>(response);
                }
                if careless.load(Ordering::SeqCst) && request.method() == Method::PUT {
                    // Without what was there, every condition that it be the first holds.
                    let object = root.join(request.uri().path().trim_start_matches('/'));
                    let _ = std::fs::remove_file(object);
                }
                let headers = request.headers();
                let conditional = request.method() == Method::PUT
                    && (headers.contains_key(IF_MATCH) || headers.contains_key(IF_NONE_MATCH));
                let _turn = if conditional { Some(turn.lock().await) } else { None };
                Ok(store.call(request.map(s3s::Body::from)).await.unwrap())
            }
        });
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().half_close(false);
        tokio::spawn(async move {
            // A client that goes away is no fault of the store's.
            let service = TowerToHyperService::new(answer);
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
