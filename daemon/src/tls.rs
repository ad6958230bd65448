//! TLS to a device on the shop's own network: it has no name in any directory, so it is known by the authority that signed
//! its certificate and by the certificate's common name, never by its address.

use anyhow::{Context as _, Result, bail};
use checkout::words::Utc;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// `host:port?ca=FILE&cn=PATTERN`, behind `tls:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    address: String,
    /// Certificates of the authority, PEM.
    ca: PathBuf,
    /// `*` stands for one part of the name: `*.live.terminal.adyen.com`.
    cn: String,
}

impl Peer {
    /// # Errors
    /// Says which part is missing.
    pub fn parse(text: &str) -> Result<Self> {
        let (address, options) = text.split_once('?').unwrap_or((text, ""));
        let (mut ca, mut cn) = (None, None);
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("ca", value)) => ca = Some(value),
                Some(("cn", value)) => cn = Some(value),
                Some(_) | None => bail!("{option:?} is neither ca=… nor cn=…"),
            }
        }
        if !address.contains(':') {
            bail!("names no port");
        }
        let ca = ca.context("says no ca=FILE of the authority that signed the device's certificate")?.into();
        let cn = cn.context("says no cn=NAME of the device's certificate, such as *.live.terminal.adyen.com")?.into();
        Ok(Self { address: address.into(), ca, cn })
    }

    /// # Errors
    /// Why the other end could not be reached, or is not the device.
    pub async fn connect(&self) -> Result<TlsStream<TcpStream>> {
        let config = config(&self.ca, &self.cn)?;
        let stream = TcpStream::connect(&self.address).await;
        let stream = stream.with_context(|| format!("cannot connect to {}", self.address))?;
        stream.set_nodelay(true)?;
        let host = self.address.rsplit_once(':').map_or("", |(host, _)| host).trim_matches(['[', ']']);
        let name = ServerName::try_from(host.to_owned()).with_context(|| format!("{host:?} is no host"))?;
        let secured = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        secured.with_context(|| format!("{} is not the device it should be", self.address))
    }
}

fn config(ca: &Path, cn: &str) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).with_context(|| format!("ca {}", ca.display()))? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(ByCommonName { roots, cn: cn.into(), provider: provider.clone() });
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

#[derive(Debug)]
struct ByCommonName {
    roots: RootCertStore,
    cn: String,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for ByCommonName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, algorithms)?;
        match common_name(end_entity) {
            Some(name) if matches(&self.cn, &name) => Ok(ServerCertVerified::assertion()),
            Some(_) | None => Err(CertificateError::NotValidForName.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Part by part; `*` is any one part of letters, digits and hyphens.
fn matches(pattern: &str, name: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let (wanted, given): (Vec<&str>, Vec<&str>) = (pattern.split('.').collect(), name.split('.').collect());
    wanted.len() == given.len()
        && wanted.iter().zip(&given).all(
            |(wanted, given)| {
                if *wanted == "*" { plain(given) } else { wanted.eq_ignore_ascii_case(given) }
            },
        )
}

/// One value of DER: tag, content, what follows.
fn der(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7F => (usize::from(*first), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x0F))?;
            (digits.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

const SEQUENCE: u8 = 0x30;
/// 2.5.4.3 (RFC 5280 appendix A).
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];

/// Whose a certificate is, and from when to when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validity {
    pub name: Option<String>,
    from: Utc,
    until: Utc,
}

impl Validity {
    #[must_use]
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let (_, times, _) = der(from_serial(certificate, 3)?)?;
        let (kind, from, times) = der(times)?;
        let (until_kind, until, _) = der(times)?;
        let (from, until) = (time(kind, from)?, time(until_kind, until)?);
        Some(Self { name: common_name(certificate), from, until })
    }

    #[must_use]
    pub fn holds(&self, now: Utc) -> bool {
        self.from <= now && now < self.until
    }

    /// Two thirds of its life are over.
    #[must_use]
    pub fn is_due(&self, now: Utc) -> bool {
        let life = self.until.0.saturating_sub(self.from.0);
        now.0 >= self.from.0.saturating_add(life / 3 * 2)
    }
}

