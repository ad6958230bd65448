//! A payment PIN on its way: sealed to headquarters where it leaves the box, for one payment and no other. What is on the wire
//! says [`SealedPin`]; nobody but headquarters can read it, the broker included.

use anyhow::{Context as _, Result, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use checkout::wire::{PIN_KEY, PIN_MAX, Question, Said, SealedPin, pin_context};
use checkout::words::Private;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::SystemRandom;

/// The question as it may leave the box: `seal` is headquarters' key, as its welcome had it.
///
/// # Errors
/// There is a PIN in it and nothing to seal it to: it is not asked.
pub fn sealed(what: Question, seal: Option<&str>, box_id: &str) -> Result<Question> {
    let Question::ChargeMember { tender, member, amount, currency, said: Said::Pin(Private(pin)) } = what else {
        return Ok(what);
    };
    let seal = seal.context("headquarters has given no key to seal a PIN to: it is not sent")?;
    let context = pin_context(box_id, &tender, &member, amount, &currency);
    let said = Said::SealedPin(seal_to(seal, &pin, context.as_bytes())?);
    Ok(Question::ChargeMember { tender, member, amount, currency, said })
}

fn seal_to(seal: &str, pin: &str, context: &[u8]) -> Result<SealedPin> {
    let theirs = B64.decode(seal).context("headquarters' key is not base64url")?;
    let random = SystemRandom::new();
    let own =
        EphemeralPrivateKey::generate(&X25519, &random).map_err(|_| anyhow!("the system gives no random bytes"))?;
    let public = own.compute_public_key().map_err(|_| anyhow!("a key could not be made"))?;
    let salt = [public.as_ref(), &theirs].concat();
    let key = agree_ephemeral(own, &UnparsedPublicKey::new(&X25519, &theirs), |shared| {
        let secret = Salt::new(HKDF_SHA256, &salt).extract(shared);
        secret.expand(&[PIN_KEY], &CHACHA20_POLY1305).map(UnboundKey::from).ok()
    });
    let key = key.ok().flatten().context("headquarters' key is none")?;
    let mut text = pin.as_bytes().to_vec();
    text.resize(PIN_MAX.max(text.len()), 0);
    // A key of its own for each, so that the nonce may stay the same.
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    LessSafeKey::new(key)
        .seal_in_place_append_tag(nonce, Aad::from(context), &mut text)
        .map_err(|_| anyhow!("a PIN could not be sealed"))?;
    Ok(SealedPin { key: B64.encode(public.as_ref()), text: B64.encode(text) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use checkout::words::Money;

    fn charge(said: Said) -> Question {
        Question::ChargeMember {
            tender: "t-1".into(),
            member: "m-1".into(),
            amount: Money(350),
            currency: "CNY".into(),
            said,
        }
    }

    #[test]
    fn a_pin_leaves_the_box_sealed_or_not_at_all() {
        let pin = || charge(Said::Pin(Private("135790".into())));
        assert!(serde_json::to_string(&pin()).is_err(), "the wire has no word for a PIN in the clear");
        for no_key in [None, Some(""), Some("AAAA"), Some("!")] {
            assert!(sealed(pin(), no_key, "b").is_err(), "{no_key:?}");
        }
        let theirs = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).unwrap();
        let key = B64.encode(theirs.compute_public_key().unwrap().as_ref());
        let texts = [sealed(pin(), Some(&key), "b"), sealed(pin(), Some(&key), "b")]
            .map(|what| serde_json::to_string(&what.unwrap()).unwrap());
        assert!(texts.iter().all(|text| text.contains("sealed_pin") && !text.contains("135790")), "{texts:?}");
        assert_ne!(texts[0], texts[1], "the same PIN twice looks like two");
        let short = serde_json::to_string(&sealed(charge(Said::Pin(Private("1234".into()))), Some(&key), "b").unwrap());
        assert_eq!(short.unwrap().len(), texts[0].len(), "its length says nothing");
        assert_eq!(sealed(charge(Said::Tap), None, "b").unwrap(), charge(Said::Tap), "what holds no PIN goes as it is");
    }
}
