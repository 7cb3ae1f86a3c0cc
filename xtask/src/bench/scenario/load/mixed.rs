//! Many who push and pull at once, and beside them one so slow that he is never done.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::{CLIENTS, Content, REPOSITORY, at_once, blob, digest, push};
use crate::bench::http::Connection;
use crate::step::Result;

/// The size of what each pushes and pulls in one turn, in bytes, and how many turns each has.
pub(super) const BLOB: usize = 4 << 20;
pub(super) const TURNS: usize = 4;
/// What Tierce may take while that goes on, in bytes.
pub(super) const MEMORY: u64 = 100_000_000;
/// How long the slow one waits between two bytes.
const PAUSE: Duration = Duration::from_millis(10);

/// Each client pushes blobs that nobody has and pulls them, in turn.
pub(super) fn work(address: &str, content: &Content, round: u32) -> Result<()> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let slow = scope.spawn(|| dawdle(address, &digest(&[&content.small]), &over));
        let worked = at_once(CLIENTS, |client| push_and_pull(address, content, round, client));
        over.store(true, Ordering::Relaxed);
        let dawdled = slow.join().unwrap_or_else(|_| Err("the slow client panicked".to_owned()));
        worked.and(dawdled)
    })
}

fn push_and_pull(address: &str, content: &Content, round: u32, client: usize) -> Result<()> {
    let mut connection = Connection::open(address)?;
    for turn in 0..TURNS {
        let first = format!("{round}/{client}/{turn}").into_bytes();
        let parts: [&[u8]; 2] = [&first, &content.rest];
        let digest = digest(&parts);
        push(&mut connection, &parts, &digest)?;
        let came = connection.body(&blob(&digest), |_| ())?;
        let expected = first.len() + content.rest.len();
        if came != expected as u64 {
            return Err(format!("{came} bytes of {expected} came"));
        }
    }
    Ok(())
}

/// Sends an upload a byte at a time and takes a blob so, until it is over.
fn dawdle(address: &str, blob_digest: &str, over: &AtomicBool) -> Result<()> {
    let failed = |e: std::io::Error| format!("the slow client failed: {e}");
    let kind = "application/octet-stream";
    let begun = format!("/v2/{REPOSITORY}/blobs/uploads/");
    let place = Connection::open(address)?.send("POST", &begun, kind, &[])?;
    let place = place.ok_or("no place for an upload")?;
    let mut sending = TcpStream::connect(address).map_err(failed)?;
    let head =
        format!("PATCH {place} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 1000000\r\n\r\n");
    sending.write_all(head.as_bytes()).map_err(failed)?;
    let mut taking = TcpStream::connect(address).map_err(failed)?;
    let head = format!("GET {} HTTP/1.1\r\nHost: {address}\r\n\r\n", blob(blob_digest));
    taking.write_all(head.as_bytes()).map_err(failed)?;
    taking.set_read_timeout(Some(PAUSE)).map_err(failed)?;
    while !over.load(Ordering::Relaxed) {
        sending.write_all(b"x").map_err(failed)?;
        // When it has come whole, or comes later, there is nothing to take.
        let _ = taking.read(&mut [0]);
        thread::sleep(PAUSE);
    }
    Ok(())
}
