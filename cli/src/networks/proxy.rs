//! Passes on what comes to a published port. It ends with its keeper, and leaves nothing behind.

use std::collections::HashMap;
use std::io::{self, PipeReader, PipeWriter};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use runtime::network::in_namespace;
use rustix::event::{PollFd, PollFlags, poll};

/// The most connections at once through one port.
const MOST: usize = 512;

/// How long nothing may come from a container before one who sent to it is forgotten.
const SILENCE: Duration = Duration::from_secs(60);

/// What fits into a datagram.
const DATAGRAM: usize = 64 << 10;

/// Where a port leads: an address that is reached from inside a namespace.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) namespace: Arc<OwnedFd>,
    pub(super) address: SocketAddr,
}

/// Ports that are served. Dropped, they are closed.
pub(super) struct Ports {
    /// Closed for the threads to see.
    stop: Option<PipeWriter>,
    stopped: PipeReader,
    threads: Vec<JoinHandle<()>>,
}

impl Ports {
    pub(super) fn new() -> io::Result<Ports> {
        let (stopped, stop) = io::pipe()?;
        Ok(Ports { stop: Some(stop), stopped, threads: Vec::new() })
    }

    pub(super) fn serve(
        &mut self,
        serve: impl FnOnce(PipeReader) + Send + 'static,
    ) -> io::Result<()> {
        let stopped = self.stopped.try_clone()?;
        let thread = thread::Builder::new().name("port".into()).spawn(move || serve(stopped))?;
        self.threads.push(thread);
        Ok(())
    }
}

impl Drop for Ports {
    fn drop(&mut self) {
        drop(self.stop.take());
        for thread in self.threads.drain(..) {
            // One that panicked serves no more.
            let _ = thread.join();
        }
    }
}

/// Waits until something has come; false when it is time to stop.
pub(super) fn has_come(socket: BorrowedFd<'_>, stopped: &PipeReader) -> bool {
    loop {
        let mut both =
            [PollFd::new(&socket, PollFlags::IN), PollFd::new(stopped, PollFlags::empty())];
        match poll(&mut both, None) {
            Ok(_) if !both[1].revents().is_empty() => return false,
            Ok(_) => return true,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

/// Serves a port of streams on threads of its own.
pub(super) fn serve_tcp(
    ports: &mut Ports,
    listener: TcpListener,
    target: Target,
) -> io::Result<()> {
    let open = Arc::new(AtomicUsize::new(0));
    listener.set_nonblocking(true)?;
    ports.serve(move |stopped| {
        while has_come(listener.as_fd(), &stopped) {
            let Ok((client, _)) = listener.accept() else {
                // Gone again, or too many descriptors: some will be closed.
                thread::sleep(Duration::from_millis(1));
                continue;
            };
            if open.fetch_add(1, Ordering::Relaxed) >= MOST {
                open.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let (target, counted) = (target.clone(), open.clone());
            let serving = thread::Builder::new().name("connection".into()).spawn(move || {
                // Either side may go at any time.
                let _ = pass_on(&client, &target);
                counted.fetch_sub(1, Ordering::Relaxed);
            });
            if serving.is_err() {
                open.fetch_sub(1, Ordering::Relaxed);
            }
        }
    })
}

fn pass_on(client: &TcpStream, target: &Target) -> io::Result<()> {
    client.set_nonblocking(false)?;
    let server = in_namespace(target.namespace.as_fd(), || TcpStream::connect(target.address))?;
    thread::scope(|scope| {
        scope.spawn(|| one_way(client, &server));
        one_way(&server, client);
    });
    Ok(())
}

fn one_way(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

/// Serves a port of datagrams on threads of their own.
pub(super) fn serve_udp(ports: &mut Ports, socket: UdpSocket, target: Target) -> io::Result<()> {
    let socket = Arc::new(socket);
    ports.serve(move |stopped| {
        let clients = Arc::new(Mutex::new(HashMap::new()));
        let mut datagram = vec![0; DATAGRAM];
        while has_come(socket.as_fd(), &stopped) {
            let Ok((length, client)) = socket.recv_from(&mut datagram) else { continue };
            let known = lock(&clients).get(&client).cloned();
            let server = match known {
                Some(server) => server,
                None => match answer(&socket, &clients, client, &target) {
                    Ok(server) => server,
                    Err(_) => continue,
                },
            };
            // As on any way, a datagram may be lost.
            let _ = server.send(datagram.get(..length).unwrap_or_default());
        }
    })
}

type Clients = Arc<Mutex<HashMap<SocketAddr, Arc<UdpSocket>>>>;

/// A socket to the container for one who sends, and a thread that brings the answers back.
fn answer(
    socket: &Arc<UdpSocket>,
    clients: &Clients,
    client: SocketAddr,
    target: &Target,
) -> io::Result<Arc<UdpSocket>> {
    if lock(clients).len() >= MOST {
        return Err(io::ErrorKind::ResourceBusy.into());
    }
    let server = in_namespace(target.namespace.as_fd(), || {
        let server = UdpSocket::bind("0.0.0.0:0")?;
        server.connect(target.address)?;
        Ok(server)
    })?;
    server.set_read_timeout(Some(SILENCE))?;
    let server = Arc::new(server);
    lock(clients).insert(client, server.clone());
    let (socket, clients, answers) = (socket.clone(), clients.clone(), server.clone());
    thread::Builder::new().name("datagrams".into()).spawn(move || {
        let mut datagram = vec![0; DATAGRAM];
        while let Ok(length) = answers.recv(&mut datagram) {
            let _ = socket.send_to(datagram.get(..length).unwrap_or_default(), client);
        }
        lock(&clients).remove(&client);
    })?;
    Ok(server)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
