//! Who this box is on the line to headquarters: a certificate, and a key that never leaves the box. At two thirds of its life it is
//! renewed; both hold until the older one ends, and neither ends the selling.

use crate::config::Hq;
use crate::space::sync_folder;
use crate::tls::Validity;
use anyhow::{Context as _, Result, bail, ensure};
use checkout::words::Utc;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Certificate and key in one file, so that they change together.
const RENEWED: &str = "identity.pem";
/// The key of a certificate that was asked for.
const NEXT: &str = "identity-next.key";

/// PEM files of a certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Identity {
    /// The renewed one where it is valid, else the one of the configuration.
    ///
    /// # Errors
    /// The configuration names none.
    pub fn of(hq: &Hq, data: &Path, now: Utc) -> Result<Self> {
        let renewed = data.join(RENEWED);
        let renewed = Self { cert: renewed.clone(), key: renewed };
        if renewed.validity().is_ok_and(|validity| validity.holds(now)) {
            return Ok(renewed);
        }
        match (&hq.cert, &hq.key) {
            (Some(cert), Some(key)) => Ok(Self { cert: cert.clone(), key: key.clone() }),
            // A clock that stands in 1970 is no reason to be nobody.
            _ if renewed.cert.exists() => Ok(renewed),
            _ => bail!("the box has no certificate: `aisled provision` gets it one, or [hq] cert and key name one"),
        }
    }

    /// # Errors
    /// There is no certificate, or it cannot be read.
    pub fn validity(&self) -> Result<Validity> {
        let chain = CertificateDer::pem_file_iter(&self.cert).with_context(|| self.cert.display().to_string())?;
        let leaf = chain.into_iter().next().context("no certificate")??;
        Validity::of(&leaf).context("a certificate that cannot be read")
    }

    /// The client's side of mutual TLS with a private CA: only headquarters' broker is believed, and it knows this box by its
    /// certificate.
    ///
    /// # Errors
    /// A file is missing or is none, or certificate and key do not belong together.
    pub fn tls(&self, ca: &Path) -> Result<rustls::ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(ca).with_context(|| format!("ca {}", ca.display()))? {
            roots.add(certificate?)?;
        }
        let chain =
            CertificateDer::pem_file_iter(&self.cert).with_context(|| format!("cert {}", self.cert.display()))?;
        let chain = chain.collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_file(&self.key).with_context(|| format!("key {}", self.key.display()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(builder.with_root_certificates(roots).with_client_auth_cert(chain, key)?)
    }
}

/// A request for a certificate under a new key, which is on disk before anybody hears of it; the same one until it is answered.
///
/// # Errors
/// The disk refuses.
pub fn request(folder: &Path, box_id: &str) -> Result<String> {
    let path = folder.join(NEXT);
    let key = match std::fs::read_to_string(&path).ok().and_then(|text| KeyPair::from_pem(&text).ok()) {
        Some(key) => key,
        None => {
            let key = KeyPair::generate()?;
            private(&path, &key.serialize_pem())?;
            key
        }
    };
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, box_id);
    Ok(params.serialize_request(&key)?.pem()?)
}

/// Takes the certificate that was asked for: with its key it is in one file at once.
///
/// # Errors
/// It is for another key, is another's, or the authority is not ours: what was there stays.
pub fn take(folder: &Path, certificate: &str, box_id: &str, ca: &Path, now: Utc) -> Result<Identity> {
    let key = std::fs::read_to_string(folder.join(NEXT)).context("no certificate was asked for")?;
    let part = folder.join("identity.part");
    private(&part, &format!("{key}{certificate}"))?;
    let part_ = Identity { cert: part.clone(), key: part.clone() };
    part_.tls(ca).context("a certificate for another key")?;
    let validity = part_.validity()?;
    ensure!(validity.name.as_deref() == Some(box_id), "a certificate of {:?}", validity.name);
    ensure!(validity.holds(now), "a certificate that does not hold today");
    let path = folder.join(RENEWED);
    std::fs::rename(&part, &path)?;
    std::fs::remove_file(folder.join(NEXT))?;
    sync_folder(folder)?;
    Ok(Identity { cert: path.clone(), key: path })
}

