//! A message of ZVT as JSON, by the field names that its captures use.

use super::bmp::{self, Fields, Tlv, Value as Field};
use super::codec::{self, Context, Fault, Head, Message};
use super::{serial, text};
use crate::decode::{hex, told, unreadable};
use serde_json::{Map, Value, json};

/// One APDU as sent over TCP, or one frame of a serial line. Context `0501` reads a completion as the answer to Status-Enquiry.
#[must_use]
pub fn to_json(frame: &[u8], context: Option<&str>) -> Value {
    let context = match context.map(crate::decode::frame) {
        Some(Ok(running)) if running.starts_with(&[0x05, 0x01]) => Context::StatusEnquiry,
        Some(Err(wrong)) => return unreadable(format!("context: {wrong}")),
        Some(Ok(_)) | None => Context::Any,
    };
    match frame {
        [serial::ACK] => told(line_control("ACK"), None),
        [serial::NAK] => told(line_control("NAK"), None),
        [0x10, 0x02, ..] => match serial::unwrap_frame(frame) {
            (serial::Unwrapped::Apdu(apdu), used) => message(&apdu, frame.len() - used, context),
            (serial::Unwrapped::Damaged, _) => unreadable("the checksum of the serial frame is wrong"),
            (serial::Unwrapped::Incomplete, _) => unreadable("the serial frame is not complete"),
        },
        _ => message(frame, 0, context),
    }
}

fn line_control(name: &str) -> Map<String, Value> {
    [("ctrl".to_owned(), json!(name))].into_iter().collect()
}

fn message(apdu: &[u8], behind: usize, context: Context) -> Value {
    let mut told_fields = Map::new();
    if let [class, instruction, ..] = apdu {
        told_fields.insert("ctrl".into(), json!(format!("{class:02X} {instruction:02X}")));
    }
    let (control, data, trailing, mut error) = match codec::announced(apdu) {
        None => return told(told_fields, Some("incomplete: the header is cut".into())),
        Some((control, length, header)) => {
            told_fields.insert("len".into(), json!(length));
            let body = apdu.get(header..).unwrap_or(&[]);
            match body.split_at_checked(length) {
                Some((data, after)) => (control, data, after.len() + behind, None),
                None => {
                    let wrong = format!("incomplete: {length} bytes announced, {} there", body.len());
                    (control, body, 0, Some(wrong))
                }
            }
        }
    };
    if trailing > 0 {
        told_fields.insert("trailing_bytes".into(), json!(trailing));
    }
    match codec::read(control, data, context) {
        Ok(message) => {
            if let Some((at, tag)) = message.fields.stopped {
                error.get_or_insert(format!("BMP {tag:02X} at byte {at} cannot be read"));
            }
            password(control, data, &mut told_fields);
            head(&message, &mut told_fields);
            fields(&message.fields, &mut told_fields);
        }
        Err(Fault::Head | Fault::Incomplete) => {
            error.get_or_insert("too short for its command".into());
        }
    }
    told(told_fields, error)
}

fn password(control: [u8; 2], data: &[u8], told: &mut Map<String, Value>) {
    if let Some(password) = data.get(..3).filter(|_| codec::begins_with_password(control)) {
        told.insert("password".into(), json!(hex(password)));
    }
}

/// Success is the number 0, anything else the code as the manual lists it.
fn result(code: u8) -> Value {
    if code == 0 { json!(0) } else { json!(format!("{code:02X}")) }
}

fn head(message: &Message, told: &mut Map<String, Value>) {
    let mut tell = |name: &str, value: Value| told.insert(name.into(), value);
    match &message.head {
        Head::Acknowledged => {
            if let [0x84, code] = message.control {
                tell("result_code", result(code));
                if let Some(meaning) = text::refusal(code) {
                    tell("text", json!(meaning.1));
                    tell("text_zh", json!(meaning.0));
                }
            }
        }
        Head::None | Head::Password => {}
        Head::Registration { config, currency } => {
            tell("config_byte", json!(format!("{config:02X}")));
            if *currency != 0 {
                tell("currency", json!(currency));
            }
        }
        Head::Abort(code) => {
            tell("result_code", code.map_or(Value::Null, result));
            if let Some(meaning) = code.and_then(text::result) {
                tell("result_text", json!(meaning.1));
            }
        }
        Head::Intermediate { status, minutes } => {
            tell("status", json!(format!("{status:02X}")));
            tell("timeout_min", json!(minutes));
            let own = codec::block_lines(&message.fields).join("\n");
            if let Some((zh, en)) = text::progress(*status) {
                tell("text", json!(en));
                tell("text_zh", json!(zh));
            } else if !own.is_empty() {
                tell("text", json!(own));
            }
        }
        Head::Line { attribute, text } => {
            tell("attribute", json!(format!("{attribute:02X}")));
            tell("text", json!(text));
        }
        Head::Version { software, status } => {
            if let Some(software) = software {
                tell("sw_version", json!(software));
            }
            if let Some(status) = status {
                tell("terminal_status", json!(format!("{status:02X}")));
            }
        }
        Head::Wait(seconds) => {
            tell("timeout_s", json!(seconds));
        }
    }
}

