//! Keys and what they seal.
//!
//! The store's key is 32 bytes outside every database. From it follow a key that wraps members' keys, the secret of the
//! rotation and the key that signs receipts; none of them is kept. ChaCha20-Poly1305 with random nonces is enough: a
//! member's key seals one template in its life, and the wrapping key one short key per enrolment. At a thousand enrolments
//! a day two of its 96-bit nonces meet with a chance below 1e-15 in ten years; XChaCha20's longer ones would buy nothing here.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{hkdf, signature};
use zeroize::{Zeroize, Zeroizing};

use super::{GalleryError, KEY_LENGTH};

pub(crate) type Key = Zeroizing<[u8; KEY_LENGTH]>;

/// What the store's key gives.
pub(crate) struct Keys {
    /// Wraps members' keys.
    pub(crate) wrap: Key,
    /// Turns templates.
    pub(crate) rotation: Key,
    /// Signs receipts.
    pub(crate) receipts: signature::Ed25519KeyPair,
}

impl Keys {
    pub(crate) fn of(store_key: &Key) -> Self {
        let seed = derive(store_key, b"aisle gallery receipts 1");
        Self {
            wrap: derive(store_key, b"aisle gallery wrap 1"),
            rotation: derive(store_key, b"aisle gallery rotation 1"),
            receipts: signature::Ed25519KeyPair::from_seed_unchecked(seed.as_slice())
                .expect("an Ed25519 seed has this length"),
        }
    }
}

struct Length;

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        KEY_LENGTH
    }
}

fn derive(store_key: &Key, purpose: &[u8]) -> Key {
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"aisle");
    let mut key = Zeroizing::new([0; KEY_LENGTH]);
    let secret = salt.extract(store_key.as_slice());
    let info = [purpose];
    let filled = secret.expand(&info, Length).and_then(|okm| okm.fill(key.as_mut_slice()));
    filled.expect("HKDF gives far more than one key");
    key
}

pub(crate) fn random_key(random: &SystemRandom) -> Result<Key, GalleryError> {
    let mut key = Zeroizing::new([0; KEY_LENGTH]);
    random.fill(key.as_mut_slice()).map_err(|_| GalleryError::NoRandom)?;
    Ok(key)
}

/// Nonce, ciphertext and tag.
pub(crate) fn seal(random: &SystemRandom, key: &Key, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, GalleryError> {
    let mut nonce = [0; NONCE_LEN];
    random.fill(&mut nonce).map_err(|_| GalleryError::NoRandom)?;
    let mut body = Vec::with_capacity(plain.len() + CHACHA20_POLY1305.tag_len());
    body.extend_from_slice(plain);
    cipher(key)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut body)
        .expect("a template is far below the cipher's limit");
    Ok([nonce.as_slice(), &body].concat())
}

pub(crate) fn open(key: &Key, context: &[u8], mut sealed: Vec<u8>) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, body) = sealed.split_at_mut_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let plain = cipher(key).open_in_place(nonce, Aad::from(context), body).ok()?;
    let copy = Zeroizing::new(plain.to_vec());
    plain.zeroize();
    Some(copy)
}

fn cipher(key: &Key) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key.as_slice()).expect("the key has the cipher's length"))
}

/// Binds what is sealed to its purpose, epoch and member.
pub(crate) fn context(purpose: &str, epoch: u64, member: &str) -> Vec<u8> {
    [purpose.as_bytes(), &[0], &epoch.to_le_bytes(), member.as_bytes()].concat()
}
