//! What a pole is told, as JSON: a command each.

use crate::decode::{hex, told, unreadable};
use encoding_rs::GB18030;
use serde_json::{Map, Value, json};

/// One command of either kind of pole.
#[must_use]
pub fn to_json(bytes: &[u8], _context: Option<&str>) -> Value {
    let mut fields = Map::new();
    let ctrl = match bytes {
        [0x1B, b'@'] => "INIT",
        [0x0C] => "CLEAR",
        [0x1B, b'Q', row @ (b'A' | b'B'), text @ .., b'\r'] => {
            let (text, _) = GB18030.decode_without_bom_handling(text);
            fields.insert("text".into(), json!(crate::digits::hide(&text)));
            if *row == b'A' { "UPPER" } else { "LOWER" }
        }
        [0x1B, b'l', column, row] => {
            fields.insert("column".into(), json!(column));
            fields.insert("row".into(), json!(row));
            "CURSOR"
        }
        [0x02, b'L', lamps @ ..] if lamps.len() == 4 && lamps.iter().all(|lamp| matches!(lamp, b'0' | b'1')) => {
            let lit = ["price", "total", "collect", "change"].iter().zip(lamps).filter(|(_, lamp)| **lamp == b'1');
            fields.insert("lamps".into(), json!(lit.map(|(name, _)| *name).collect::<Vec<_>>()));
            "LAMPS"
        }
        [0x02, b'B', speed] => {
            fields.insert("speed".into(), json!(char::from(*speed).to_string()));
            "BAUD"
        }
        _ => return unreadable(format!("{} is no command of a pole", hex(bytes.get(..8).unwrap_or(bytes)))),
    };
    fields.insert("ctrl".into(), json!(ctrl));
    told(fields, None)
}
