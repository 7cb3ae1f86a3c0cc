//! TLS: who is trusted, and who is not.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use registry_client::routes::{HostSettings, Routes};
use registry_client::{Client, Config, Error, HostRules, HostTls, TrustRoots};
use testutil::{Peer, Scratch};

use crate::server::config;

/// docker-registry with the certificate of `testdata/tls`, for `localhost` and `127.0.0.1`.
struct TlsRegistry {
    child: Child,
    address: String,
    _data: Scratch,
}

impl TlsRegistry {
    fn start() -> TlsRegistry {
        TlsRegistry::start_with(&testdata("cert.pem"), &testdata("key.pem"), "")
    }

    /// One with this certificate and key, and more about its TLS.
    fn start_with(certificate: &Path, key: &Path, more: &str) -> TlsRegistry {
        let data = Scratch::new();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{inmemory: }}\n\
             http: {{addr: '{address}', tls: {{certificate: '{}', key: '{}'{more}}}}}\n",
            certificate.display(),
            key.display()
        );
        let config = data.write("config.yml", text);
        let child = Peer::command("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let registry = TlsRegistry { child, address, _data: data };
        let started = Instant::now();
        while std::net::TcpStream::connect(&registry.address).is_err() {
            assert!(started.elapsed() < Duration::from_secs(20), "docker-registry does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        registry
    }
}

impl Drop for TlsRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata/tls").join(name)
}

fn trusting(files: &[&str]) -> Config {
    let extra_files = files.iter().map(|name| testdata(name)).collect();
    Config { roots: TrustRoots { extra_files, ..TrustRoots::default() }, ..config() }
}

#[tokio::test]
async fn a_certificate_must_lead_to_a_trusted_root() {
    let registry = TlsRegistry::start();
    let port = registry.address.rsplit(':').next().unwrap();
    let by_name = format!("localhost:{port}");
    for address in [&registry.address, &by_name] {
        // Loopback: nobody said that it speaks TLS.
        Client::new(trusting(&["ca.pem"])).ping(address).await.unwrap();

        let started = Instant::now();
        let error = Client::new(trusting(&[])).ping(address).await.unwrap_err();
        assert!(matches!(error, Error::Connection { .. }), "{error}");
        let text = format!("{error:?}");
        assert!(text.contains("UnknownIssuer"), "{text}");
        assert!(started.elapsed() < Duration::from_secs(2), "it is not tried again");

        let insecure = [address.clone()].into();
        let hosts = HostRules { insecure, ..HostRules::default() };
        Client::new(Config { hosts, ..config() }).ping(address).await.unwrap();
        let hosts = HostRules { all_insecure: true, ..HostRules::default() };
        Client::new(Config { hosts, ..config() }).ping(address).await.unwrap();

        let plain_http = [address.clone()].into();
        let hosts = HostRules { plain_http, ..HostRules::default() };
        let error = Client::new(Config { hosts, ..config() }).ping(address).await.unwrap_err();
        assert_eq!(error.status().map(|status| status.as_u16()), Some(400), "{error}");
    }
}

/// Certificates for one registry.
struct Own {
    registry: String,
    tls: HostTls,
}

impl Routes for Own {
    fn registry(&self, registry: &str) -> registry_client::Result<HostSettings> {
        let tls = if registry == self.registry { self.tls.clone() } else { HostTls::default() };
        Ok(HostSettings { tls, ..HostSettings::default() })
    }
}

#[tokio::test]
async fn a_registry_with_certificates_of_its_own_knows_us_by_ours() {
    let of_server = |name: &str| {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../registry-server/tests/tls").join(name)
    };
    let more = format!(", clientcas: ['{}']", of_server("ca.pem").display());
    let registry =
        TlsRegistry::start_with(&of_server("server.pem"), &of_server("server.key"), &more);
    let known = HostTls {
        roots: vec![of_server("ca.pem")],
        identity: Some((of_server("client.pem"), of_server("client.key"))),
    };
    let ping = async |name: &str, tls: HostTls| {
        let routes = Arc::new(Own { registry: name.to_owned(), tls });
        Client::new(Config { routes, ..config() }).ping(&registry.address).await
    };
    ping(&registry.address, known.clone()).await.unwrap();
    let nameless = HostTls { identity: None, ..known.clone() };
    assert!(ping(&registry.address, nameless).await.is_err(), "it wants a certificate");
    assert!(ping("other.example", known).await.is_err(), "that is for another registry");
}
