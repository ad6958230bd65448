//! Signed documents from headquarters: compact JWS with EdDSA (RFC 7515, RFC 8037). Whatever steers a box comes as one.

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use checkout::wire::Signed;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Headquarters' public key, and whom this box obeys.
#[derive(Clone, Debug)]
pub struct Verifier {
    key: [u8; 32],
    tenant: String,
    box_id: String,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

impl Verifier {
    /// `key`: what `aisle-hq pubkey` prints, 43 characters of base64url.
    ///
    /// # Errors
    /// The key is none.
    pub fn new(key: &str, tenant: &str, box_id: &str) -> Result<Self> {
        let key = public_key(key)
            .context("public_key is not what `aisle-hq pubkey` prints (43 letters, digits, '-' and '_')")?;
        Ok(Self { key, tenant: tenant.into(), box_id: box_id.into() })
    }

    /// The document, if headquarters signed it for this box (or all of the tenant's) and this purpose.
    ///
    /// # Errors
    /// Says what does not fit; the caller keeps what it has.
    pub fn open<T: DeserializeOwned>(&self, compact: &[u8], purpose: &str) -> Result<Signed<T>> {
        let document: Signed<T> = read(compact, &self.key).context("not headquarters' word")?;
        if document.purpose != purpose || document.tenant != self.tenant {
            bail!("signed as {} for tenant {}", document.purpose, document.tenant);
        }
        ensure!(document.box_id.as_ref().is_none_or(|id| *id == self.box_id), "signed for another box");
        Ok(document)
    }
}

impl Verifier {
    /// The same of a document that must name this box.
    ///
    /// # Errors
    /// As [`Verifier::open`], and where it is for every box.
    pub fn open_own<T: DeserializeOwned>(&self, compact: &[u8], purpose: &str) -> Result<Signed<T>> {
        let document = self.open(compact, purpose)?;
        ensure!(document.box_id.is_some(), "signed for every box");
        Ok(document)
    }
}

/// 43 letters, digits, `-` and `_`.
#[must_use]
pub fn public_key(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// A document signed by the owner of `key`, whoever it is for.
///
/// # Errors
/// It is none, or somebody else signed it.
pub fn read<T: DeserializeOwned>(compact: &[u8], key: &[u8; 32]) -> Result<Signed<T>> {
    let (signed, signature) = parts(compact)?;
    let (header, payload) = signed.split_once('.').context("not a compact JWS")?;
    let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header)?)?;
    ensure!(header.alg == "EdDSA", "signed with {}, not EdDSA", header.alg);
    let signature = URL_SAFE_NO_PAD.decode(signature)?;
    UnparsedPublicKey::new(&ED25519, key)
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| anyhow::anyhow!("the signature is another's"))?;
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?)
}

/// What a document says of itself, whoever signed it: for documents that come inside another one.
///
/// # Errors
/// It is none.
pub fn claimed<T: DeserializeOwned>(compact: &[u8]) -> Result<Signed<T>> {
    let (_, payload) = parts(compact)?.0.split_once('.').context("not a compact JWS")?;
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?)
}

/// What is signed, and the signature.
fn parts(compact: &[u8]) -> Result<(&str, &str)> {
    let text = std::str::from_utf8(compact).context("not a compact JWS")?;
    text.trim_end().rsplit_once('.').context("not a compact JWS")
}

/// Compact JWS, EdDSA.
///
/// # Errors
/// The document is not JSON.
pub fn sign<T: serde::Serialize>(document: &Signed<T>, pair: &ring::signature::Ed25519KeyPair) -> Result<String> {
    let payload = URL_SAFE_NO_PAD.encode(serde_json::to_vec(document)?);
    let signed = format!("{}.{payload}", URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA"}"#));
    let signature = URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes()));
    Ok(format!("{signed}.{signature}"))
}

#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    #[test]
    fn only_headquarters_speaks_and_only_to_whom_and_for_what_it_says() {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let sign = |payload: &str| {
            let signed =
                format!("{}.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA"}"#), URL_SAFE_NO_PAD.encode(payload));
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes())))
        };
        let verifier = Verifier::new(&URL_SAFE_NO_PAD.encode(pair.public_key().as_ref()), "t", "b").unwrap();
        let good = sign(r#"{"tenant":"t","box":"b","purpose":"welcome","rev":1,"doc":5}"#);
        assert_eq!(verifier.open::<u8>(good.as_bytes(), "welcome").unwrap().doc, 5);
        let forged = good.replacen('.', ".e", 1);
        let other_box = sign(r#"{"tenant":"t","box":"c","purpose":"welcome","rev":1,"doc":5}"#);
        let other_purpose = sign(r#"{"tenant":"t","purpose":"manifest","rev":1,"doc":5}"#);
        for bad in [forged.as_str(), &other_box, &other_purpose, "", "a.b.c", "..", "\u{0}"] {
            assert!(verifier.open::<u8>(bad.as_bytes(), "welcome").is_err(), "{bad} was believed");
        }
    }
}
