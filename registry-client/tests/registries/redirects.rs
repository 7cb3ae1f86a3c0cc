//! Redirects: credentials stay behind.

use registry_client::Error;

use crate::server::{BASIC, Reply, Server, layer, noise, password};

#[tokio::test]
async fn credentials_do_not_follow_to_another_origin() {
    let bytes = noise(5000);
    let content = bytes.clone();
    let elsewhere = Server::start(move |_| Reply::new(200).body(content.clone()));
    let target = format!("http://{}/bucket?signature=x", elsewhere.address);
    for status in [301, 302, 303, 307, 308] {
        let target = target.clone();
        let server = Server::start(move |asked| match asked.header("authorization") {
            Some(BASIC) => Reply::new(status).header("Location", &target),
            _ => Reply::challenge("Basic realm=x"),
        });
        let blob = layer(&bytes);
        let client = server.client_as(password());
        let got = client.blob_bytes(&server.name("a"), &blob, 10_000).await.unwrap();
        assert_eq!(got, bytes, "{status}");
    }
    let asked = elsewhere.asked();
    assert_eq!(asked.len(), 5);
    assert!(asked.iter().all(|asked| asked.header("authorization").is_none()));
    assert!(asked.iter().all(|asked| asked.header("accept-encoding") == Some("identity")));
}

#[tokio::test]
async fn credentials_follow_within_the_origin() {
    let server = Server::start(|asked| match (asked.header("authorization"), &*asked.path) {
        (Some(BASIC), "/moved") => Reply::new(200).body("x"),
        (Some(BASIC), _) => Reply::new(307).header("Location", "/moved"),
        _ => Reply::challenge("Basic realm=x"),
    });
    let client = server.client_as(password());
    client.blob_bytes(&server.name("a"), &layer(b"x"), 10).await.unwrap();
}

#[tokio::test]
async fn a_challenge_from_elsewhere_gets_no_credentials() {
    let elsewhere = Server::start(|_| Reply::challenge("Basic realm=x"));
    let target = format!("http://{}/", elsewhere.address);
    let server = Server::start(move |_| Reply::new(307).header("Location", &target));
    let client = server.client_as(password());
    let error = client.blob_bytes(&server.name("a"), &layer(b"x"), 10).await.unwrap_err();
    assert_eq!(error.status().map(|status| status.as_u16()), Some(401), "{error}");
    assert!(elsewhere.asked().iter().all(|asked| asked.header("authorization").is_none()));
}

#[tokio::test]
async fn redirects_end() {
    for (location, expected) in [
        (Some("/v2/again"), "redirects more than"),
        (Some("http://[::1"), "redirects to no address"),
        (None, "redirects without saying where to"),
        (Some("file:///etc/passwd"), "refused to follow a redirect to file:///etc/passwd"),
    ] {
        let server = Server::start(move |asked| match (&*asked.path, location) {
            ("/v2/", _) => Reply::new(200),
            (_, Some(location)) => Reply::new(302).header("Location", location),
            (_, None) => Reply::new(302),
        });
        let client = server.client();
        let error = client.blob_bytes(&server.name("a"), &layer(b"x"), 10).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(matches!(error, Error::Protocol { .. } | Error::RefusedTarget { .. }), "{error}");
    }
}
