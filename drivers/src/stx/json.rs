//! A frame of POS integrado, or of that family, told as JSON.

use super::frame::{self, Check, NEXI, TRANSBANK, Unwrapped};
use super::message::{self, Message};
use crate::decode::{told, unreadable};
use serde_json::{Map, Value, json};

/// A frame, or a single ACK or NAK. The context names another rule for the check byte: `nexi`, or the seed in hexadecimal.
#[must_use]
pub fn to_json(bytes: &[u8], context: Option<&str>) -> Value {
    let check = match context {
        None | Some("transbank") => TRANSBANK,
        Some("nexi") => NEXI,
        Some(seed) => match u8::from_str_radix(seed, 16) {
            Ok(seed) => Check { seed, ..TRANSBANK },
            Err(_) => return unreadable("context must be transbank, nexi or a seed such as 7F"),
        },
    };
    match bytes {
        [frame::ACK] => told(control("ACK"), None),
        [frame::NAK] => told(control("NAK"), None),
        [frame::STX, ..] => match frame::unwrap(bytes, check) {
            (Unwrapped::Text(text), used) => {
                let mut fields = fields(&frame::text(&text));
                if used < bytes.len() {
                    fields.insert("trailing_bytes".into(), json!(bytes.len() - used));
                }
                fields.insert("lrc".into(), json!(format!("{:02X}", check.of(&text))));
                told(fields, None)
            }
            (Unwrapped::Damaged, used) => {
                let sum = bytes.get(used.saturating_sub(1)).copied().unwrap_or(0);
                let text = bytes.get(1..used.saturating_sub(2)).unwrap_or(&[]);
                let wanted = check.of(text);
                told(fields(&frame::text(text)), Some(format!("LRC {sum:02X}, but {wanted:02X} is right")))
            }
            (Unwrapped::Incomplete, _) => unreadable("incomplete: ETX and its LRC are missing"),
        },
        _ => unreadable("no STX"),
    }
}

fn control(name: &str) -> Map<String, Value> {
    [("ctrl".to_owned(), json!(name))].into_iter().collect()
}

/// Fields by the message's number; what it holds of a card number or an account is left out.
fn fields(text: &str) -> Map<String, Value> {
    let message = Message::of(text, '|');
    let mut told = control(message.kind());
    told.insert("data".into(), json!(data(&message, text)));
    let mut tell = |name: &str, value: Value| {
        if value != json!("") && !value.is_null() {
            told.insert(name.into(), value);
        }
    };
    let words = |at: usize| json!(crate::digits::hide(message.field(at)));
    let number = |at: usize| message::number(message.field(at)).map_or(Value::Null, |number| json!(number));
    match message.kind() {
        "0200" | "0270" => {
            tell("amount_minor", number(1));
            tell("currency", json!("CLP"));
            tell("ticket", words(2));
        }
        "0210" | "0271" | "0260" | "0261" => {
            // The details of a day (0261) name no instalments before the card.
            let shift = if message.kind() == "0261" { 2 } else { 0 };
            tell("merchant", words(2));
            tell("terminal_id", words(3));
            tell("ticket", words(4));
            tell("auth", words(5));
            tell("amount_minor", number(6));
            tell("currency", json!("CLP"));
            let digits = message.field(9 - shift);
            if digits.len() == 4 && message::number(digits).is_some() {
                tell("pan_masked", json!(format!("************{digits}")));
            }
            tell("trace", number(10 - shift));
            tell("receipt_no", number(10 - shift));
            tell("card_type", words(11 - shift));
            tell("card_name", words(14 - shift));
            tell("date", words(15 - shift));
            tell("time", words(16 - shift));
        }
        "0510" | "0810" => {
            tell("merchant", words(2));
            tell("terminal_id", words(3));
        }
        "0710" => {
            tell("count", number(2));
            tell("amount_minor", number(3));
            tell("currency", json!("CLP"));
        }
        "1200" => tell("trace", number(1)),
        "1210" => {
            tell("merchant", words(2));
            tell("terminal_id", words(3));
            tell("auth", words(4));
            tell("trace", number(5));
        }
        _ => {}
    }
    if let Some(code) = answer(message.kind()).then(|| message.code(1)).flatten() {
        tell("result_code", if code == 0 { json!(0) } else { json!(format!("{code:02}")) });
        if let Some((zh, en)) = message::meaning(code) {
            tell("text", json!(en));
            tell("text_zh", json!(zh));
        }
    }
    told
}

fn answer(kind: &str) -> bool {
    matches!(kind, "0210" | "0260" | "0261" | "0271" | "0510" | "0710" | "0810" | "0900" | "1210")
}

/// The text as sent, but for the number of an account and what looks like a card's.
fn data(message: &Message<'_>, text: &str) -> String {
    let account = match message.kind() {
        "0210" | "0260" | "0271" => 13,
        "0261" => 11,
        _ => return crate::digits::hide(text),
    };
    let shown = text.split('|').enumerate().map(|(at, field)| if at == account { "" } else { field });
    crate::digits::hide(&shown.collect::<Vec<_>>().join("|"))
}
