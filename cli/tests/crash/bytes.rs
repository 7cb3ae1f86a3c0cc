//! What a push that was killed has sent is not sent again.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use testutil::EmbeddedRegistry;

use crate::common::{end, noise, start, tierce, words};

/// At how many points of its duration a push is killed.
const KILLS: u32 = 20;
/// How much of an image that is pushed twice may be sent in all, in percent.
const MOST: u64 = 120;

/// Passes connections on, and counts what comes from those who connect.
struct Counter {
    address: String,
    sent: Arc<AtomicU64>,
}

impl Counter {
    fn before(registry: &str) -> Counter {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let sent = Arc::new(AtomicU64::new(0));
        let (registry, count) = (registry.to_owned(), Arc::clone(&sent));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(&registry).unwrap();
                let (back, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let count = Arc::clone(&count);
                thread::spawn(move || {
                    let counted = |bytes| {
                        count.fetch_add(bytes, Ordering::SeqCst);
                    };
                    pass(client, server, counted);
                });
                thread::spawn(move || pass(back, to, |_| {}));
            }
        });
        Counter { address, sent }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, count: impl Fn(u64)) {
    let mut copy = || -> io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = from.read(&mut buffer)?;
            if read == 0 {
                return to.shutdown(Shutdown::Write);
            }
            count(read as u64);
            to.write_all(&buffer[..read])?;
        }
    };
    // Whoever was killed reads and writes no more.
    let _ = copy();
}

#[test]
fn a_push_that_is_killed_anywhere_sends_hardly_more() {
    let tierce = tierce();
    let registry = EmbeddedRegistry::in_memory(&tierce);
    let mut dockerfile = "FROM scratch\n".to_owned();
    for number in 0..5_u32 {
        tierce.scratch().write(&format!("five/{number}"), noise(number, 6 << 20));
        dockerfile += &format!("COPY {number} /{number}\n");
    }
    let context = tierce.scratch().write("five/Dockerfile", dockerfile);
    tierce.ok(["build", "-q", "-t", "five", context.parent().unwrap().to_str().unwrap()]);
    let push = |name: &str, kill_after: Option<std::time::Duration>| {
        let counter = Counter::before(&registry.address);
        let name = format!("{}/{name}", counter.address);
        // Slow enough that all points are in the midst of it.
        let args = words(&["push", "--limit-rate", "60M", "five", &name]);
        // What was made to be pushed, and where it was pushed to, is forgotten.
        let store = tierce.copied();
        let began = Instant::now();
        if let Some(after) = kill_after {
            let mut child = start(&store, &args);
            thread::sleep(after);
            child.kill().unwrap();
            end(child);
        }
        let output = end(start(&store, &args));
        assert_eq!(output.code, 0, "{output:?}");
        (began.elapsed(), counter.sent.load(Ordering::SeqCst))
    };
    let (whole, once) = push("once", None);
    let mut worst = 0;
    for kill in 0..KILLS {
        let (_, sent) = push(&format!("killed-{kill}"), Some(whole * kill / KILLS));
        assert!(
            sent * 100 <= once * MOST,
            "killed at {kill}/{KILLS}: {sent} bytes were sent in place of {once}"
        );
        worst = worst.max(sent);
    }
    assert!(worst > once, "no kill cost anything: {worst} of {once}");
}
