//! A payment PIN that a box sealed to this headquarters, for one payment.

use crate::sign::Signer;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use checkout::wire::{PIN_KEY, SealedPin};
use checkout::words::Private;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};

/// The PIN, if it was sealed to this headquarters for the payment that `context` names.
pub(crate) fn open(signer: &Signer, sealed: &SealedPin, context: &str) -> Option<Private<String>> {
    let theirs = <[u8; 32]>::try_from(B64.decode(&sealed.key).ok()?).ok()?;
    let (shared, keys) = signer.agree(theirs)?;
    let secret = Salt::new(HKDF_SHA256, &keys).extract(shared.as_bytes());
    let key = LessSafeKey::new(UnboundKey::from(secret.expand(&[PIN_KEY], &CHACHA20_POLY1305).ok()?));
    let mut text = B64.decode(&sealed.text).ok()?;
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    let plain = key.open_in_place(nonce, Aad::from(context.as_bytes()), &mut text).ok()?;
    let pin = std::str::from_utf8(plain).ok()?.trim_end_matches('\0');
    Some(Private(pin.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
    use ring::rand::SystemRandom;

    /// What a box does, as docs/mqtt.asyncapi.yaml has it.
    fn seal(to: &str, pin: &[u8; 8], context: &str) -> SealedPin {
        let own = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).unwrap();
        let (public, theirs) = (own.compute_public_key().unwrap(), B64.decode(to).unwrap());
        let salt = [public.as_ref(), &theirs].concat();
        let key = agree_ephemeral(own, &UnparsedPublicKey::new(&X25519, &theirs), |shared| {
            let secret = Salt::new(HKDF_SHA256, &salt).extract(shared);
            UnboundKey::from(secret.expand(&[b"aisle payment PIN key 1"], &CHACHA20_POLY1305).unwrap())
        });
        let mut text = pin.to_vec();
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        LessSafeKey::new(key.unwrap())
            .seal_in_place_append_tag(nonce, Aad::from(context.as_bytes()), &mut text)
            .unwrap();
        SealedPin { key: B64.encode(public.as_ref()), text: B64.encode(text) }
    }

    #[test]
    fn a_pin_opens_at_the_headquarters_and_for_the_payment_it_was_sealed_for() {
        let dir = tempfile::tempdir().unwrap();
        let signer = Signer::open(&dir.path().join("hq.key")).unwrap();
        let sealed = seal(&signer.seal_key(), b"135790\0\0", "this payment");
        assert_eq!(open(&signer, &sealed, "this payment").map(|pin| pin.0).as_deref(), Some("135790"));
        let again = Signer::open(&dir.path().join("hq.key")).unwrap();
        assert!(open(&again, &sealed, "this payment").is_some(), "also after a start");
        assert!(open(&signer, &sealed, "another payment").is_none());
        let other = Signer::open(&dir.path().join("other.key")).unwrap();
        assert!(open(&other, &sealed, "this payment").is_none());
        let zeros = B64.encode([0; 32]);
        for (key, text) in [("", ""), (zeros.as_str(), sealed.text.as_str()), (sealed.key.as_str(), "AAAA")] {
            assert!(open(&signer, &SealedPin { key: key.into(), text: text.into() }, "this payment").is_none());
        }
    }
}
