//! Adyen's local encryption, version 1: AES-256-CBC over the message, HMAC-SHA256 over its plain text.

use aes::Aes256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use ring::{hmac, pbkdf2};
use serde_json::{Value, json};
use std::cell::OnceCell;
use std::num::NonZeroU32;

const SALT: &[u8] = b"AdyenNexoV1Salt";
const ROUNDS: NonZeroU32 = match NonZeroU32::new(4_000) {
    Some(rounds) => rounds,
    None => NonZeroU32::MIN,
};
const CRYPTO_VERSION: u64 = 1;

/// What passphrase, identifier and version of the terminal's configuration stand for.
pub(super) struct Keys {
    pub identifier: String,
    pub version: u64,
    authentic: hmac::Key,
    cipher: [u8; 32],
    iv: [u8; 16],
}

/// A passphrase whose keys are derived when they are first needed: that takes milliseconds, by intention.
pub(super) struct Secret {
    passphrase: String,
    identifier: String,
    version: u64,
    keys: OnceCell<Keys>,
}

impl Secret {
    pub(super) const fn new(passphrase: String, identifier: String, version: u64) -> Self {
        Self { passphrase, identifier, version, keys: OnceCell::new() }
    }

    pub(super) fn keys(&self) -> &Keys {
        self.keys.get_or_init(|| Keys::derive(&self.passphrase, &self.identifier, self.version))
    }
}

/// Why a message is not read. Which check failed is nobody's business: an answer would help a forger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotAuthentic;

impl Keys {
    pub(super) fn derive(passphrase: &str, identifier: &str, version: u64) -> Self {
        let mut derived = [0; 80];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA1, ROUNDS, SALT, passphrase.as_bytes(), &mut derived);
        let mut cipher = [0; 32];
        let mut iv = [0; 16];
        let (authentic, rest) = derived.split_at(32);
        let (own_cipher, own_iv) = rest.split_at(32);
        cipher.copy_from_slice(own_cipher);
        iv.copy_from_slice(own_iv);
        let authentic = hmac::Key::new(hmac::HMAC_SHA256, authentic);
        Self { identifier: identifier.into(), version, authentic, cipher, iv }
    }

    /// The message with its body sealed; the header stays readable beside it.
    ///
    /// The nonce is made from the message itself: two messages have one nonce only if they are the same, and each
    /// carries a ServiceID of its own.
    pub(super) fn seal(&self, envelope: &str, header: &Value, plain: &str) -> String {
        let tag = hmac::sign(&self.authentic, plain.as_bytes());
        let drawn = hmac::sign(&self.authentic, &[b"nonce", plain.as_bytes()].concat());
        let mut nonce = [0; 16];
        nonce.iter_mut().zip(drawn.as_ref()).for_each(|(byte, drawn)| *byte = *drawn);
        let sealed = cbc::Encryptor::<Aes256>::new(&self.cipher.into(), &self.iv(&nonce).into())
            .encrypt_padded_vec::<Pkcs7>(plain.as_bytes());
        json!({
            envelope: {
                "MessageHeader": header,
                "NexoBlob": STANDARD.encode(sealed),
                "SecurityTrailer": {
                    "AdyenCryptoVersion": CRYPTO_VERSION,
                    "KeyIdentifier": self.identifier,
                    "KeyVersion": self.version,
                    "Nonce": STANDARD.encode(nonce),
                    "Hmac": STANDARD.encode(tag.as_ref()),
                },
            },
        })
        .to_string()
    }

    /// The plain text behind `NexoBlob`, when it is of our key and untouched.
    pub(super) fn open(&self, inside: &Value) -> Result<Vec<u8>, NotAuthentic> {
        let trailer = inside.get("SecurityTrailer").ok_or(NotAuthentic)?;
        let bytes = |value: Option<&Value>| {
            let text = value.and_then(Value::as_str).ok_or(NotAuthentic)?;
            STANDARD.decode(text).map_err(|_| NotAuthentic)
        };
        let ours = trailer.get("KeyIdentifier").and_then(Value::as_str) == Some(self.identifier.as_str())
            && trailer.get("KeyVersion").and_then(Value::as_u64) == Some(self.version)
            && trailer.get("AdyenCryptoVersion").and_then(Value::as_u64) == Some(CRYPTO_VERSION);
        let nonce = <[u8; 16]>::try_from(bytes(trailer.get("Nonce"))?).map_err(|_| NotAuthentic)?;
        let plain = cbc::Decryptor::<Aes256>::new(&self.cipher.into(), &self.iv(&nonce).into())
            .decrypt_padded_vec::<Pkcs7>(&bytes(inside.get("NexoBlob"))?)
            .unwrap_or_default();
        let tag = bytes(trailer.get("Hmac"))?;
        match hmac::verify(&self.authentic, &plain, &tag) {
            Ok(()) if ours => Ok(plain),
            Ok(()) | Err(_) => Err(NotAuthentic),
        }
    }

    fn iv(&self, nonce: &[u8; 16]) -> [u8; 16] {
        let mut iv = self.iv;
        iv.iter_mut().zip(nonce).for_each(|(byte, nonce)| *byte ^= nonce);
        iv
    }
}
