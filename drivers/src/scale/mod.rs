//! What all scales have in common: a question, patience while the plate moves, one answer. A dialect knows the bytes.

pub mod adam;
pub mod cas;
pub mod dialog06;
pub(crate) mod json;
pub mod nci;
pub mod sics;
mod sim;
pub mod toledo;

pub use sim::ScaleSim;

use crate::{Driver, In, Out};
use checkout::device::{DeviceCommand, DeviceEvent, ScaleFault, Weight};
use checkout::words::{Grams, Money, Mono};
use serde::Deserialize;

const POLL_MS: u64 = 150;
/// A scale that has not answered one question for so long is asked again, and then given up.
const ANSWER_MS: u64 = 600;
const ASKED_MAX: u32 = 3;
pub(crate) const PATIENCE_MS: u64 = 3_000;

/// What the till wants weighed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    pub unit_price: Money,
    pub tare: Grams,
}

/// What one frame of a scale says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// A weight, or why there is none.
    Settled(Weight),
    /// In motion. It prices nothing, so it never becomes a [`Weight`].
    Live(Live),
}

/// A reading in motion, in grams where the scale tells one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Live(pub Option<i64>);

impl Reading {
    pub(crate) const fn fault(fault: ScaleFault) -> Self {
        Self::Settled(Weight::Fault(fault))
    }

    /// A weight at rest: nothing on the plate is no weight.
    pub(crate) const fn at_rest(grams: u32) -> Self {
        match grams {
            0 => Self::fault(ScaleFault::Empty),
            grams => Self::Settled(Weight::Stable(Grams(grams))),
        }
    }
}

/// The bytes of one make of scale.
pub(crate) trait Dialect: Send {
    /// The line is new, or a question begins: what was half read is stale.
    fn forget(&mut self);

    /// Asks; a scale that sends by itself is not asked. Answers for the scale what it could only refuse.
    fn ask(&mut self, question: Question, now: Mono, out: &mut Out) -> Option<Reading>;

    fn byte(&mut self, byte: u8, out: &mut Out) -> Option<Reading>;

    /// What silence means, where it means anything.
    fn silence(&mut self) -> Option<Reading> {
        None
    }
}

/// A driver out of a dialect.
pub(crate) struct Scale<D> {
    dialect: D,
    patience_ms: u64,
    asking: Option<Asking>,
}

#[derive(Clone, Copy)]
struct Asking {
    question: Question,
    until: Mono,
    /// When it is asked again.
    next: Mono,
    /// Questions without answer.
    unanswered: u32,
}

impl<D: Dialect> Scale<D> {
    pub(crate) const fn new(dialect: D, patience_ms: u64) -> Self {
        Self { dialect, patience_ms, asking: None }
    }

    fn ask(&mut self, now: Mono, out: &mut Out) {
        let Some(asking) = &mut self.asking else { return };
        asking.next = now.plus_ms(ANSWER_MS);
        asking.unanswered += 1;
        out.wake_at(asking.next);
        let question = asking.question;
        if let Some(reading) = self.dialect.ask(question, now, out) {
            self.heard(now, reading, out);
        }
    }

    fn heard(&mut self, now: Mono, reading: Reading, out: &mut Out) {
        let Some(asking) = &mut self.asking else { return };
        let weight = match reading {
            Reading::Live(_) if now < asking.until => {
                asking.unanswered = 0;
                asking.next = now.plus_ms(POLL_MS);
                out.wake_at(asking.next);
                return;
            }
            Reading::Live(_) => Weight::Fault(ScaleFault::Moving),
            Reading::Settled(weight) => weight,
        };
        self.asking = None;
        out.event(DeviceEvent::Weight(weight));
    }

    fn due(&mut self, now: Mono, out: &mut Out) {
        let Some(asking) = self.asking else { return };
        if now < asking.next {
            return out.wake_at(asking.next);
        }
        if let Some(reading) = self.dialect.silence() {
            return self.heard(now, reading, out);
        }
        if asking.unanswered >= ASKED_MAX {
            return out.fail("the scale does not answer");
        }
        self.ask(now, out);
    }
}

