//! Headquarters' own certificate authority: its key, and certificates that say who somebody on the broker is. The common name of a
//! certificate is the box's id; a claim certificate's begins with `claim-` and opens nothing but the door to a pairing.

use crate::batch::hex;
use crate::store::now_ms;
use anyhow::{Context as _, ensure};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertificateSigningRequestParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
    date_time_ymd,
};
use ring::rand::{SecureRandom as _, SystemRandom};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How common names of claim certificates begin; no box is called so.
pub const CLAIM: &str = "claim-";
/// A box renews at two thirds of it.
pub const BOX_DAYS: u32 = 90;
const CLAIM_DAYS: u32 = 365;
const OWN_DAYS: u32 = 730;
const CA_DAYS: u32 = 3650;
/// A list is made anew at least once a week.
const CRL_MS: i64 = 7 * 24 * 3_600_000;
/// Clocks of boxes are behind now and then.
const BACK: Duration = Duration::from_secs(3600);
/// A request is a key and a signature.
pub const REQUEST_MAX: usize = 4096;

pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    /// PEM, for whoever is to believe it.
    certificate: String,
}

impl std::fmt::Debug for Ca {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ca")
    }
}

/// A certificate that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// PEM, without the authority's.
    pub pem: String,
    /// Hexadecimal.
    pub serial: String,
    pub not_after_ms: i64,
}

/// The files of an authority and of headquarters itself.
#[derive(Clone, Debug)]
pub struct Files {
    pub ca: PathBuf,
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Files {
    #[must_use]
    pub fn of(dir: &Path) -> Self {
        Self { ca: dir.join("ca.pem"), cert: dir.join("hq.pem"), key: dir.join("hq.key.pem") }
    }
}

impl Ca {
    /// Makes an authority in `dir`, and headquarters' certificate for the broker's names.
    ///
    /// # Errors
    /// There is one, or the disk refuses.
    pub fn init(dir: &Path, names: &[String]) -> anyhow::Result<(Self, Issued)> {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let key = KeyPair::generate()?;
        // First of all, and never over another: what an authority signed is worth nothing without it.
        private(&dir.join("ca.key.pem"), &key.serialize_pem())?;
        let mut params = named("Aisle headquarters", CA_DAYS)?.0;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?.pem();
        let files = Files::of(dir);
        std::fs::write(&files.ca, &certificate)?;
        let ca = Self { issuer: Issuer::new(params, key), certificate };
        let key = KeyPair::generate()?;
        let (mut params, serial, not_after_ms) = named("aisle-hq", OWN_DAYS)?;
        params.subject_alt_names = CertificateParams::new(names.to_vec())?.subject_alt_names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let pem = params.signed_by(&key, &ca.issuer)?.pem();
        private(&files.key, &key.serialize_pem())?;
        std::fs::write(&files.cert, &pem)?;
        Ok((ca, Issued { pem, serial, not_after_ms }))
    }

    /// # Errors
    /// There is none: `ca init` makes one.
    pub fn open(dir: &Path) -> anyhow::Result<Self> {
        let read = |name: &str| {
            let path = dir.join(name);
            std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}: `aisle-hq ca init` makes an authority", path.display()))
        };
        let (certificate, key) = (read("ca.pem")?, KeyPair::from_pem(&read("ca.key.pem")?)?);
        Ok(Self { issuer: Issuer::from_ca_cert_pem(&certificate, key)?, certificate })
    }

    /// PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A certificate and its key for the image of new boxes.
    ///
    /// # Errors
    /// When random bytes are missing.
    pub fn claim(&self) -> anyhow::Result<(String, Issued, String)> {
        let mut random = [0; 4];
        SystemRandom::new().fill(&mut random).map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
        let name = format!("{CLAIM}{}", hex(&random));
        let key = KeyPair::generate()?;
        let (mut params, serial, not_after_ms) = named(&name, CLAIM_DAYS)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let pem = params.signed_by(&key, &self.issuer)?.pem();
        Ok((name, Issued { pem, serial, not_after_ms }, key.serialize_pem()))
    }

    /// Signs a box's request: of the request only the key counts, whatever else it says.
    ///
    /// # Errors
    /// It is none, or its maker has not its key.
    pub fn sign(&self, request: &str, box_id: &str) -> anyhow::Result<Issued> {
        let mut request = read(request)?;
        let (mut params, serial, not_after_ms) = named(box_id, BOX_DAYS)?;
        params.subject_alt_names = CertificateParams::new(vec![box_id.to_owned()])?.subject_alt_names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        request.params = params;
        let pem = request.signed_by(&self.issuer)?.pem();
        Ok(Issued { pem, serial, not_after_ms })
    }
}

impl Ca {
    /// What was taken back, for brokers that read a list: serials, and when.
    ///
    /// # Errors
    /// A serial is none.
    pub fn crl(&self, revoked: &[(String, i64)]) -> anyhow::Result<String> {
        let at = |ms: i64| date_time_ymd(1970, 1, 1) + Duration::from_millis(ms.unsigned_abs());
        let revoked_certs = revoked.iter().map(|(serial, ms)| {
            let serial = crate::batch::unhex(serial).context("a serial that is none")?;
            let serial_number = SerialNumber::from_slice(&serial);
            Ok(RevokedCertParams { serial_number, revocation_time: at(*ms), reason_code: None, invalidity_date: None })
        });
        let params = CertificateRevocationListParams {
            this_update: at(now_ms()),
            next_update: at(now_ms().saturating_add(CRL_MS)),
            // Rises with every list.
            crl_number: SerialNumber::from_slice(&now_ms().unsigned_abs().to_be_bytes()),
            issuing_distribution_point: None,
            revoked_certs: revoked_certs.collect::<anyhow::Result<_>>()?,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(params.signed_by(&self.issuer)?.pem()?)
    }
}

/// A request whose signature shows that its maker has the key.
///
/// # Errors
/// It is none.
pub(crate) fn read(request: &str) -> anyhow::Result<CertificateSigningRequestParams> {
    ensure!(request.len() <= REQUEST_MAX, "a certificate request is no longer than {REQUEST_MAX} bytes");
    CertificateSigningRequestParams::from_pem(request).context("not a certificate request")
}

fn named(name: &str, days: u32) -> anyhow::Result<(CertificateParams, String, i64)> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let mut serial = [0; 16];
    SystemRandom::new().fill(&mut serial).map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
    // Positive, and never with a leading zero byte, so that everybody writes it alike.
    serial[0] = serial[0] & 0x3F | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let since_1970 = Duration::from_millis(now_ms().unsigned_abs());
    let life = Duration::from_secs(u64::from(days) * 24 * 3600);
    params.not_before = date_time_ymd(1970, 1, 1) + since_1970.saturating_sub(BACK);
    params.not_after = date_time_ymd(1970, 1, 1) + since_1970 + life;
    params.use_authority_key_identifier_extension = true;
    let not_after_ms = now_ms().saturating_add(i64::try_from(life.as_millis()).unwrap_or(i64::MAX));
    Ok((params, hex(&serial), not_after_ms))
}

/// A key that only its owner may read; never over another.
pub fn private(path: &Path, text: &str) -> anyhow::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.with_context(|| format!("cannot make {}", path.display()))?;
    file.write_all(text.as_bytes())?;
    Ok(file.sync_all()?)
}
