//! What is tried again, and when.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use registry_client::{Client, Error};

use crate::server::{Reply, Server, config};

/// Answers the first `times` requests for tags with `bad`.
fn bad_at_first(times: usize, bad: Reply) -> Server {
    let count = AtomicUsize::new(0);
    Server::start(move |asked| {
        if asked.path != "/v2/" && count.fetch_add(1, Ordering::SeqCst) < times {
            return bad.clone();
        }
        Reply::new(200).body(r#"{"tags":["x"]}"#)
    })
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    for bad in [
        Reply::new(500),
        Reply::new(503).body("<html>"),
        Reply::new(408),
        Reply::new(429),
        Reply::new(200).body(r#"{"tags":["x"]}"#).cut_after(3),
        Reply::new(200).cut_after(0).header("Content-Length", 9),
    ] {
        let server = bad_at_first(3, bad.clone());
        let tags = server.client().tags(&server.name("a")).await;
        assert_eq!(tags.unwrap(), ["x"], "{bad:?}");
        assert_eq!(server.lines().len(), 4);
    }
}

#[tokio::test]
async fn what_will_not_pass_is_not() {
    for status in [400, 403, 404, 501] {
        let server = bad_at_first(
            1,
            Reply::new(status).body(r#"{"errors":[{"code":"DENIED","message":"no way"}]}"#),
        );
        let error = server.client().tags(&server.name("a/b")).await.unwrap_err();
        let expected =
            format!("list the tags at {}/a/b: denied: no way ({status})", server.address);
        assert_eq!(error.to_string(), expected);
        assert_eq!(server.lines().len(), 1);
    }
}

#[tokio::test]
async fn a_registry_that_stays_busy_is_left() {
    let server = bad_at_first(usize::MAX, Reply::new(503));
    let error = server.client().tags(&server.name("a")).await.unwrap_err();
    assert!(error.to_string().contains("503"), "{error}");
    assert_eq!(server.lines().len(), 5);
}

#[tokio::test]
async fn all_calls_wait_as_long_as_the_registry_asks() {
    let server = bad_at_first(1, Reply::new(429).header("Retry-After", 1));
    let client = server.client();
    let started = Instant::now();
    let name = server.name("a");
    let late = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        client.tags(&name).await
    };
    let (first, second) = tokio::join!(client.tags(&name), late);
    first.unwrap();
    second.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.lines().len(), 3);
}

#[tokio::test]
async fn a_registry_that_asks_for_too_much_time_is_left() {
    let server = bad_at_first(1, Reply::new(429).header("Retry-After", 86_400));
    let error = server.client().tags(&server.name("a")).await.unwrap_err();
    assert!(error.to_string().contains("429"), "{error}");
}

#[tokio::test]
async fn where_nobody_listens_is_told_soon() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let name = format!("{address}/a").parse().unwrap();
    let error = Client::new(config()).tags(&name).await.unwrap_err();
    assert!(matches!(error, Error::Connection { connecting: true, .. }), "{error}");
}

#[tokio::test]
async fn a_registry_that_says_nothing_is_left() {
    let server = Server::start(|_| {
        std::thread::sleep(Duration::from_secs(30));
        Reply::new(200)
    });
    let mut config = config();
    config.timeouts.idle = Duration::from_millis(50);
    let error = Client::new(config).tags(&server.name("a")).await.unwrap_err();
    assert!(matches!(error, Error::Idle { .. }), "{error}");
}

#[tokio::test]
async fn what_is_left_of_a_rate_limit_is_known() {
    let server = Server::start(|_| {
        Reply::new(429)
            .header("RateLimit-Limit", "100;w=21600")
            .header("RateLimit-Remaining", "3;w=21600")
            .header("Retry-After", "3600")
    });
    let client = server.client();
    assert_eq!(client.rate_limit(&server.address), None);
    assert!(client.manifest(&server.name("a:1")).await.is_err());
    let limit = client.rate_limit(&server.address).unwrap();
    assert_eq!((limit.limit, limit.remaining), (100, 3));
    assert_eq!(limit.window, Some(std::time::Duration::from_secs(21600)));
}
