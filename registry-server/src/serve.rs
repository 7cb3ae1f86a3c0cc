//! Listening. Connections are independent: what one client does to its own delays no other.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::access::Secure;
use crate::greeting::Greeting;
use crate::sendfile::{Distance, Outbox, Socket};
use crate::{Registry, Result, Tls, router};

/// The largest head of a request, and how much of a body is read at a time, in bytes.
const BUFFER: usize = 256 << 10;
/// How long to wait after an accept that failed: usually all descriptors are taken.
const PAUSE: Duration = Duration::from_millis(50);
/// How often uploads that were given up are looked for.
const SWEEP: Duration = Duration::from_secs(60);

/// Serves a registry on a socket until `shutdown` is ready; then takes no more connections and
/// waits for the requests that are running, as long as the registry's limits say.
///
/// # Errors
/// None today: a connection that fails is that client's loss.
pub async fn serve(
    listener: TcpListener,
    registry: Registry,
    shutdown: impl Future<Output = ()>,
) -> Result<()> {
    listen(listener, registry, None, shutdown).await
}

/// [`serve`] over TLS.
///
/// # Errors
/// As [`serve`].
pub async fn serve_tls(
    listener: TcpListener,
    registry: Registry,
    tls: Tls,
    shutdown: impl Future<Output = ()>,
) -> Result<()> {
    listen(listener, registry, Some(tls), shutdown).await
}

async fn listen(
    listener: TcpListener,
    registry: Registry,
    tls: Option<Tls>,
    shutdown: impl Future<Output = ()>,
) -> Result<()> {
    let limits = registry.0.config.limits.clone();
    let service = router(registry.clone());
    let slots = Arc::new(Semaphore::new(limits.connections));
    let (ending, end) = watch::channel(());
    let patience = limits.head;
    let mut connections = JoinSet::new();
    let mut sweep = tokio::time::interval(SWEEP);
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            _ = sweep.tick() => expire_uploads(&registry),
            Some(_) = connections.join_next() => {}
            stream = accept(&listener, &slots) => {
                let (tls, service, end) = (tls.clone(), service.clone(), end.clone());
                connections.spawn(converse(stream.0, tls, service, patience, end, stream.1));
            }
        }
    }
    drop(listener);
    drop(ending);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.shutdown, ended).await.is_err() {
        tracing::warn!("connections are cut: their requests did not end in time");
    }
    Ok(())
}

/// Lets uploads go that were given up, those in shared storage beside what is going on.
fn expire_uploads(registry: &Registry) {
    let expiry = registry.0.config.limits.upload_expiry;
    registry.0.sessions.expire(expiry);
    if registry.0.config.read_only {
        return;
    }
    let registry = registry.clone();
    tokio::spawn(async move {
        registry.0.sessions.expire_shared(&registry.0.storage, expiry).await;
    });
}

type Slot = tokio::sync::OwnedSemaphorePermit;

/// The next connection, once there is a slot for it.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> (TcpStream, Slot) {
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else {
            std::future::pending::<()>().await;
            continue;
        };
        match listener.accept().await {
            Ok((stream, _)) => return (stream, slot),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Answers the requests of one connection until it or the server ends.
async fn converse(
    stream: TcpStream,
    tls: Option<Tls>,
    service: axum::Router,
    patience: Duration,
    end: watch::Receiver<()>,
    _slot: Slot,
) {
    // Small answers must not wait for each other's acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    if let Some(tls) = tls {
        // Without a handshake in time there is no connection.
        match tokio::time::timeout(patience, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => talk(stream, service.layer(Extension(Secure)), patience, end).await,
            Ok(Err(error)) => tracing::debug!(%error, "no TLS"),
            Err(_) => tracing::debug!("no TLS in time"),
        }
        return;
    }
    let outbox = Outbox::new(distance(&stream));
    let socket = Socket::new(stream, outbox.clone());
    talk(socket, service.layer(Extension(outbox)), patience, end).await;
}

fn distance(stream: &TcpStream) -> Distance {
    match stream.peer_addr() {
        Ok(peer) if peer.ip().to_canonical().is_loopback() => Distance::Near,
        _ => Distance::Far,
    }
}

/// Answers the requests that come over a stream.
async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    service: axum::Router,
    patience: Duration,
    mut end: watch::Receiver<()>,
) {
    let mut builder = Builder::new(TokioExecutor::new());
    // Vectors keep what stands for a file apart from what is sent as it is.
    builder.http1().writev(true);
    builder.http1().timer(TokioTimer::new()).header_read_timeout(patience).max_buf_size(BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(patience)
        .max_concurrent_streams(64);
    let service = TowerToHyperService::new(service);
    let stream = Greeting::new(stream, patience);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        // The sender says nothing; that it is gone is the message.
        _ = end.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "a connection ended early");
    }
}
