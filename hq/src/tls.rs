//! Certificates: PEM files in, rustls configurations out.

use anyhow::Context as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Ring for every TLS connection of the process; calling it again changes nothing.
pub(crate) fn install_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The embedded broker's side: clients must show a certificate of `ca`.
#[derive(Clone, Debug)]
pub struct ServerTls {
    pub ca: PathBuf,
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl ServerTls {
    /// Headquarters' own certificate.
    pub(crate) fn leaf(&self) -> anyhow::Result<CertificateDer<'static>> {
        certificates(&self.cert)?.into_iter().next().context("no certificate")
    }

    /// # Errors
    /// When a file cannot be read or does not hold what its name says.
    pub fn config(&self) -> anyhow::Result<ServerConfig> {
        install_provider();
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots(&self.ca)?)).build()?;
        ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(certificates(&self.cert)?, private_key(&self.key)?)
            .with_context(|| format!("{} and {} do not belong together", self.cert.display(), self.key.display()))
    }
}

/// HQ's own side of a connection to a broker.
#[derive(Clone, Debug)]
pub struct ClientTls {
    pub ca: PathBuf,
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl ClientTls {
    /// # Errors
    /// When a file cannot be read or does not hold what its name says.
    pub fn config(&self) -> anyhow::Result<ClientConfig> {
        install_provider();
        let config = ClientConfig::builder().with_root_certificates(roots(&self.ca)?);
        let Some((cert, key)) = &self.identity else {
            return Ok(config.with_no_client_auth());
        };
        config
            .with_client_auth_cert(certificates(cert)?, private_key(key)?)
            .with_context(|| format!("{} and {} do not belong together", cert.display(), key.display()))
    }
}

fn roots(ca: &Path) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate).with_context(|| format!("{} is not a CA certificate", ca.display()))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .with_context(|| format!("cannot read certificates from {}", path.display()))?
        .collect();
    let found = found.with_context(|| format!("{} is not PEM", path.display()))?;
    anyhow::ensure!(!found.is_empty(), "{} holds no certificate", path.display());
    Ok(found)
}

fn private_key(path: &Path) -> anyhow::Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path).with_context(|| format!("{} holds no private key", path.display()))
}
