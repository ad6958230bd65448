//! A pole one can read: rows of text, or digits with lamps.

use crate::Out;
use crate::options;
use crate::sim::{Sim, SimIn};
use checkout::words::Mono;
use encoding_rs::GB18030;
use serde::Deserialize;
use serde_json::{Value, json};

const HEARD_MAX: usize = 256;

/// Has no verbs: one only looks at it.
#[derive(Debug, Default)]
pub struct PoleSim {
    heard: Vec<u8>,
    upper: String,
    lower: String,
    lamps: String,
    shown: u64,
}

impl PoleSim {
    pub fn build(options: &Value) -> Result<Box<dyn Sim>, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Nothing {}
        let Nothing {} = options::parse(options)?;
        Ok(Box::new(Self::default()))
    }

    fn hears(&mut self, byte: u8) {
        if self.heard.len() >= HEARD_MAX {
            self.heard.clear();
        }
        self.heard.push(byte);
        match self.heard.as_slice() {
            [0x0C] | [0x1B, b'@'] => {
                self.upper.clear();
                self.lower.clear();
            }
            [0x1B, b'Q', row @ (b'A' | b'B'), text @ .., b'\r'] => {
                let (text, _) = GB18030.decode_without_bom_handling(text);
                let text = text.trim_end().to_owned();
                self.shown += 1;
                if *row == b'A' {
                    self.upper = text;
                } else {
                    self.lower = text;
                }
            }
            [0x02, b'L', lamps @ ..] if lamps.len() == 4 => {
                self.lamps = lamps.iter().map(|lamp| char::from(*lamp)).collect();
            }
            [0x1B] | [0x02] | [0x1B, b'Q', ..] | [0x02, b'L', ..] => return,
            // Where the cursor stands, and how fast the line is.
            [0x1B, b'l', place @ ..] if place.len() < 2 => return,
            [0x02, b'B'] => return,
            _ => {}
        }
        self.heard.clear();
    }
}

impl Sim for PoleSim {
    fn handle(&mut self, _now: Mono, input: SimIn<'_>, _out: &mut Out) {
        match input {
            SimIn::Bytes(bytes) => bytes.iter().for_each(|byte| self.hears(*byte)),
            SimIn::Connected | SimIn::Disconnected | SimIn::Timeout | SimIn::Control(_) => {}
        }
    }

    fn state(&self) -> Value {
        json!({"upper": self.upper, "lower": self.lower, "lamps": self.lamps, "shown": self.shown})
    }
}
