//! HQ's Ed25519 key and the documents it signs: compact JWS, EdDSA (RFC 7515, RFC 8037).

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use checkout::wire::Signed;
use ring::hmac;
use ring::pkcs8::Document;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use x25519_dalek::{PublicKey, SharedSecret, StaticSecret};

const HEADER: &[u8] = br#"{"alg":"EdDSA"}"#;

/// The signing key of one HQ, and what boxes seal PINs to, which follows from it.
pub struct Signer {
    pair: Ed25519KeyPair,
    seal: StaticSecret,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.public_key())
    }
}

impl Signer {
    /// Reads `path`, or makes a key there that only the owner may read.
    ///
    /// # Errors
    /// When the file can neither be read nor made, or is no key.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        match std::fs::read(path) {
            Ok(stored) => Self::from_pkcs8(&stored)
                .with_context(|| format!("{} is damaged: restore it from a backup", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Self::create(path),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// A key that is kept nowhere.
    pub(crate) fn fresh() -> anyhow::Result<Self> {
        Self::from_pkcs8(generate()?.as_ref())
    }

    /// As [`Signer::open`], where there must be one.
    ///
    /// # Errors
    /// When the file cannot be read or is no key.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let stored = std::fs::read(path).with_context(|| format!("cannot read the key {}", path.display()))?;
        Self::from_pkcs8(&stored).with_context(|| format!("{} is no key of ours", path.display()))
    }

    fn create(path: &Path) -> anyhow::Result<Self> {
        let made = generate()?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        file.write_all(made.as_ref())?;
        file.sync_all()?;
        Self::from_pkcs8(made.as_ref())
    }

    fn from_pkcs8(stored: &[u8]) -> anyhow::Result<Self> {
        match Ed25519KeyPair::from_pkcs8(stored) {
            Ok(pair) => {
                // A signature that nobody ever sees is a secret as good as the key.
                let seed: [u8; 32] = Sha256::digest(pair.sign(b"aisle seal 1").as_ref()).into();
                Ok(Self { pair, seal: StaticSecret::from(seed) })
            }
            Err(reason) => bail!("not an Ed25519 key: {reason}"),
        }
    }

    /// What boxes are configured with: base64url, 43 characters.
    #[must_use]
    pub fn public_key(&self) -> String {
        B64.encode(self.pair.public_key().as_ref())
    }

    /// What payment PINs are mixed with, so that the database alone says nothing of them: a signature nobody ever sees.
    pub(crate) fn pepper(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.pair.sign(b"aisle payment PIN 1").as_ref())
    }

    /// What a box seals a PIN to, base64url.
    pub(crate) fn seal_key(&self) -> String {
        B64.encode(PublicKey::from(&self.seal).as_bytes())
    }

    /// What both ends of a sealing know, with the two public keys; nothing of a key that gives everybody the same.
    pub(crate) fn agree(&self, theirs: [u8; 32]) -> Option<(SharedSecret, [u8; 64])> {
        let shared = self.seal.diffie_hellman(&PublicKey::from(theirs));
        let mut keys = [0; 64];
        keys[..32].copy_from_slice(&theirs);
        keys[32..].copy_from_slice(PublicKey::from(&self.seal).as_bytes());
        shared.was_contributory().then_some((shared, keys))
    }

    /// # Errors
    /// When `document` is not JSON.
    pub fn sign<T: Serialize>(&self, document: &Signed<T>) -> anyhow::Result<String> {
        let mut token = B64.encode(HEADER);
        token.push('.');
        token.push_str(&B64.encode(serde_json::to_vec(document)?));
        let signature = self.pair.sign(token.as_bytes());
        token.push('.');
        token.push_str(&B64.encode(signature.as_ref()));
        Ok(token)
    }
}

fn generate() -> anyhow::Result<Document> {
    match Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()) {
        Ok(made) => Ok(made),
        Err(_) => bail!("the system gives no random bytes"),
    }
}

/// What a box asks of a signed document before it believes it.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    pub tenant: &'a str,
    pub box_id: &'a str,
    pub purpose: &'a str,
    /// The newest revision of this purpose seen.
    pub rev_seen: u64,
}

/// # Errors
/// When signature, tenant, box, purpose or revision is not what is expected; the text says which.
pub fn verify<T: DeserializeOwned>(token: &str, public_key: &str, expected: Expected<'_>) -> anyhow::Result<Signed<T>> {
    let key = B64.decode(public_key).context("the public key is not base64url")?;
    let (signed, signature) = token.rsplit_once('.').context("not a compact JWS")?;
    let (header, payload) = signed.split_once('.').context("not a compact JWS")?;
    let header: serde_json::Value = serde_json::from_slice(&B64.decode(header)?)?;
    anyhow::ensure!(header.get("alg").is_some_and(|alg| alg == "EdDSA"), "another algorithm than EdDSA");
    let signature = B64.decode(signature)?;
    if UnparsedPublicKey::new(&ED25519, key).verify(signed.as_bytes(), &signature).is_err() {
        bail!("signature is not HQ's");
    }
    let document: Signed<T> = serde_json::from_slice(&B64.decode(payload)?)?;
    anyhow::ensure!(document.tenant == expected.tenant, "for another tenant");
    let for_me = document.box_id.as_deref().is_none_or(|id| id == expected.box_id);
    anyhow::ensure!(for_me, "for another box");
    anyhow::ensure!(document.purpose == expected.purpose, "for another purpose");
    anyhow::ensure!(document.rev >= expected.rev_seen, "older than one already seen");
    Ok(document)
}
