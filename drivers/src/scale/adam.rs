//! Adam Equipment scales: `P CR LF`, answered with a line such as `  1.250kg`, and not at all while nothing has changed.

use super::{Dialect, Line, Patience, Question, Reading, Scale, Unit, grams};
use crate::options;
use crate::{Kind, LinkKind, Out, Spec};
use checkout::device::ScaleFault;
use checkout::words::Mono;

pub const SPEC: Spec = Spec {
    name: "scale-adam",
    kind: Kind::Scale,
    links: &[LinkKind::Serial, LinkKind::Tcp],
    caps: &[],
    quirks: &[],
    example: "name = \"scale-1\"\ndriver = \"scale-adam\"\nlink = \"serial:/dev/ttyUSB0?baud=4800\"",
    build: |options| {
        let options: Patience = options::parse(options)?;
        Ok(Box::new(Scale::new(Adam::default(), options.patience_ms)))
    },
};

/// A shopper has lifted the goods long before; a scale silent for longer is off.
const SILENCES_MAX: u8 = 20;

#[derive(Debug, Default)]
pub(super) struct Adam {
    line: Line,
    /// How often it was silent since it last answered: that is its way to say that nothing changed.
    silences: Option<u8>,
}

impl Dialect for Adam {
    fn forget(&mut self) {
        self.line.clear();
    }

    fn ask(&mut self, _: Question, _: Mono, out: &mut Out) -> Option<Reading> {
        out.send(b"P\r\n");
        None
    }

    fn byte(&mut self, byte: u8, _: &mut Out) -> Option<Reading> {
        let reading = read(&self.line.until(b'\n', byte & 0x7F)?)?;
        self.silences = Some(0);
        Some(reading)
    }

    /// An old weight must not price new goods, so the plate is to be cleared: then there is a change to tell.
    fn silence(&mut self) -> Option<Reading> {
        let silences = self.silences.filter(|silences| *silences < SILENCES_MAX)?;
        self.silences = Some(silences + 1);
        Some(Reading::fault(ScaleFault::Unmoved))
    }
}

pub(crate) fn read(line: &str) -> Option<Reading> {
    let line = line.trim();
    let (negative, line) = match line.strip_prefix('-') {
        Some(line) => (true, line),
        None => (false, line.strip_prefix('+').unwrap_or(line)),
    };
    let digits = line.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = Unit::read(line.get(digits.len()..)?)?;
    match (grams(digits.trim(), unit)?, negative) {
        (1.., true) => Some(Reading::fault(ScaleFault::Negative)),
        (grams, _) => Some(Reading::at_rest(grams)),
    }
}
