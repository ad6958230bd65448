//! CAS scales in their simple format: `ST,GS,+  1.500kg`, sent without end or when asked.

use super::{Dialect, Line, Live, PATIENCE_MS, Question, Reading, Scale, Unit, grams};
use crate::options;
use crate::{Kind, LinkKind, Out, Spec};
use checkout::device::ScaleFault;
use checkout::words::Mono;
use serde::Deserialize;

pub const SPEC: Spec = Spec {
    name: "scale-cas",
    kind: Kind::Scale,
    links: &[LinkKind::Serial, LinkKind::Tcp],
    caps: &[],
    quirks: &[],
    example: "name = \"scale-1\"\ndriver = \"scale-cas\"\nlink = \"serial:/dev/ttyUSB0?baud=9600\"",
    build: |options| {
        let options: Options = options::parse(options)?;
        if options.ask.len() > 8 {
            return Err("ask holds at most 8 characters".into());
        }
        Ok(Box::new(Scale::new(Cas { ask: options.ask.into_bytes(), line: Line::default() }, options.patience_ms)))
    },
};

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// What makes it send one line; empty where it sends by itself.
    ask: String,
    patience_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { ask: String::new(), patience_ms: PATIENCE_MS }
    }
}

pub(super) fn dialect() -> impl Dialect {
    Cas { ask: Vec::new(), line: Line::default() }
}

struct Cas {
    ask: Vec<u8>,
    line: Line,
}

impl Dialect for Cas {
    fn forget(&mut self) {
        self.line.clear();
    }

    fn ask(&mut self, _: Question, _: Mono, out: &mut Out) -> Option<Reading> {
        out.send(&self.ask);
        None
    }

    fn byte(&mut self, byte: u8, _: &mut Out) -> Option<Reading> {
        read(&self.line.until(b'\n', byte & 0x7F)?)
    }
}

/// `ST|US|OL , GS|NT , ± weight unit`
pub(crate) fn read(line: &str) -> Option<Reading> {
    let mut fields = line.trim().splitn(3, ',');
    let (header, kind, rest) = (fields.next()?, fields.next()?, fields.next()?.trim());
    if !matches!(kind, "GS" | "NT") || !matches!(header, "ST" | "US" | "OL") {
        return None;
    }
    if header == "OL" {
        return Some(Reading::fault(ScaleFault::Over));
    }
    let (negative, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest.strip_prefix('+').unwrap_or(rest)),
    };
    let digits = rest.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = Unit::read(rest.get(digits.len()..)?)?;
    let grams = grams(digits.trim(), unit)?;
    Some(match (header, negative && grams > 0) {
        ("US", true) => Reading::Live(Live(Some(-i64::from(grams)))),
        ("US", false) => Reading::Live(Live(Some(i64::from(grams)))),
        (_, true) => Reading::fault(ScaleFault::Negative),
        (_, false) => Reading::at_rest(grams),
    })
}