fn fields(fields: &Fields, told: &mut Map<String, Value>) {
    for (tag, value) in &fields.list {
        match value {
            Field::Bytes(bytes) => {
                let (name, value) = named(*tag, bytes, fields);
                told.insert(name, value);
            }
            Field::Pan(pan) => {
                // As terminals send masked digits: half-byte E.
                told.insert("pan_masked".into(), json!(pan.as_str().replace('*', "E")));
            }
            Field::Withheld => {
                told.insert(format!("bmp_{tag:02X}"), json!("withheld"));
            }
            Field::Container(items) => containers(items, told),
        }
    }
    let lines = codec::block_lines(fields);
    if !lines.is_empty() {
        told.insert("lines".into(), json!(lines.len()));
        told.entry("text").or_insert_with(|| json!(lines.join("\n")));
    }
    if let Some(kind) = fields.container(0x1F07).and_then(<[u8]>::first) {
        told.insert("receipt_type".into(), json!(kind));
    }
    if told.get("trace").is_none_or(|trace| *trace == json!(0))
        && let Some(long) = fields.trace()
    {
        told.insert("trace".into(), json!(long));
    }
    if let Some(id) = fields.container(0x1F44) {
        told.entry("terminal_id").or_insert_with(|| json!(hex(id)));
    }
    if let Some(technology) = fields.container(0x1F12).and_then(<[u8]>::first) {
        told.insert("card_technology".into(), json!(format!("{technology:02X}")));
    }
}

fn named(tag: u8, bytes: &[u8], fields: &Fields) -> (String, Value) {
    let number = || bmp::bcd(bytes).map_or_else(|| json!(hex(bytes)), |number| json!(number));
    let code = || json!(hex(bytes));
    let shown = || json!(fields.text(tag).unwrap_or_default());
    let (name, value) = match tag {
        0x01 => ("timeout_s", number()),
        0x02 => ("max_status_infos", code()),
        0x03 => ("service_byte", code()),
        0x04 => ("amount_minor", number()),
        0x0B => ("trace", number()),
        0x0C => ("time", code()),
        0x0D => ("date", code()),
        0x0E => ("expiry", code()),
        0x17 => ("card_seq", number()),
        0x19 => ("payment_type", code()),
        0x27 => ("result_code", bytes.first().map_or(Value::Null, |code| result(*code))),
        0x29 => ("terminal_id", code()),
        0x2A => ("vu_number", shown()),
        0x37 => ("orig_trace", number()),
        0x3B => ("auth", shown()),
        0x3C => ("additional_text", shown()),
        0x49 => ("currency", number()),
        0x60 => ("totals", totals(bytes)),
        0x87 => ("receipt_no", number()),
        0x88 => ("turnover_no", number()),
        0x8A => ("card_type", code()),
        0x8B => ("card_name", shown()),
        0x8C => ("card_type_op", code()),
        0xA0 => ("result_code_as", code()),
        0xBA => ("aid_par", code()),
        0xF0 => ("display_s", code()),
        0xE1..=0xE8 | 0xF1..=0xF8 => return (format!("line_{}", tag & 0x0F), shown()),
        _ => return (format!("bmp_{tag:02X}"), json!(crate::digits::hide(&hex(bytes)))),
    };
    (name.to_owned(), value)
}

/// Receipts from and to, then for each kind of card a count and a sum (PA00P015, BMP 60).
fn totals(bytes: &[u8]) -> Value {
    const KINDS: [&str; 7] = ["girocard", "jcb", "eurocard", "amex", "visa", "diners", "others"];
    let (receipts, cards) = bytes.split_at_checked(4).unwrap_or((bytes, &[]));
    let mut told = Map::new();
    let (from, to) = receipts.split_at_checked(2).unwrap_or((receipts, &[]));
    told.insert("receipt_start".into(), json!(bmp::bcd(from)));
    told.insert("receipt_end".into(), json!(bmp::bcd(to)));
    for (kind, card) in KINDS.iter().zip(cards.chunks(7)) {
        let [count, sum @ ..] = card else { continue };
        if card.iter().any(|byte| *byte != 0) {
            told.insert((*kind).into(), json!({"num": bmp::bcd(&[*count]), "total_minor": bmp::bcd(sum)}));
        }
    }
    Value::Object(told)
}

/// Tags of EMV that hold a card number, its track or its check value.
const CARD_TAGS: [u32; 6] = [0x56, 0x57, 0x5A, 0x9F1F, 0x9F20, 0x9F6B];

fn containers(items: &[Tlv], told: &mut Map<String, Value>) {
    for item in items {
        if item.inner.is_empty() && item.tag != 0x07 {
            let name = format!("tlv_{:X}", item.tag);
            let value =
                if CARD_TAGS.contains(&item.tag) { "withheld".into() } else { crate::digits::hide(&hex(&item.value)) };
            told.entry(name).or_insert_with(|| json!(value));
        }
        containers(&item.inner, told);
    }
}
