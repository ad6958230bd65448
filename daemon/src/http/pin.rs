//! Staff sign in by PIN: stored as salted PBKDF2, answered with a token this process signed.

use crate::config::Staff;
use crate::jws::{hex, unhex};
use anyhow::{Context, Result};
use checkout::words::StaffId;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::{hmac, pbkdf2};
use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};
use tokio::sync::Semaphore;

/// A four-digit PIN is short: each guess costs this much work and a second of waiting.
const ROUNDS: NonZeroU32 = NonZeroU32::new(100_000).expect("not zero");
const WRONG: Duration = Duration::from_secs(1);
/// A shift.
const VALID_S: u64 = 12 * 3600;

#[derive(Debug)]
pub struct Desk {
    staff: Vec<(StaffId, String, Vec<u8>, Vec<u8>)>,
    key: hmac::Key,
    guesses: Semaphore,
}

/// What the configuration keeps of `pin`: salt and hash, hexadecimal.
///
/// # Errors
/// The system gives no random numbers.
pub fn stored(pin: &str) -> Result<String> {
    let mut salt = [0; 16];
    SystemRandom::new().fill(&mut salt).map_err(|_| anyhow::anyhow!("no random numbers"))?;
    let mut hash = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, &salt, pin.as_bytes(), &mut hash);
    Ok(format!("{}:{}", hex(&salt), hex(&hash)))
}

impl Desk {
    /// # Errors
    /// A PIN that `aisled pin` did not print.
    pub fn new(staff: &[Staff]) -> Result<Self> {
        let read = |staff: &Staff| {
            let parts = staff.pin.split_once(':').and_then(|(salt, hash)| Some((unhex(salt)?, unhex(hash)?)));
            let (salt, hash) =
                parts.with_context(|| format!("staff {}: pin is not what `aisled pin` prints", staff.id))?;
            Ok((StaffId(staff.id.clone()), staff.name.clone(), salt, hash))
        };
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Ok(Self {
            staff: staff.iter().map(read).collect::<Result<_>>()?,
            key: key.map_err(|_| anyhow::anyhow!("no random numbers"))?,
            guesses: Semaphore::new(2),
        })
    }

    /// Token, staff number and name; wrong guesses are slow, and not many at once.
    pub async fn login(&self, pin: &str) -> Option<(String, StaffId, String)> {
        let _turn = self.guesses.acquire().await.ok()?;
        let matches = |(_, _, salt, hash): &&(StaffId, String, Vec<u8>, Vec<u8>)| {
            pbkdf2::verify(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, salt, pin.as_bytes(), hash).is_ok()
        };
        let found = tokio::task::block_in_place(|| self.staff.iter().find(matches));
        let Some((id, name, ..)) = found else {
            tokio::time::sleep(WRONG).await;
            return None;
        };
        let claim = format!("{id}.{}", now() + VALID_S);
        let token = format!("{claim}.{}", hex(hmac::sign(&self.key, claim.as_bytes()).as_ref()));
        Some((token, id.clone(), name.clone()))
    }

    /// Whose token this is, while it is valid.
    pub fn staff_of(&self, token: &str) -> Option<StaffId> {
        let (claim, tag) = token.rsplit_once('.')?;
        hmac::verify(&self.key, claim.as_bytes(), &unhex(tag)?).ok()?;
        let (id, until) = claim.rsplit_once('.')?;
        (until.parse::<u64>().ok()? > now()).then(|| StaffId(id.into()))
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_pin_opens_a_shift_and_nothing_else_does() {
        let staff = Staff { id: "s-1".into(), name: "Li".into(), pin: stored("2468").unwrap() };
        let desk = Desk::new(&[staff]).unwrap();
        assert!(desk.login("1357").await.is_none());
        let (token, id, _) = desk.login("2468").await.unwrap();
        assert_eq!(desk.staff_of(&token), Some(id));
        assert_eq!(desk.staff_of(&token.replace("s-1", "s-2")), None);
        assert_eq!(desk.staff_of("s-1.9999999999.00"), None);
    }
}
