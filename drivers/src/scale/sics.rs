//! Mettler Toledo scales that speak MT-SICS: `S CR LF`, answered with `S S     100.00 g` once the weight rests.

use super::{Dialect, Line, Live, Patience, Question, Reading, Scale, Unit, grams};
use crate::options;
use crate::{Kind, LinkKind, Out, Spec};
use checkout::device::ScaleFault;
use checkout::words::Mono;

pub const SPEC: Spec = Spec {
    name: "scale-sics",
    kind: Kind::Scale,
    links: &[LinkKind::Serial, LinkKind::Tcp],
    caps: &[],
    quirks: &[],
    example: "name = \"scale-1\"\ndriver = \"scale-sics\"\nlink = \"serial:/dev/ttyUSB0?baud=9600\"",
    build: |options| {
        let options: Patience = options::parse(options)?;
        Ok(Box::new(Scale::new(Sics::default(), options.patience_ms)))
    },
};

#[derive(Debug, Default)]
pub(super) struct Sics {
    line: Line,
}

impl Dialect for Sics {
    fn forget(&mut self) {
        self.line.clear();
    }

    fn ask(&mut self, _: Question, _: Mono, out: &mut Out) -> Option<Reading> {
        out.send(b"S\r\n");
        None
    }

    fn byte(&mut self, byte: u8, _: &mut Out) -> Option<Reading> {
        read(&self.line.until(b'\n', byte & 0x7F)?)
    }
}

/// MT-SICS level 0: `S S` stable, `S D` dynamic, `S I` not now, `S +` over, `S -` under; `ES`, `ET`, `EL` not understood.
pub(crate) fn read(line: &str) -> Option<Reading> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let measured = |value: &str, unit: &str| {
        let (sign, digits) = value.strip_prefix('-').map_or((1, value), |digits| (-1, digits));
        Some(sign * i64::from(grams(digits, Unit::read(unit)?)?))
    };
    Some(match words.as_slice() {
        ["S", "S", value, unit] => match u32::try_from(measured(value, unit)?) {
            Ok(grams) => Reading::at_rest(grams),
            Err(_) => Reading::fault(ScaleFault::Negative),
        },
        ["S", "D", value, unit] => Reading::Live(Live(Some(measured(value, unit)?))),
        ["S", "I"] => Reading::Live(Live(None)),
        ["S", "+"] => Reading::fault(ScaleFault::Over),
        ["S", "-"] => Reading::fault(ScaleFault::Negative),
        ["ES" | "ET" | "EL"] => Reading::fault(ScaleFault::Attention),
        _ => return None,
    })
}
