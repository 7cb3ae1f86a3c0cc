//! `tierce registry serve` with the keys of an issuer of tokens behind a URL.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use testutil::{EmbeddedRegistry, Tierce, WebAnswer, WebServer, wait_until};

/// A P-256 key, and a token that was signed with it: for `app` at the service `here`, by `auth`.
const KEY: &str = r#"{"kty":"EC","crv":"P-256","kid":"k","x":"pU0dUZoCCcWnW4Aq6_3KkM5YLxXcDxDWoh08JsSxg5o","y":"ecg8b-GyDQ7d91VctK-HHVZSTiwiNSlhcUIBGaaVEEY"}"#;
const TOKEN: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiJhdXRoIiwiYXVkIjoiaGVyZSIsImV4cCI6OTk5OTk5OTk5OSwic3ViIjoibWUiLCJhY2Nlc3MiOlt7InR5cGUiOiJyZXBvc2l0b3J5IiwibmFtZSI6ImFwcCIsImFjdGlvbnMiOlsicHVsbCIsInB1c2giXX1dfQ.Sdy5jjRcPRYGXfKeELF919vZDcN5OHuA1qVVs1XzMJ8UzCK9mi4gnflS0jhsxCY7T-hGN3FCa5ZFgTDxmvOoBw";
/// Another key, of another name.
const OTHER: &str = r#"{"kty":"EC","crv":"P-256","kid":"new","x":"pU0dUZoCCcWnW4Aq6_3KkM5YLxXcDxDWoh08JsSxg5o","y":"ecg8b-GyDQ7d91VctK-HHVZSTiwiNSlhcUIBGaaVEEY"}"#;

/// The status of the answer to who asks with the token.
fn status(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn keys_are_fetched_and_change_with_the_issuers() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    let changed = Arc::new(AtomicBool::new(false));
    let now = Arc::clone(&changed);
    let issuer = WebServer::start(move |_| {
        let key = if now.load(Ordering::SeqCst) { OTHER } else { KEY };
        WebAnswer::ok(format!(r#"{{"keys":[{key}]}}"#))
    });
    let settings = format!(
        "issuer: {{realm: 'https://auth/token', service: here, name: auth, jwks: '{}'}}\n",
        issuer.url("/keys")
    );
    let settings = tierce.scratch().write("registry.yaml", settings);
    let settings = settings.to_str().unwrap();
    let registry = EmbeddedRegistry::start(&tierce, &["--config", settings]);
    let tags = |name: &str| status(&registry.address, &format!("/v2/{name}/tags/list"));
    assert_eq!(tags("app"), "404", "it may look, and there is nothing");
    assert_eq!(tags("other"), "401");

    changed.store(true, Ordering::SeqCst);
    let hangup =
        std::process::Command::new("kill").args(["-HUP", &registry.pid().to_string()]).status();
    assert!(hangup.unwrap().success());
    wait_until("the old key opens nothing", || tags("app") == "401");

    drop(issuer);
    let refused =
        tierce.run(["registry", "serve", "--listen", "127.0.0.1:0", "--config", settings]);
    assert!(refused.stderr.contains("cannot get the keys of the issuer"), "{refused:?}");
}
