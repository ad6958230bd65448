//! Staff sign in by PIN: stored as salted PBKDF2, answered with a token this process signed.

use crate::config::Staff;
use crate::jws::{hex, unhex};
use anyhow::{Context, Result};
use checkout::page::Attendant;
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
    staff: Vec<Known>,
    key: hmac::Key,
    guesses: Semaphore,
}

#[derive(Debug)]
struct Known {
    by: Attendant,
    name: String,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Known {
    fn knows(&self, pin: &str) -> bool {
        pbkdf2::verify(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, &self.salt, pin.as_bytes(), &self.hash).is_ok()
    }
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
            let by = Attendant { staff: StaffId(staff.id.clone()), role: staff.role };
            Ok(Known { by, name: staff.name.clone(), salt, hash })
        };
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Ok(Self {
            staff: staff.iter().map(read).collect::<Result<_>>()?,
            key: key.map_err(|_| anyhow::anyhow!("no random numbers"))?,
            guesses: Semaphore::new(2),
        })
    }

    /// Whether `pin` is of this very person, who showed a badge; as slow as any guess.
    pub async fn vouch(&self, staff: &StaffId, pin: &str) -> Option<Attendant> {
        let _turn = self.guesses.acquire().await.ok()?;
        let known = self.staff.iter().find(|known| known.by.staff == *staff);
        let right = tokio::task::block_in_place(|| known.filter(|known| known.knows(pin)));
        if right.is_none() {
            tokio::time::sleep(WRONG).await;
        }
        right.map(|known| known.by.clone())
    }

    /// Token, who it is, and the name; wrong guesses are slow, and not many at once.
    pub async fn login(&self, pin: &str) -> Option<(String, Attendant, String)> {
        let _turn = self.guesses.acquire().await.ok()?;
        let found = tokio::task::block_in_place(|| self.staff.iter().find(|known| known.knows(pin)));
        let Some(Known { by, name, .. }) = found else {
            tokio::time::sleep(WRONG).await;
            return None;
        };
        let claim = format!("{}.{}", by.staff, now() + VALID_S);
        let token = format!("{claim}.{}", hex(hmac::sign(&self.key, claim.as_bytes()).as_ref()));
        Some((token, by.clone(), name.clone()))
    }

    /// Whose token this is, while it is valid.
    pub fn staff_of(&self, token: &str) -> Option<Attendant> {
        let (claim, tag) = token.rsplit_once('.')?;
        hmac::verify(&self.key, claim.as_bytes(), &unhex(tag)?).ok()?;
        let (id, until) = claim.rsplit_once('.')?;
        let known = self.staff.iter().find(|known| known.by.staff.0 == id)?;
        (until.parse::<u64>().ok()? > now()).then(|| known.by.clone())
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use checkout::words::Role;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_pin_opens_a_shift_and_nothing_else_does() {
        let staff = Staff {
            id: "s-1".into(),
            name: "Li".into(),
            pin: stored("2468").unwrap(),
            role: Role::Supervisor,
            badge: None,
        };
        let desk = Desk::new(&[staff]).unwrap();
        assert!(desk.login("1357").await.is_none());
        let (token, by, _) = desk.login("2468").await.unwrap();
        assert_eq!(by.role, Role::Supervisor);
        assert_eq!(desk.staff_of(&token), Some(by));
        assert_eq!(desk.staff_of(&token.replace("s-1", "s-2")), None);
        assert!(desk.vouch(&StaffId("s-1".into()), "2468").await.is_some());
        assert!(desk.vouch(&StaffId("s-1".into()), "1357").await.is_none());
        assert!(desk.vouch(&StaffId("s-2".into()), "2468").await.is_none());
        assert_eq!(desk.staff_of("s-1.9999999999.00"), None);
    }
}