impl<D: Dialect> Driver for Scale<D> {
    fn handle(&mut self, now: Mono, input: In<'_>, out: &mut Out) {
        match input {
            In::Opened => self.dialect.forget(),
            In::Bytes(bytes) => {
                for byte in bytes {
                    if let Some(reading) = self.dialect.byte(*byte, out) {
                        self.heard(now, reading, out);
                    }
                }
            }
            In::Command(DeviceCommand::ReadWeight { unit_price, tare }) => {
                let question = Question { unit_price: *unit_price, tare: *tare };
                let until = now.plus_ms(self.patience_ms);
                self.asking = Some(Asking { question, until, next: now, unanswered: 0 });
                self.dialect.forget();
                self.ask(now, out);
            }
            In::Command(
                DeviceCommand::Beep(_)
                | DeviceCommand::Trigger(_)
                | DeviceCommand::Show(_)
                | DeviceCommand::Light(_)
                | DeviceCommand::Terminal(_)
                | DeviceCommand::Print(_)
                | DeviceCommand::Face(_),
            ) => {}
            In::Timeout => self.due(now, out),
        }
    }
}

/// Options of scales that need none of their own.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Patience {
    /// How long to wait for a weight to come to rest.
    pub patience_ms: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self { patience_ms: PATIENCE_MS }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unit {
    Kg,
    G,
    Lb,
    Oz,
}

impl Unit {
    pub(crate) fn read(text: &str) -> Option<Self> {
        Some(match text.trim().to_ascii_lowercase().as_str() {
            "kg" => Self::Kg,
            "g" => Self::G,
            "lb" => Self::Lb,
            "oz" => Self::Oz,
            _ => return None,
        })
    }
}

/// `1.230` in the scale's unit to whole grams; at most six digits, more than any shop scale shows.
pub(crate) fn grams(text: &str, unit: Unit) -> Option<u32> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = [whole, part].concat();
    if digits.is_empty() || digits.len() > 6 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let scaled: u64 = digits.parse().ok()?;
    let divisor = 10_u64.checked_pow(u32::try_from(part.len()).ok()?)?;
    // A pound is 453.59237 g by definition, an ounce a sixteenth of it.
    let (grams, per) = match unit {
        Unit::Kg => (scaled * 1000, divisor),
        Unit::G => (scaled, divisor),
        Unit::Lb => (scaled * 45_359_237, divisor * 100_000),
        Unit::Oz => (scaled * 45_359_237, divisor * 1_600_000),
    };
    u32::try_from((grams + per / 2) / per).ok()
}

/// Collects the bytes of one line, at most `MAX`; what is longer is noise.
#[derive(Debug, Default)]
pub(crate) struct Line {
    bytes: Vec<u8>,
    overlong: bool,
}

impl Line {
    const MAX: usize = 48;

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.overlong = false;
    }

    /// The line without its end, when `byte` is that end.
    pub(crate) fn until(&mut self, end: u8, byte: u8) -> Option<String> {
        if byte == end {
            let (bytes, overlong) = (core::mem::take(&mut self.bytes), core::mem::take(&mut self.overlong));
            return String::from_utf8(bytes).ok().filter(|_| !overlong);
        }
        if self.bytes.len() < Self::MAX {
            self.bytes.push(byte);
        } else {
            self.overlong = true;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_become_whole_grams() {
        assert_eq!(grams("001.00", Unit::Lb), Some(454));
        assert_eq!(grams("002.20", Unit::Lb), Some(998));
        assert_eq!(grams("100.00", Unit::G), Some(100));
        assert_eq!(grams("16.0", Unit::Oz), Some(454));
        assert_eq!(grams("1234567", Unit::Kg), None);
        assert_eq!(grams("", Unit::Kg), None);
    }
}
