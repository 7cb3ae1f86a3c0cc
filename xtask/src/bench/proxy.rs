//! A listener before a registry that counts what the registry sends.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::step::Result;

/// Passes connections on for as long as the process lives.
pub(crate) struct Proxy {
    address: String,
    received: Arc<AtomicU64>,
}

impl Proxy {
    /// Listens on a free port for what is meant for `registry`.
    pub(crate) fn start(registry: &str) -> Result<Self> {
        let failed = |e| format!("cannot stand before the registry: {e}");
        let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?.to_string();
        let received = Arc::new(AtomicU64::new(0));
        let (registry, count) = (registry.to_owned(), Arc::clone(&received));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A client that cannot be served sees its connection end.
                let _ = pass_on(client, &registry, &count);
            }
        });
        Ok(Proxy { address, received })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The bytes that the registry has sent.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

fn pass_on(client: TcpStream, registry: &str, count: &Arc<AtomicU64>) -> std::io::Result<()> {
    let server = TcpStream::connect(registry)?;
    let (from_client, to_server) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || pump(from_client, to_server, &AtomicU64::new(0)));
    let count = Arc::clone(count);
    std::thread::spawn(move || pump(server, client, &count));
    Ok(())
}

/// Moves bytes until one side ends, and tells the other.
fn pump(mut from: TcpStream, mut to: TcpStream, count: &AtomicU64) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        count.fetch_add(n as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    // It may be closed already.
    let _ = to.shutdown(std::net::Shutdown::Write);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn bytes_pass_and_those_of_the_answer_are_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy::start(&listener.local_addr().unwrap().to_string()).unwrap();
        let mut client = TcpStream::connect(proxy.address()).unwrap();
        client.write_all(b"ask").unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let mut asked = [0; 3];
        server.read_exact(&mut asked).unwrap();
        server.write_all(b"answer").unwrap();
        drop(server);
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!((&asked, answer.as_str()), (b"ask", "answer"));
        assert_eq!(proxy.received(), 6);
    }
}
