//! `tierce registry serve` with webhooks.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use testutil::{EmbeddedRegistry, Tierce, WebAnswer, WebServer, busybox, wait_until};

/// What was posted, and with which `Authorization`.
type Heard = Arc<Mutex<Vec<(Value, String)>>>;

/// Hears of events.
fn hook(fails_first: usize) -> (WebServer, Heard) {
    let heard = Heard::default();
    let (count, notes) = (AtomicUsize::new(0), Arc::clone(&heard));
    let server = WebServer::start(move |asked| {
        assert_eq!(asked.method, "POST");
        if count.fetch_add(1, Ordering::SeqCst) < fails_first {
            return WebAnswer::status(503);
        }
        let all: Value = serde_json::from_slice(&asked.body).unwrap();
        let who = asked.header("authorization").unwrap_or_default().to_owned();
        for event in all["events"].as_array().unwrap() {
            notes.lock().unwrap().push((event.clone(), who.clone()));
        }
        WebAnswer::ok("")
    });
    (server, heard)
}

#[test]
fn pushes_and_removals_are_posted_in_their_order() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    let (changes, heard) = hook(2);
    let (pulls, pulled) = hook(0);
    let secret = tierce.scratch().write("authorization", "Bearer hush\n");
    let settings = format!(
        "webhooks:\n- {{url: '{}', authorization: {}}}\n\
         - {{url: '{}', actions: [pull], repositories: 'team/*'}}\n",
        changes.url("/changes"),
        secret.display(),
        pulls.url("/pulls")
    );
    let settings = tierce.scratch().write("registry.yaml", settings);
    let registry = EmbeddedRegistry::start(&tierce, &["--config", settings.to_str().unwrap()]);
    let name = |name: &str| format!("{}/{name}", registry.address);
    tierce.ok(["copy", "-q", "busybox", &format!("docker://{}", name("team/app:1"))]);
    tierce.ok(["copy", "-q", "busybox", &format!("docker://{}", name("other:1"))]);
    let digest = tierce.ok(["registry", "digest", &name("team/app:1")]).trim().to_owned();
    tierce.ok(["registry", "delete", &name("other:1")]);
    wait_until("all changes are told", || heard.lock().unwrap().len() >= 3);
    let heard = heard.lock().unwrap();
    let told: Vec<String> = heard
        .iter()
        .map(|(event, _)| {
            let target = &event["target"];
            let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
            format!(
                "{} {} {}",
                text(&event["action"]),
                text(&target["repository"]),
                text(&target["tag"])
            )
        })
        .collect();
    assert_eq!(told[..2], ["push team/app 1", "push other 1"]);
    assert!(told[2].starts_with("delete other"), "{told:?}");
    let (event, who) = &heard[0];
    assert_eq!(event["target"]["digest"], digest);
    assert!(event["target"]["mediaType"].as_str().unwrap().contains("manifest"));
    assert!(event["request"]["useragent"].as_str().unwrap().starts_with("tierce/"));
    assert_eq!(who, "Bearer hush");

    assert!(pulled.lock().unwrap().is_empty());
    tierce.ok(["registry", "manifest", &name("team/app:1")]);
    wait_until("the pull is told", || pulled.lock().unwrap().len() == 1);
    assert_eq!(pulled.lock().unwrap()[0].0["action"], "pull");
}

#[test]
fn an_event_waits_for_who_is_not_there_yet() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    let place = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings =
        tierce.scratch().write("registry.yaml", format!("webhooks: [{{url: 'http://{place}/'}}]"));
    let registry = EmbeddedRegistry::start(&tierce, &["--config", settings.to_str().unwrap()]);
    tierce.ok(["copy", "-q", "busybox", &format!("docker://{}/late:1", registry.address)]);
    std::thread::sleep(std::time::Duration::from_millis(700));
    let late = std::net::TcpListener::bind(place).unwrap();
    let (mut stream, _) = late.accept().unwrap();
    let mut head = [0; 4];
    std::io::Read::read_exact(&mut stream, &mut head).unwrap();
    assert_eq!(&head, b"POST");
}
