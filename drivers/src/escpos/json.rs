//! A stretch of ESC/POS as JSON, for `aisled decode`: what it prints, and what else it asks for.

use super::render::{Item, Paper, next};
use crate::decode::told;
use serde_json::{Map, Value, json};

/// One status byte of the printer, or commands for it; the context is the columns of the paper.
pub fn to_json(frame: &[u8], context: Option<&str>) -> Value {
    let columns = context.and_then(|columns| columns.parse().ok()).unwrap_or(48);
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.into(), value);
    match frame {
        [status] if status & 0x93 == 0x12 => {
            put("status", json!(format!("{status:02X}")));
            put("paper_out", json!(status & 0x60 == 0x60));
            put("paper_low", json!(status & 0x0C == 0x0C));
            return told(fields, None);
        }
        [first, _, paper, _] if first & 0x93 == 0x10 && frame.iter().skip(1).all(|byte| byte & 0x90 == 0) => {
            put("automatic_status", json!(true));
            put("offline", json!(first & 0x08 != 0));
            put("cover_open", json!(first & 0x20 != 0));
            put("paper_out", json!(paper & 0x0C != 0));
            put("paper_low", json!(paper & 0x03 != 0));
            return told(fields, None);
        }
        _ => {}
    }
    let (mut rest, mut paper, mut drawer, mut cuts, mut asks) = (frame, Paper::default(), 0_u32, 0_u32, Vec::new());
    while let Some((item, used)) = next(rest, paper.chinese()) {
        drawer += u32::from(matches!(item, Item::Drawer(_)));
        cuts += u32::from(item == Item::Cut);
        if let Item::Status(which) = item {
            asks.push(format!("DLE EOT {which}"));
        }
        if let Item::Confirm(which) = item {
            asks.push(format!("GS r {which}"));
        }
        paper.put(&item);
        rest = rest.get(used..).unwrap_or(&[]);
    }
    put("text", json!(paper.text(columns)));
    put("drawer_kicks", json!(drawer));
    put("cuts", json!(cuts));
    put("asks", json!(asks));
    let error = (!rest.is_empty()).then(|| format!("{} bytes of an unfinished command at the end", rest.len()));
    told(fields, error)
}