/// A file that only its owner may read, in the place of one that is there.
fn private(path: &Path, text: &str) -> Result<()> {
    let _ = std::fs::remove_file(path);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.with_context(|| format!("cannot make {}", path.display()))?;
    file.write_all(text.as_bytes())?;
    Ok(file.sync_all()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, IsCa, Issuer, date_time_ymd};
    use std::os::unix::fs::PermissionsExt as _;

    struct Authority {
        issuer: Issuer<'static, KeyPair>,
        path: PathBuf,
    }

    fn authority(folder: &Path) -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let path = folder.join("ca.pem");
        std::fs::write(&path, params.self_signed(&key).unwrap().pem()).unwrap();
        Authority { issuer: Issuer::new(params, key), path }
    }

    /// Valid in 2026.
    fn granted(ca: &Authority, key: &KeyPair, name: &str) -> String {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2026, 12, 27));
        params.signed_by(key, &ca.issuer).unwrap().pem()
    }

    fn at(day: &str) -> Utc {
        Utc(checkout::calendar::read(day).unwrap().0 * 60_000)
    }

    fn hq(folder: &Path) -> Hq {
        let text = format!(
            "broker = \"mqtts://b:8883\"\npublic_key = \"\"\ncert = {0:?}\nkey = {0:?}\n",
            folder.join("own.pem")
        );
        toml::from_str(&text).unwrap()
    }

    #[test]
    fn a_new_key_is_on_disk_for_the_box_alone_and_the_same_until_it_is_answered() {
        let folder = tempfile::tempdir().unwrap();
        let first = request(folder.path(), "box-1").unwrap();
        assert!(first.contains("BEGIN CERTIFICATE REQUEST") && !first.contains("PRIVATE"));
        let key = std::fs::read_to_string(folder.path().join(NEXT)).unwrap();
        assert_eq!(folder.path().join(NEXT).metadata().unwrap().permissions().mode() & 0o777, 0o600);
        request(folder.path(), "box-1").unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join(NEXT)).unwrap(), key);
    }

    #[test]
    fn a_renewed_certificate_is_used_while_it_holds_and_what_does_not_fit_changes_nothing() {
        let (folder, now) = (tempfile::tempdir().unwrap(), at("2026-06-01"));
        let folder = folder.path();
        let (ca, hq) = (authority(folder), hq(folder));
        let configured = Identity::of(&hq, folder, now).unwrap();
        assert_eq!(configured.cert, folder.join("own.pem"));
        request(folder, "box-1").unwrap();
        let key = KeyPair::from_pem(&std::fs::read_to_string(folder.join(NEXT)).unwrap()).unwrap();
        let foreign = KeyPair::generate().unwrap();
        for (wrong, why) in [
            (granted(&ca, &foreign, "box-1"), "another key"),
            (granted(&ca, &key, "box-2"), "another box"),
            ("garbage".into(), "no certificate"),
        ] {
            assert!(take(folder, &wrong, "box-1", &ca.path, now).is_err(), "{why}");
            assert_eq!(Identity::of(&hq, folder, now).unwrap(), configured, "{why}");
        }
        let certificate = granted(&ca, &key, "box-1");
        assert!(take(folder, &certificate, "box-1", &ca.path, at("2027-06-01")).is_err(), "expired");
        let renewed = take(folder, &certificate, "box-1", &ca.path, now).unwrap();
        assert_eq!(renewed.cert.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Identity::of(&hq, folder, now).unwrap(), renewed);
        assert_eq!(Identity::of(&hq, folder, at("2027-01-01")).unwrap(), configured, "it has ended");
        let validity = renewed.validity().unwrap();
        assert!(!validity.is_due(at("2026-08-01")) && validity.is_due(at("2026-09-01")), "at two thirds of its life");
    }
}
