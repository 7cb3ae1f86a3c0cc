//! TLS: who is trusted, and who is not.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use registry_client::{Client, Config, Error, HostRules, TrustRoots};
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
        let data = Scratch::new();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let (certificate, key) = (testdata("cert.pem"), testdata("key.pem"));
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{inmemory: }}\n\
             http: {{addr: '{address}', tls: {{certificate: '{}', key: '{}'}}}}\n",
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
