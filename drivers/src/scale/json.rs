//! One frame of a scale as JSON, for `aisled decode`.

use super::{Dialect, Live, Reading, Unit, adam, cas, dialog06, nci, sics, toledo};
use crate::Out;
use crate::decode::{told, unreadable};
use checkout::device::{ScaleFault, Weight};
use serde_json::{Map, Value, json};

/// What the dialect makes of the frame.
fn by(mut dialect: impl Dialect, frame: &[u8]) -> Value {
    let mut out = Out::default();
    let reading = frame.iter().filter_map(|byte| dialect.byte(*byte, &mut out)).last();
    reading.map_or_else(|| unreadable("not a whole frame of this scale"), |reading| told(fields(reading), None))
}

fn fields(reading: Reading) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.into(), value);
    match reading {
        Reading::Live(Live(grams)) => {
            put("stable", json!(false));
            put("status", json!("moving"));
            if let Some(grams) = grams {
                put("live_weight_g", json!(grams));
            }
        }
        Reading::Settled(Weight::Stable(grams)) => {
            put("stable", json!(true));
            put("weight_g", json!(grams.0));
        }
        Reading::Settled(Weight::Priced { net, unit_price, total }) => {
            put("stable", json!(true));
            put("weight_g", json!(net.0));
            put("unit_price_minor", json!(unit_price.0));
            put("total_minor", json!(total.0));
        }
        Reading::Settled(Weight::Fault(fault)) => {
            put("stable", json!(fault != ScaleFault::Moving));
            put("status", json!(fault));
        }
    }
    fields
}

pub(crate) fn toledo(frame: &[u8], context: Option<&str>) -> Value {
    let unit = context.and_then(Unit::read).unwrap_or(Unit::Kg);
    if frame == b"\x02E\rhello" || frame == b"Ehello" {
        return told(Map::from_iter([("status".to_owned(), json!("echo"))]), None);
    }
    by(toledo::dialect(unit), frame)
}

pub(crate) fn nci(frame: &[u8], _: Option<&str>) -> Value {
    by(nci::Nci::default(), frame)
}

pub(crate) fn cas(frame: &[u8], _: Option<&str>) -> Value {
    by(cas::dialect(), frame)
}

pub(crate) fn adam(frame: &[u8], _: Option<&str>) -> Value {
    by(adam::Adam::default(), &[frame, b"\n"].concat())
}

pub(crate) fn sics(frame: &[u8], _: Option<&str>) -> Value {
    by(sics::Sics::default(), frame)
}

/// Records of both sides; the status code of record 09 as the scale tells it.
pub(crate) fn dialog06(frame: &[u8], _: Option<&str>) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.into(), value);
    match frame {
        [0x06] => put("ctrl", json!("ACK")),
        [0x15] => put("ctrl", json!("NAK")),
        [0x04, 0x05] => put("ctrl", json!("ENQ")),
        [0x04] => put("ctrl", json!("EOT")),
        [0x02, record @ .., 0x03] | [0x04, 0x02, record @ .., 0x03] => {
            let Ok(text) = core::str::from_utf8(record) else { return unreadable("not a record of Dialog 06") };
            let parts: Vec<&str> = text.split('\u{1b}').collect();
            put("ctrl", json!(parts.first()));
            match (dialog06::read(record), parts.as_slice()) {
                (Some(dialog06::Said::Priced { net, unit_price, total }), _) => {
                    put("weight_g", json!(net.0));
                    put("unit_price_minor", json!(unit_price.0));
                    put("total_minor", json!(total.0));
                    put("stable", json!(true))
                }
                (Some(dialog06::Said::Status(code)), _) => {
                    put("fault", json!(dialog06::fault(code)));
                    put("status", json!(code.map(char::from).iter().collect::<String>()))
                }
                (Some(dialog06::Said::Challenge(z)), _) => put("checksum_request_z", json!(format!("{z:02X}"))),
                (Some(dialog06::Said::Accepted), _) => put("checksum_accepted", json!(true)),
                (Some(dialog06::Said::Rejected), _) => put("checksum_accepted", json!(false)),
                (_, ["01" | "03" | "04" | "05", price, rest @ ..]) => {
                    let number = |text: &str| text.parse::<u64>().ok();
                    let Some(price) = number(price) else { return unreadable("a price that is no number") };
                    put("unit_price_minor", json!(price));
                    match (parts.first(), rest) {
                        (Some(&("03" | "05")), [tare, ..]) => put("tare_g", json!(number(tare))),
                        _ => None,
                    }
                }
                (_, ["08"]) => put("text", json!("status request")),
                (_, ["10", _]) => put("text", json!("checksums")),
                _ => return unreadable("no record of Dialog 06"),
            }
        }
        _ => return unreadable("not a whole record of Dialog 06"),
    };
    told(fields, None)
}
