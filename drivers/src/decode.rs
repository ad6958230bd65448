//! One frame, told as JSON: what `aisled decode` prints, and what support staff paste into a ticket.
//!
//! Every decoder answers an object with `ok`; `error` says what is wrong and never throws away what could be read before it.
//! Card numbers are truncated, tracks and keys left out.

use serde_json::{Map, Value, json};

/// Reads one frame; the context is what the grammar of the frame depends on, such as ZVT's running command `0501`.
pub type Decode = fn(&[u8], Option<&str>) -> Value;

/// The decoder of each driver that has one, by the driver's name.
pub const DECODERS: &[(&str, Decode)] = &[
    ("zvt", crate::zvt::to_json),
    ("zvt-serial", crate::zvt::to_json),
    ("nexo", crate::nexo::to_json),
    ("transbank", crate::stx::to_json),
    ("codepay", crate::codepay::to_json),
    ("scale-8217", crate::scale::json::toledo),
    ("scale-nci", crate::scale::json::nci),
    ("scale-dialog06", crate::scale::json::dialog06),
    ("scale-cas", crate::scale::json::cas),
    ("scale-adam", crate::scale::json::adam),
    ("scale-sics", crate::scale::json::sics),
    ("scanner-line", crate::scanner_json::line),
    ("scanner-ssi", crate::scanner_json::ssi),
    ("scanner-hid", crate::scanner_json::hid),
    ("scanner-keys", crate::scanner_json::keys),
    ("escpos", crate::escpos::to_json),
    ("pole-cd5220", crate::display::to_json),
    ("pole-led8n", crate::display::to_json),
];

/// The decoder called `name`, or the only one whose name begins so.
#[must_use]
pub fn decoder(name: &str) -> Option<Decode> {
    let exact = DECODERS.iter().find(|(known, _)| *known == name);
    let mut begun = DECODERS.iter().filter(|(known, _)| known.starts_with(name) && !name.is_empty());
    let only = begun.next().filter(|_| begun.next().is_none());
    exact.or(only).map(|(_, decode)| *decode)
}

/// `hex` pairs, with or without spaces between them.
///
/// # Errors
/// Says what is not hexadecimal.
pub fn frame(hex: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<char> = hex.chars().filter(|c| !c.is_whitespace()).collect();
    if digits.len() % 2 == 1 {
        return Err("an odd number of hexadecimal digits".into());
    }
    let byte = |pair: &[char]| {
        let halves: Option<Vec<u32>> = pair.iter().map(|digit| digit.to_digit(16)).collect();
        u8::try_from(halves?.iter().fold(0, |byte, half| byte * 16 + half)).ok()
    };
    digits
        .chunks(2)
        .map(|pair| byte(pair).ok_or_else(|| format!("{:?} is not hexadecimal", pair.iter().collect::<String>())))
        .collect()
}

/// `fields` with `ok`, and `error` where something is wrong.
#[must_use]
pub fn told(mut fields: Map<String, Value>, error: Option<String>) -> Value {
    fields.insert("ok".into(), json!(error.is_none()));
    if let Some(error) = error {
        fields.insert("error".into(), json!(error));
    }
    Value::Object(fields)
}

/// A frame of which nothing can be read.
#[must_use]
pub fn unreadable(error: impl Into<String>) -> Value {
    told(Map::new(), Some(error.into()))
}

/// Capital hexadecimal digits, as manuals print them.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_is_read_or_its_mistake_told() {
        assert_eq!(frame("06 0f\t00"), Ok(vec![6, 15, 0]));
        assert_eq!(frame(""), Ok(vec![]));
        assert!(frame("060").unwrap_err().contains("odd"));
        assert!(frame("zz").unwrap_err().contains("zz"));
        assert!(
            decoder("zvt").is_some() && decoder("zvt-s").is_some() && decoder("").is_none() && decoder("x").is_none()
        );
    }
}
