//! What card terminals of every protocol tell the core, and the names under which they know our payments.

use crate::Out;
use checkout::device::{CardOutcome, DeviceEvent, LastPayment, TerminalCommand, TerminalEvent, TerminalService};
use checkout::words::{Money, Name, TenderId};
use ring::digest;

/// As many capital letters and digits as are wanted (up to 24), drawn from the tender: the same after a crash, another for
/// each `turn`.
pub(crate) fn alias(tender: &TenderId, turn: u64, length: usize) -> String {
    const DIGITS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut drawn = numbers(tender, turn);
    let mut alias = String::new();
    for place in 0..length.min(24) {
        let Some(number) = drawn.get_mut(place / 12) else { break };
        let digit = usize::try_from(*number % 36).unwrap_or(0);
        alias.push(DIGITS.get(digit).map_or('0', |digit| char::from(*digit)));
        *number /= 36;
    }
    alias
}

fn numbers(tender: &TenderId, turn: u64) -> Vec<u64> {
    let named = format!("{}#{turn}", tender.0);
    let hash = digest::digest(&digest::SHA256, named.as_bytes());
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte));
    hash.as_ref().chunks(8).map(number).collect()
}

/// The number by which the core tells this payment from the one before, where the terminal counts none; never 0.
pub(crate) fn trace(tender: &TenderId) -> u32 {
    let drawn = numbers(tender, 0).first().copied().unwrap_or(0);
    u32::try_from(drawn >> 33).unwrap_or(0).max(1)
}

/// Digits behind the point (ISO 4217).
fn exponent(currency: &str) -> usize {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "VND" | "VUV"
        | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        _ => 2,
    }
}

/// Minor units to the decimal number of the wire, digit by digit.
pub(crate) fn decimal(amount: Money, currency: &str) -> Option<String> {
    let minor = u64::try_from(amount.0).ok().filter(|minor| *minor > 0)?;
    let places = exponent(currency);
    let digits = format!("{minor:0>width$}", width = places + 1);
    let (whole, part) = digits.split_at_checked(digits.len() - places)?;
    Some(if part.is_empty() { whole.to_owned() } else { format!("{whole}.{part}") })
}

/// A decimal number to minor units; `None` where it has more places than the currency, or is no such number.
pub(crate) fn minor(text: &str, currency: &str) -> Option<Money> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let places = exponent(currency);
    let part = part.trim_end_matches('0');
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    // Sixteen digits are more than a number of JSON surely keeps.
    if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > places || whole.len() + places > 15 {
        return None;
    }
    format!("{whole}{part:0<places$}").parse().ok().map(Money)
}

pub(crate) fn tell(event: TerminalEvent, out: &mut Out) {
    out.event(DeviceEvent::Terminal(event));
}

/// Words that begin so, in the languages terminals speak.
const SECRETS: [&str; 16] = [
    "pin",
    "nip",
    "passcode",
    "password",
    "passwort",
    "kennwort",
    "geheim",
    "cvv",
    "cvc",
    "cav2",
    "contraseña",
    "clave",
    "codesecret",
    "motdepasse",
    "securitycode",
    "cardnumber",
];
const SECRETS_ZH: [&str; 6] = ["密码", "密碼", "口令", "安全码", "验证码", "卡号"];

/// Whether a text of the terminal's own asks for what is typed at the terminal and nowhere else. One like it on our page
/// would teach shoppers to type it there.
pub(crate) fn asks_for_secret(text: &str) -> bool {
    let narrow = |letter: char| match letter {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(letter) - 0xfee0).unwrap_or(letter),
        _ => letter,
    };
    let text: String = text.chars().map(narrow).flat_map(char::to_lowercase).collect();
    let words: Vec<&str> =
        text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    // Letters set apart (P.I.N.) and words in two are put together again.
    let begins = |at: usize| {
        let joined: String = words.iter().skip(at).take(3).copied().collect();
        SECRETS.iter().any(|secret| joined.starts_with(secret))
    };
    SECRETS_ZH.iter().any(|secret| text.contains(secret)) || (0..words.len()).any(begins)
}

