//! RSA with SHA-256 as both providers sign: PKCS #1 v1.5, keys as PEM, signatures as base64.

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as B64;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;

/// Algorithm identifier `rsaEncryption` with its NULL (RFC 8017, A.1).
const RSA_ENCRYPTION: &[u8] =
    &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

/// The retailer's own key.
pub struct Signing(RsaKeyPair);

impl std::fmt::Debug for Signing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signing(***)")
    }
}

impl Signing {
    /// `BEGIN PRIVATE KEY` or `BEGIN RSA PRIVATE KEY`, at least 2048 bits.
    ///
    /// # Errors
    /// When it is neither.
    pub fn from_pem(pem: &str) -> anyhow::Result<Self> {
        let pair = match PrivateKeyDer::from_pem_slice(pem.as_bytes()).context("no private key in PEM")? {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            PrivateKeyDer::Sec1(_) | _ => bail!("the private key is not RSA"),
        };
        match pair {
            Ok(pair) => Ok(Self(pair)),
            Err(rejected) => bail!("the private key is refused: {rejected}"),
        }
    }

    /// # Errors
    /// When the system gives no random bytes for blinding.
    pub fn sign(&self, message: &str) -> anyhow::Result<String> {
        let mut signature = vec![0; self.0.public().modulus_len()];
        let signed = self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature);
        ensure!(signed.is_ok(), "the system gives no random bytes");
        Ok(B64.encode(signature))
    }

    /// The public half, as [`Verifying::from_der`] takes it.
    #[must_use]
    pub fn public_der(&self) -> Vec<u8> {
        self.0.public().as_ref().to_vec()
    }
}

/// The provider's key, in PKCS #1.
#[derive(Clone, Debug)]
pub struct Verifying(Vec<u8>);

impl Verifying {
    /// `BEGIN PUBLIC KEY` (X.509 `SubjectPublicKeyInfo`), or its base64 alone, as Alipay hands it out.
    ///
    /// # Errors
    /// When it is no RSA key.
    pub fn from_pem(pem: &str) -> anyhow::Result<Self> {
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
        let der = B64.decode(body).context("the public key is no base64")?;
        let at = der.windows(RSA_ENCRYPTION.len()).position(|window| window == RSA_ENCRYPTION);
        let bits = at.and_then(|at| der.get(at + RSA_ENCRYPTION.len()..)).context("the public key is not RSA")?;
        let key = bit_string(bits).context("the public key is cut short")?;
        Ok(Self(key.to_vec()))
    }

    #[must_use]
    pub const fn from_der(pkcs1: Vec<u8>) -> Self {
        Self(pkcs1)
    }

    #[must_use]
    pub fn verifies(&self, message: &str, signature: &str) -> bool {
        let Ok(signature) = B64.decode(signature) else { return false };
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.0);
        key.verify(message.as_bytes(), &signature).is_ok()
    }
}

/// The content of a DER bit string without unused bits.
fn bit_string(der: &[u8]) -> Option<&[u8]> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        short @ 0..=0x7f => (usize::from(short), rest),
        long @ 0x81..=0x82 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(long - 0x80))?;
            (bytes.iter().fold(0, |sum, byte| sum * 256 + usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (&unused, _) = rest.split_first()?;
    (tag == 3 && unused == 0).then(|| rest.get(1..length)).flatten()
}