/// `UTCTime` and `GeneralizedTime` as certificates write them (RFC 5280, 4.1.2.5): with seconds, in UTC.
fn time(tag: u8, text: &[u8]) -> Option<Utc> {
    let text = core::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        0x17 => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: u32 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        0x18 => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2);
    let minute = format!("{year:04}-{}-{}T{}:{}", part(0)?, part(2)?, part(4)?, part(6)?);
    let minutes = checkout::calendar::read(&minute)?.0;
    let seconds: i64 = part(8)?.parse().ok()?;
    Some(Utc(minutes.checked_mul(60_000)?.checked_add(seconds * 1000)?))
}

/// What stands in a certificate `skip` fields behind its version: serial number, signature algorithm, issuer, validity, subject.
fn from_serial(certificate: &[u8], skip: usize) -> Option<&[u8]> {
    let (_, certificate, _) = der(certificate)?;
    let (_, mut rest, _) = der(certificate)?;
    if let Some((0xA0, _, after)) = der(rest) {
        rest = after;
    }
    for _ in 0..skip {
        rest = der(rest)?.2;
    }
    Some(rest)
}

/// The last common name of the certificate's subject.
fn common_name(certificate: &[u8]) -> Option<String> {
    let (_, mut sets, _) = der(from_serial(certificate, 4)?)?;
    let mut found = None;
    while let Some((_, mut set, after)) = der(sets) {
        while let Some((SEQUENCE, pair, next)) = der(set) {
            let (_, kind, value) = der(pair)?;
            let (_, text, _) = der(value)?;
            if kind == COMMON_NAME {
                found = core::str::from_utf8(text).ok().map(str::to_owned);
            }
            set = next;
        }
        sets = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    use rustls::pki_types::PrivateKeyDer;
    use tokio::net::TcpListener;

    fn named(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(vec!["terminal.invalid".into()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    }

    /// Whether a terminal that calls itself `name` is believed by who expects `cn`.
    async fn believed(name: &str, cn: &str, own_authority: bool) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let mut params = named("Terminals");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&key).unwrap();
        let other = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let own = KeyPair::generate().unwrap();
        let cert = named(name).signed_by(&own, &Issuer::from_params(&params, &key)).unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, if own_authority { ca.pem() } else { other.pem() }).unwrap();
        let server = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], PrivateKeyDer::try_from(own.serialize_der()).unwrap())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accept = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let _ = tokio_rustls::TlsAcceptor::from(Arc::new(server)).accept(stream).await;
        });
        let peer = Peer::parse(&format!("{address}?ca={}&cn={cn}", path.display())).unwrap();
        let connected = peer.connect().await.is_ok();
        accept.await.unwrap();
        connected
    }

    #[tokio::test]
    async fn a_terminal_is_believed_by_authority_and_common_name() {
        let name = "P400Plus-123456789.test.terminal.adyen.com";
        assert!(believed(name, "*.test.terminal.adyen.com", true).await);
        assert!(!believed(name, "*.live.terminal.adyen.com", true).await);
        assert!(!believed(name, "*.test.terminal.adyen.com", false).await);
        assert!(!believed("a.b.test.terminal.adyen.com", "*.test.terminal.adyen.com", true).await);
    }

    #[test]
    fn a_link_names_authority_and_common_name() {
        assert!(Peer::parse("10.0.0.7:8443?ca=/x.pem&cn=*.test.terminal.adyen.com").is_ok());
        for bad in ["10.0.0.7:8443", "10.0.0.7?ca=/x&cn=y", "10.0.0.7:1?ca=/x", "10.0.0.7:1?cn=y", "10.0.0.7:1?x=y"] {
            assert!(Peer::parse(bad).is_err(), "{bad} was taken");
        }
        assert_eq!(common_name(&[0x30, 0x82]), None);
    }
}
