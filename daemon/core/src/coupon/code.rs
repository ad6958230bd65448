//! What stands in a coupon's code behind `K-`: `campaign.serial`, with `.mac` behind it where the campaign is signed, and the
//! last day before that (`campaign.serial.2026-12-31.mac`) where the coupon has one of its own. All but the keyed code itself,
//! which boxes and headquarters work out as HMAC-SHA256 under the coupon key they share.

use crate::calendar;
use crate::words::LocalMinute;
use alloc::format;
use alloc::string::String;

/// Ten bytes: nobody guesses 80 bits at a till.
const MAC_BYTES: usize = 10;
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const DAY_MIN: i64 = 24 * 60;

/// The parts of a coupon's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body<'a> {
    pub campaign: &'a str,
    pub serial: &'a str,
    pub last_day: Option<&'a str>,
    pub mac: Option<&'a str>,
}

impl<'a> Body<'a> {
    #[must_use]
    pub fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split('.');
        let (campaign, serial) = (parts.next()?, parts.next()?);
        let (last_day, mac) = match (parts.next(), parts.next()) {
            (last_day @ Some(_), mac @ Some(_)) => (last_day, mac),
            (mac, _) => (None, mac),
        };
        let whole = parts.next().is_none() && !campaign.is_empty() && !serial.is_empty();
        (whole && last_day.is_none_or(|day| calendar::read(day).is_some())).then_some(Self {
            campaign,
            serial,
            last_day,
            mac,
        })
    }

    /// What the keyed code is made of.
    #[must_use]
    pub fn signed_text(&self) -> String {
        match self.last_day {
            Some(day) => format!("{}.{}.{day}", self.campaign, self.serial),
            None => format!("{}.{}", self.campaign, self.serial),
        }
    }

    /// The whole of it, where `mac` signs.
    #[must_use]
    pub fn signed(&self, mac: impl Fn(&str) -> Option<String>) -> Option<String> {
        let text = self.signed_text();
        mac(&text).map(|mac| format!("{text}.{mac}"))
    }

    /// `None`: there is no key to tell by.
    #[must_use]
    pub fn is_genuine(&self, mac: impl Fn(&str) -> Option<String>) -> Option<bool> {
        mac(&self.signed_text()).map(|mac| self.mac == Some(mac.as_str()))
    }

    /// Past the last day of its own.
    #[must_use]
    pub fn is_over(&self, now: LocalMinute) -> bool {
        let last = self.last_day.and_then(calendar::read);
        last.is_some_and(|day| now.0 >= day.0.saturating_add(DAY_MIN))
    }
}

/// The day `days` after `now`, as a code says it.
pub(crate) fn last_day(now: LocalMinute, days: u16) -> String {
    let day = LocalMinute(now.0.saturating_add(i64::from(days).saturating_mul(DAY_MIN)));
    let written = calendar::write(day);
    written.split('T').next().unwrap_or_default().into()
}

/// A keyed code as its letters.
#[must_use]
pub fn mac_word(tag: &[u8]) -> String {
    let mut word = String::new();
    let (mut held, mut bits) = (0_u32, 0_u32);
    for byte in tag.iter().take(MAC_BYTES) {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            let index = usize::try_from((held >> bits) & 31).unwrap_or_default();
            word.extend(BASE32.get(index).copied().map(char::from));
        }
        held &= (1 << bits) - 1;
    }
    word
}

/// A coupon key as it is kept: 64 hexadecimal digits.
#[must_use]
pub fn key(text: &str) -> Option<[u8; 32]> {
    let text = text.trim();
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut key = [0; 32];
    for (index, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_code_are_told_apart_and_what_is_none_is_refused() {
        let body = Body::read("tea.b1-7.2026-12-31.abc").unwrap();
        assert_eq!(
            (body.campaign, body.serial, body.last_day, body.mac),
            ("tea", "b1-7", Some("2026-12-31"), Some("abc"))
        );
        assert_eq!(body.signed_text(), "tea.b1-7.2026-12-31");
        assert_eq!(Body::read("tea.7.abc").unwrap().mac, Some("abc"));
        assert_eq!(Body::read("tea.7").unwrap().mac, None);
        for wrong in ["tea", "tea.", ".7", "tea.7.2026-13-01.abc", "tea.7.2026-12-31.abc.d"] {
            assert_eq!(Body::read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_coupon_is_good_on_its_last_day_and_over_the_minute_after() {
        let body = Body::read("tea.7.2026-12-31.abc").unwrap();
        let midnight = calendar::read("2027-01-01").unwrap();
        assert!(!body.is_over(LocalMinute(midnight.0 - 1)) && body.is_over(midnight));
        assert_eq!(last_day(LocalMinute(midnight.0 - 1), 1), "2027-01-01");
    }

    #[test]
    fn a_mac_is_sixteen_letters_of_base32_and_a_key_is_64_digits() {
        assert_eq!(mac_word(&[0xff; 32]), "7777777777777777");
        assert_eq!(mac_word(b"foobar1234567"), "mzxw6ytboiytemzu", "RFC 4648, in small letters");
        assert_eq!(key(&"0f".repeat(32)), Some([0x0f; 32]));
        for wrong in ["", "0f", &"0g".repeat(32)] {
            assert_eq!(key(wrong), None);
        }
    }
}
