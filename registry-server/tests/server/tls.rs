//! TLS: who is let in, and that a certificate changes while the server runs. The certificates in
//! `tests/tls` are good for a hundred years and protect nothing.

#![allow(clippy::unwrap_used, reason = "a test that panics says where")]

use registry_server::{Registry, Storage, Tls, serve_tls};

const ROOT: &[u8] = include_bytes!("../tls/ca.pem");
const SERVER: (&[u8], &[u8]) =
    (include_bytes!("../tls/server.pem"), include_bytes!("../tls/server.key"));
const CLIENT: (&[u8], &[u8]) =
    (include_bytes!("../tls/client.pem"), include_bytes!("../tls/client.key"));

async fn start(tls: Tls) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let registry = Registry::new(Storage::memory());
    tokio::spawn(serve_tls(listener, registry, tls, std::future::pending()));
    format!("https://{address}/v2/")
}

/// A client that believes the root and may have a certificate of its own.
fn client(certificate: Option<(&[u8], &[u8])>) -> reqwest::Client {
    let root = reqwest::Certificate::from_pem(ROOT).unwrap();
    let mut builder = reqwest::Client::builder().tls_certs_only([root]).no_proxy();
    if let Some((certificate, key)) = certificate {
        let both = [certificate, key].concat();
        builder = builder.identity(reqwest::Identity::from_pem(&both).unwrap());
    }
    builder.build().unwrap()
}

async fn status(client: &reqwest::Client, url: &str) -> Option<u16> {
    client.get(url).send().await.ok().map(|answer| answer.status().as_u16())
}

#[tokio::test]
async fn who_believes_the_certificate_is_served() {
    let url = start(Tls::new(SERVER.0, SERVER.1, None).unwrap()).await;
    assert_eq!(status(&client(None), &url).await, Some(200));
    let stranger = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(status(&stranger, &url).await, None);
}

#[tokio::test]
async fn only_clients_with_a_certificate_are_let_in_where_they_must_have_one() {
    let url = start(Tls::new(SERVER.0, SERVER.1, Some(ROOT)).unwrap()).await;
    assert_eq!(status(&client(None), &url).await, None);
    assert_eq!(status(&client(Some(CLIENT)), &url).await, Some(200));
}

#[tokio::test]
async fn what_is_asked_of_clients_changes_while_the_server_runs() {
    let tls = Tls::new(SERVER.0, SERVER.1, None).unwrap();
    let url = start(tls.clone()).await;
    assert_eq!(status(&client(None), &url).await, Some(200));
    // What cannot be used changes nothing.
    assert!(tls.replace(SERVER.0, CLIENT.1, None).is_err());
    assert!(tls.replace(b"", SERVER.1, None).is_err());
    assert_eq!(status(&client(None), &url).await, Some(200));
    tls.replace(SERVER.0, SERVER.1, Some(ROOT)).unwrap();
    assert_eq!(status(&client(None), &url).await, None);
    assert_eq!(status(&client(Some(CLIENT)), &url).await, Some(200));
}
