//! Bytes on device lines for people who look (`--trace-wire`): hexadecimal and text, card numbers masked.

use checkout::words::DeviceId;
use std::sync::atomic::{AtomicBool, Ordering};

static ON: AtomicBool = AtomicBool::new(false);

/// Shortest and longest card number (ISO/IEC 7812-1).
const PAN: std::ops::RangeInclusive<usize> = 13..=19;

/// Shortest and longest wallet code.
const WALLET: std::ops::RangeInclusive<usize> = 16..=24;

pub fn switch_on() {
    ON.store(true, Ordering::Relaxed);
}

/// `to_device`: ECR to device, else the other way.
pub(crate) fn trace(device: &DeviceId, to_device: bool, bytes: &[u8]) {
    if ON.load(Ordering::Relaxed) && !bytes.is_empty() {
        let arrow = if to_device { "ecr > device" } else { "device > ecr" };
        tracing::info!(target: "wire", %device, "{arrow} {}", masked(bytes));
    }
}

/// Upper-case hexadecimal in pairs; the middle of whatever may be a card number, packed (BCD) or as text, is `**`.
#[must_use]
pub fn masked(bytes: &[u8]) -> String {
    let mut hidden = vec![false; bytes.len()];
    let nibbles: Vec<u8> = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).collect();
    hide(&nibbles, |nibble| (nibble < 10).then_some(nibble), |at| at / 2, &mut hidden);
    hide(bytes, |byte| byte.is_ascii_digit().then(|| byte - b'0'), |at| at, &mut hidden);
    let text = |(byte, hidden): (&u8, &bool)| if *hidden { "**".into() } else { format!("{byte:02X}") };
    bytes.iter().zip(&hidden).map(text).collect::<Vec<String>>().join(" ")
}

/// The bytes with card numbers and wallet codes set to nought behind their first two digits, for files that somebody may
/// send on. A whole run of digits is judged, and GTINs are shorter than any: goods stay readable.
#[must_use]
pub(crate) fn blotted(bytes: &[u8]) -> Vec<u8> {
    let mut told = Vec::with_capacity(bytes.len());
    for run in bytes.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit()) {
        if is_private(run) {
            told.extend(&run[..2]);
            told.resize(told.len() + run.len() - 2, b'0');
        } else {
            told.extend(run);
        }
    }
    told
}

fn is_private(run: &[u8]) -> bool {
    let digits: Vec<u8> = run.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| byte - b'0').collect();
    if digits.len() != run.len() {
        return false;
    }
    let wallet = matches!(digits.as_slice(), [1, 0..=5, ..] | [2, 5..=9, ..] | [3, 0, ..] | [6, 2, ..]);
    let card = (15..=*PAN.end()).contains(&digits.len()) && (3..=6).contains(&digits[0]) && luhn(&digits);
    wallet && WALLET.contains(&digits.len()) || card
}

fn hide(symbols: &[u8], digit: impl Fn(u8) -> Option<u8>, byte_of: impl Fn(usize) -> usize, hidden: &mut [bool]) {
    for start in 0..symbols.len() {
        let digits: Vec<u8> = symbols[start..].iter().take(*PAN.end()).map_while(|symbol| digit(*symbol)).collect();
        for length in PAN.filter(|length| *length <= digits.len()) {
            if luhn(&digits[..length]) && (3..=6).contains(&digits[0]) {
                let middle = byte_of(start + 6)..byte_of(start + length - 4);
                hidden[middle].fill(true);
            }
        }
    }
}

fn luhn(digits: &[u8]) -> bool {
    let doubled = |digit: u8| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let weigh = |(at, digit): (usize, &u8)| u32::from(if at % 2 == 1 { doubled(*digit) } else { *digit });
    digits.iter().rev().enumerate().map(weigh).sum::<u32>().is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_number_is_masked_packed_and_as_text() {
        let packed = [0x04, 0x0F, 0x22, 0xF0, 0xF8, 0x41, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x27, 0x00];
        let shown = masked(&packed);
        assert!(shown.contains("41 11 11 ** ** ** 11 11") || shown.matches("**").count() >= 3, "{shown}");
        assert!(masked(b"PAN 4111111111111111 OK").matches("**").count() >= 6);
        assert_eq!(masked(&[0x06, 0x01, 0x0A]), "06 01 0A");
    }
}
