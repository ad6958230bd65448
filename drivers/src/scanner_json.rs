//! One frame of a scanner or display as JSON, for `aisled decode`. A wallet code is as good as money: its middle is not told.

use crate::decode::{told, unreadable};
use crate::scanner_hid;
use crate::scanner_line::symbol;
use crate::scanner_ssi::{checksum, symbology};
use crate::{Driver, In, Out};
use checkout::device::{DeviceEvent, Scan};
use checkout::words::Mono;
use serde_json::{Map, Value, json};

fn fields(scan: &Scan) -> Map<String, Value> {
    let mut fields = Map::new();
    if let Some(aim) = scan.aim {
        fields.insert("aim".into(), json!(aim.map(char::from).iter().collect::<String>()));
    }
    fields.insert("data".into(), json!(masked(&String::from_utf8_lossy(&scan.data))));
    fields
}

/// Codes that may be a wallet's keep their first two and last two digits.
pub(crate) fn masked(data: &str) -> String {
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| data.starts_with(prefix));
    let digits = data.len() >= 16 && data.len() <= 24 && data.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits && begins(&["10", "11", "12", "13", "14", "15", "25", "26", "27", "28", "29", "30", "62"]);
    let face = data.starts_with("fp") && data.len() > 8;
    if !(number || face) {
        return data.to_owned();
    }
    let hidden = |(at, character): (usize, char)| if at < 2 || at + 2 >= data.len() { character } else { '*' };
    data.char_indices().map(hidden).collect()
}

pub(crate) fn line(frame: &[u8], _: Option<&str>) -> Value {
    let ends = frame.iter().rev().take_while(|byte| matches!(byte, b'\r' | b'\n' | b'\t')).count();
    match frame {
        b"\x16T\r" => return command("trigger on"),
        b"\x16U\r" => return command("trigger off"),
        b"\x16\x07\r" => return command("beep"),
        _ => {}
    }
    let found = frame.get(..frame.len() - ends).and_then(symbol);
    found.map_or_else(|| unreadable("bytes that no symbol holds"), |scan| told(fields(&scan), None))
}

fn command(text: &str) -> Value {
    told(Map::from_iter([("text".to_owned(), json!(text))]), None)
}

/// SSI packets of either side.
pub(crate) fn ssi(frame: &[u8], _: Option<&str>) -> Value {
    let [length, opcode, source, status, ..] = frame else { return unreadable("shorter than a packet") };
    let mut fields = Map::new();
    fields.insert("ctrl".into(), json!(format!("{opcode:02X}")));
    let name = match opcode {
        0xE4 => "start decode",
        0xE5 => "stop decode",
        0xE6 => "beep",
        0xE7 => "led on",
        0xE8 => "led off",
        0xE9 => "scan disable",
        0xEA => "scan enable",
        0xC6 => "param send",
        0xC7 => "param request",
        0xD0 => "ack",
        0xD1 => "nak",
        0xF3 => "decode data",
        0xF6 => "event",
        0xA3 => "request revision",
        _ => "unknown",
    };
    fields.insert("text".into(), json!(name));
    fields.insert("source".into(), json!(if *source == 0 { "decoder" } else { "host" }));
    fields.insert("more".into(), json!(status & 2 != 0));
    let (Some(body), Some(sum)) = (frame.get(..usize::from(*length)), frame.get(usize::from(*length)..)) else {
        return told(fields, Some("the length does not fit".into()));
    };
    if checksum(body).to_be_bytes() != *sum {
        return told(fields, Some("wrong checksum or length".into()));
    }
    if let [_, 0xF3, _, _, kind, data @ ..] = body {
        let (aim, before) = symbology(*kind);
        if let Some(scan) = symbol(&[before.as_bytes(), data].concat()) {
            fields.extend(self::fields(&Scan { aim: scan.aim.or(aim), data: scan.data }));
        }
    }
    told(fields, None)
}

/// HID POS reports; context `newland` for readers that leave the AIM identifier out.
pub(crate) fn hid(frame: &[u8], context: Option<&str>) -> Value {
    match scanner_hid::told(frame, context == Some("newland")) {
        Some((Some(scan), more)) => {
            let mut fields = fields(&scan);
            fields.insert("more".into(), json!(more));
            told(fields, None)
        }
        Some((None, _)) => unreadable("bytes that no symbol holds"),
        None => unreadable("not a report of 64 bytes that begins with 02 and a length"),
    }
}

/// Input events of 24 bytes each; context: the layout.
pub(crate) fn keys(frame: &[u8], context: Option<&str>) -> Value {
    let options = json!({"layout": context.unwrap_or("us")});
    let mut driver: Box<dyn Driver> = match (crate::scanner_keys::SPEC.build)(&options) {
        Ok(driver) => driver,
        Err(wrong) => return unreadable(wrong),
    };
    let mut out = Out::default();
    driver.handle(Mono(0), In::Bytes(frame), &mut out);
    match out.events.as_slice() {
        [DeviceEvent::Scan(scan), ..] => told(fields(scan), None),
        _ => unreadable("no whole code in these events"),
    }
}