/// The terminal's own words where they may be shown, or where to look.
pub(crate) fn own_words(text: &str) -> Name {
    let text = text.trim();
    if text.is_empty() || asks_for_secret(text) {
        return Name { zh: "请看终端".into(), en: "Please look at the terminal".into() };
    }
    Name { zh: text.into(), en: text.into() }
}

pub(crate) fn progress(tender: &TenderId, text: Name, out: &mut Out) {
    tell(TerminalEvent::Progress { tender: tender.clone(), text }, out);
}

pub(crate) fn answered(tender: &TenderId, outcome: CardOutcome, out: &mut Out) {
    tell(TerminalEvent::Answered { tender: tender.clone(), outcome }, out);
}

pub(crate) fn finished(tender: &TenderId, out: &mut Out) {
    tell(TerminalEvent::Finished { tender: tender.clone() }, out);
}

pub(crate) fn last(tender: &TenderId, last: LastPayment, out: &mut Out) {
    tell(TerminalEvent::Last { tender: tender.clone(), last }, out);
}

pub(crate) fn printed(tender: &TenderId, lines: Vec<String>, out: &mut Out) {
    tell(TerminalEvent::Printed { tender: tender.clone(), lines }, out);
}

pub(crate) fn serviced(tender: &TenderId, service: TerminalService, code: u8, out: &mut Out) {
    tell(TerminalEvent::Serviced { tender: tender.clone(), service, code }, out);
}

/// Refuses what comes while something else is under way; ZVT's word for "please wait".
pub(crate) const BUSY: u8 = 0x9C;

/// What an end of day came to.
pub(crate) fn totals(tender: &TenderId, total: Money, out: &mut Out) {
    tell(TerminalEvent::Totals { tender: tender.clone(), total, count: None }, out);
}

/// It will not be done, and no money moved.
pub(crate) fn refused(command: &TerminalCommand, code: u8, out: &mut Out) {
    match command {
        TerminalCommand::Authorise { tender, .. }
        | TerminalCommand::Refund { tender, .. }
        | TerminalCommand::Reverse { tender, .. } => {
            answered(tender, CardOutcome::Declined { code }, out);
            finished(tender, out);
        }
        TerminalCommand::Query { tender } => last(tender, LastPayment::Unknown, out),
        TerminalCommand::Service { tender, service } => serviced(tender, *service, code, out),
        TerminalCommand::Acknowledge { .. } | TerminalCommand::Abort { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asks_for_a_secret_is_not_repeated_in_any_spelling() {
        for text in [
            "Enter PIN",
            "PIN-Eingabe",
            "p. i. n.",
            "ＰＩＮ",
            "Your pass word",
            "请在屏幕上输入密码",
            "Code secret ?",
            "Card number:",
        ] {
            assert!(asks_for_secret(text), "{text}");
            assert_eq!(own_words(text).en, "Please look at the terminal");
        }
        for text in ["Insert or tap your card", "Shopping bag?", "请插卡", "Spin the wheel", ""] {
            assert!(!asks_for_secret(text), "{text}");
        }
        assert_eq!(own_words(" Insert card ").en, "Insert card");
    }

    #[test]
    fn aliases_follow_from_the_tender_and_differ() {
        let alias = |tender: &str, turn, length| alias(&tender.into(), turn, length);
        assert_eq!(alias("t.1", 0, 6), alias("t.1", 0, 6));
        assert_ne!(alias("t.1", 0, 6), alias("t.2", 0, 6));
        assert_ne!(alias("t.1", 0, 6), alias("t.1", 1, 6));
        let long = alias("t.1", 0, 24);
        assert!(long.len() == 24 && long.starts_with(&alias("t.1", 0, 6)));
        assert!(long.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase()));
    }
}
