//! WeChat Pay API v3: what is signed, what is verified, what is decrypted. docs/PAYMENTS.md maps its calls to our port.

use super::rsa::{Signing, Verifying};
use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as B64;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use serde::Deserialize;

/// A notification older than this is a recording of one.
const AGE_MAX_S: u64 = 300;

/// Of a request: `url` is path and query, `body` empty for GET.
#[must_use]
pub fn request_message(method: &str, url: &str, timestamp: u64, nonce: &str, body: &str) -> String {
    format!("{method}\n{url}\n{timestamp}\n{nonce}\n{body}\n")
}

/// The header `Authorization` of a request.
///
/// # Errors
/// When it cannot be signed.
pub fn authorization(key: &Signing, merchant: &str, serial: &str, message: &Message<'_>) -> anyhow::Result<String> {
    let Message { method, url, timestamp, nonce, body } = message;
    let signature = key.sign(&request_message(method, url, *timestamp, nonce, body))?;
    Ok(format!(
        "WECHATPAY2-SHA256-RSA2048 mchid=\"{merchant}\",nonce_str=\"{nonce}\",signature=\"{signature}\",\
         timestamp=\"{timestamp}\",serial_no=\"{serial}\""
    ))
}

#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub method: &'a str,
    pub url: &'a str,
    pub timestamp: u64,
    pub nonce: &'a str,
    pub body: &'a str,
}

/// What the provider signs: of an answer and of a notification alike.
#[must_use]
pub fn answer_message(timestamp: u64, nonce: &str, body: &str) -> String {
    format!("{timestamp}\n{nonce}\n{body}\n")
}

/// The headers `Wechatpay-*` of an answer or a notification.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    pub timestamp: u64,
    pub nonce: &'a str,
    pub signature: &'a str,
}

/// # Errors
/// When it is not the provider's, or is older or newer than five minutes.
pub fn verify(key: &Verifying, signed: Signed<'_>, body: &str, now_s: u64) -> anyhow::Result<()> {
    ensure!(signed.timestamp.abs_diff(now_s) <= AGE_MAX_S, "signed more than five minutes from now");
    let message = answer_message(signed.timestamp, signed.nonce, body);
    ensure!(key.verifies(&message, signed.signature), "not signed by the provider");
    Ok(())
}

/// The encrypted part of a notification.
#[derive(Clone, Debug, Deserialize)]
pub struct Resource {
    pub algorithm: String,
    pub ciphertext: String,
    #[serde(default)]
    pub associated_data: String,
    pub nonce: String,
}

/// `key`: the API v3 key, 32 characters.
///
/// # Errors
/// When it is not encrypted by that key.
pub fn decrypt(key: &str, resource: &Resource) -> anyhow::Result<String> {
    ensure!(resource.algorithm == "AEAD_AES_256_GCM", "encrypted by {}", resource.algorithm);
    let Ok(key) = UnboundKey::new(&AES_256_GCM, key.as_bytes()) else { bail!("the API v3 key has not 32 characters") };
    let nonce = Nonce::try_assume_unique_for_key(resource.nonce.as_bytes());
    let Ok(nonce) = nonce else { bail!("the nonce has not 12 characters") };
    let mut text = B64.decode(&resource.ciphertext).context("the ciphertext is no base64")?;
    let opened = LessSafeKey::new(key).open_in_place(nonce, Aad::from(resource.associated_data.as_bytes()), &mut text);
    let Ok(plain) = opened else { bail!("not encrypted by this key, or changed since") };
    Ok(std::str::from_utf8(plain)?.to_owned())
}
