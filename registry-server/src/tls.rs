//! TLS for a listener, replaceable while it listens.

use std::sync::{Arc, RwLock};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::storage::{change, look};
use crate::{Error, Result};

/// A certificate and what is asked of clients. Clones share it.
#[derive(Clone)]
pub struct Tls(Arc<RwLock<TlsAcceptor>>);

impl Tls {
    /// A certificate with those that lead to its root, and its key, in PEM. With `clients`, only
    /// those are let in who have a certificate that leads to one of these.
    ///
    /// # Errors
    /// If something cannot be understood, or key and certificate do not belong together.
    pub fn new(certificates: &[u8], key: &[u8], clients: Option<&[u8]>) -> Result<Tls> {
        Ok(Tls(Arc::new(RwLock::new(acceptor(certificates, key, clients)?))))
    }

    /// What connections from now on see.
    ///
    /// # Errors
    /// As [`Tls::new`]; then everything stays as it was.
    pub fn replace(&self, certificates: &[u8], key: &[u8], clients: Option<&[u8]>) -> Result<()> {
        *change(&self.0) = acceptor(certificates, key, clients)?;
        Ok(())
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        look(&self.0).clone()
    }
}

fn acceptor(certificates: &[u8], key: &[u8], clients: Option<&[u8]>) -> Result<TlsAcceptor> {
    let chain = parse(certificates, "certificate")?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| unusable("key", e))?;
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| unusable("protocol versions", e))?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            for root in parse(clients, "clients' root certificate")? {
                roots.add(root).map_err(|e| unusable("clients' root certificate", e))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|e| unusable("clients' root certificate", e))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config =
        builder.with_single_cert(chain, key).map_err(|e| unusable("certificate and key", e))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn parse(pem: &[u8], object: &'static str) -> Result<Vec<CertificateDer<'static>>> {
    let all: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|e| unusable(object, e))?;
    if all.is_empty() {
        return Err(unusable(object, std::io::Error::other("there is none in the file")));
    }
    Ok(all)
}

fn unusable(object: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Tls { object, source: Arc::new(source) }
}
