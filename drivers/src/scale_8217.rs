//! Shop scales that speak Toledo 8217: asked with `W`, they answer a stable weight or a byte of reasons.

use crate::options;
use crate::sim::{Sim, SimIn};
use crate::{Driver, In, Kind, LinkKind, Out, Spec};
use checkout::device::{DeviceCommand, DeviceEvent, ScaleFault, Weight};
use checkout::words::{Grams, Mono};
use serde::Deserialize;
use serde_json::{Value, json};

pub const SPEC: Spec = Spec {
    name: "scale-8217",
    kind: Kind::Scale,
    links: &[LinkKind::Serial, LinkKind::Tcp],
    caps: &[],
    quirks: &[],
    example: "name = \"scale-1\"\ndriver = \"scale-8217\"\nlink = \"serial:/dev/ttyUSB0?baud=9600&mode=7E1\"",
    build: |options| {
        let options = options::parse(options)?;
        Ok(Box::new(Scale { options, frame: None, asking: None }))
    },
};

const STX: u8 = 0x02;
const CR: u8 = 0x0D;
const FRAME_MAX: usize = 16;
const POLL_MS: u64 = 150;
/// A scale that has not answered one question for so long is asked again, and then given up.
const ANSWER_MS: u64 = 600;
const ASKED_MAX: u32 = 3;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    unit: Unit,
    /// How long to wait for a weight to come to rest.
    patience_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { unit: Unit::Kg, patience_ms: 3_000 }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Unit {
    Kg,
    Lb,
}

struct Scale {
    options: Options,
    /// Bytes behind STX.
    frame: Option<Vec<u8>>,
    asking: Option<Asking>,
}

#[derive(Clone, Copy)]
struct Asking {
    until: Mono,
    /// When the next `W` is due.
    next: Mono,
    /// Questions without answer.
    unanswered: u32,
}

/// What one frame says (Toledo 8217 protocol; bit 7 of the status may be parity).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Weight(Weight),
    Moving,
    /// Not a frame of this protocol.
    Noise,
}

impl Scale {
    fn ask(&mut self, now: Mono, out: &mut Out) {
        self.frame = None;
        out.send(b"W");
        if let Some(asking) = &mut self.asking {
            asking.next = now.plus_ms(ANSWER_MS);
            asking.unanswered += 1;
            out.wake_at(asking.next);
        }
    }

    fn byte(&mut self, now: Mono, byte: u8, out: &mut Out) {
        // The status byte of `? status` may look like any other byte, so it is not taken for one.
        let status_next = self.frame.as_deref() == Some(b"?");
        match (byte & 0x7F, &mut self.frame) {
            (STX, _) if !status_next => self.frame = Some(Vec::new()),
            (CR, Some(frame)) if !status_next => {
                let frame = core::mem::take(frame);
                self.frame = None;
                self.heard(now, read(&frame, self.options.unit), out);
            }
            (seven, Some(frame)) if frame.len() < FRAME_MAX => frame.push(seven),
            (_, Some(_)) => self.frame = None,
            (_, None) => {}
        }
    }

    fn heard(&mut self, now: Mono, reading: Reading, out: &mut Out) {
        let Some(asking) = &mut self.asking else {
            return;
        };
        let weight = match reading {
            Reading::Noise => return,
            Reading::Moving if now < asking.until => {
                asking.unanswered = 0;
                asking.next = now.plus_ms(POLL_MS);
                out.wake_at(asking.next);
                return;
            }
            Reading::Moving => Weight::Fault(ScaleFault::Moving),
            Reading::Weight(weight) => weight,
        };
        self.asking = None;
        out.event(DeviceEvent::Weight(weight));
    }
}

impl Driver for Scale {
    fn handle(&mut self, now: Mono, input: In<'_>, out: &mut Out) {
        match input {
            In::Opened => self.frame = None,
            In::Bytes(bytes) => bytes.iter().for_each(|byte| self.byte(now, *byte, out)),
            In::Command(DeviceCommand::ReadWeight { .. }) => {
                self.asking = Some(Asking { until: now.plus_ms(self.options.patience_ms), next: now, unanswered: 0 });
                self.ask(now, out);
            }
            In::Command(
                DeviceCommand::Beep(_)
                | DeviceCommand::Trigger(_)
                | DeviceCommand::Show(_)
                | DeviceCommand::Light(_)
                | DeviceCommand::Terminal(_)
                | DeviceCommand::Print(_)
                | DeviceCommand::Recognise { .. }
                | DeviceCommand::CancelRecognise { .. },
            ) => {}
            In::Timeout => match self.asking {
                Some(asking) if now < asking.next => out.wake_at(asking.next),
                Some(asking) if asking.unanswered >= ASKED_MAX => {
                    out.fail("the scale does not answer");
                }
                Some(_) => self.ask(now, out),
                None => {}
            },
        }
    }
}

fn read(frame: &[u8], unit: Unit) -> Reading {
    if let [b'?', status] = frame {
        return reasons(status & 0x3F);
    }
    let Ok(text) = core::str::from_utf8(frame) else {
        return Reading::Noise;
    };
    let text = text.trim_matches(' ');
    // `N`: the operator has set a tare, and what is left is what the shopper pays for.
    let number = text.strip_suffix('N').unwrap_or(text);
    match grams(number, unit) {
        None => Reading::Noise,
        Some(0) => Reading::Weight(Weight::Fault(ScaleFault::Empty)),
        Some(grams) => Reading::Weight(Weight::Stable(Grams(grams))),
    }
}

/// One fault per reading: what makes the number worst comes first.
fn reasons(status: u8) -> Reading {
    let on = |bit: u8| status & (1 << bit) != 0;
    let fault = if on(1) {
        ScaleFault::Over
    } else if on(2) {
        ScaleFault::Negative
    } else if on(3) {
        ScaleFault::Attention
    } else if on(0) {
        return Reading::Moving;
    } else if on(4) {
        ScaleFault::Empty
    } else {
        ScaleFault::Attention
    };
    Reading::Weight(Weight::Fault(fault))
}

/// `1.230` in the scale's unit to whole grams; at most five digits, as the protocol has them.
fn grams(text: &str, unit: Unit) -> Option<u32> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = [whole, part].concat();
    if digits.is_empty() || digits.len() > 6 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let scaled: u64 = digits.parse().ok()?;
    let divisor = 10_u64.checked_pow(u32::try_from(part.len()).ok()?)?;
    // A pound is 453.59237 g by definition.
    let (grams, per) = match unit {
        Unit::Kg => (scaled * 1000, divisor),
        Unit::Lb => (scaled * 45_359_237, divisor * 100_000),
    };
    u32::try_from((grams + per / 2) / per).ok()
}

/// A scale that is not there: `{"put": grams}`, `{"moving": true}`, `{"remove": true}`, `{"fault": "over"}`.
#[derive(Debug)]
pub struct ScaleSim {
    grams: i64,
    moving: bool,
    fault: Option<Fault>,
    asked: u64,
    unit: Unit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Zero,
    Dead,
}

const CAPACITY_G: i64 = 15_000;

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SimOptions {
    unit: Unit,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self { unit: Unit::Kg }
    }
}

impl ScaleSim {
    /// Option `unit`.
    pub fn build(options: &Value) -> Result<Box<dyn Sim>, String> {
        let options: SimOptions = options::parse(options)?;
        Ok(Box::new(Self { grams: 0, moving: false, fault: None, asked: 0, unit: options.unit }))
    }

    fn answer(&self) -> Vec<u8> {
        let zero = self.grams == 0;
        let mut status = 0;
        for (on, bit) in [
            (self.moving, 0x01),
            (self.grams > CAPACITY_G, 0x02),
            (self.grams < 0, 0x04),
            (self.fault == Some(Fault::Zero), 0x08),
        ] {
            status |= if on { bit } else { 0 };
        }
        if status != 0 {
            let centre = if zero { 0x10 } else { 0 };
            return vec![0x02, b'?', status | centre, 0x0D];
        }
        let shown = match self.unit {
            Unit::Kg => format!("{:02}.{:03}", self.grams / 1000, self.grams % 1000),
            Unit::Lb => {
                let hundredths = (self.grams * 10_000_000 + 22_679_618) / 45_359_237;
                format!("{:03}.{:02}", hundredths / 100, hundredths % 100)
            }
        };
        let mut frame = vec![0x02];
        frame.extend(shown.bytes());
        frame.push(0x0D);
        frame
    }
}

impl Sim for ScaleSim {
    fn handle(&mut self, _now: Mono, input: SimIn<'_>, out: &mut Out) {
        match input {
            SimIn::Bytes(bytes) => {
                for _ in bytes.iter().filter(|b| **b == b'W') {
                    self.asked += 1;
                    if self.fault != Some(Fault::Dead) {
                        out.send(&self.answer());
                    }
                }
            }
            SimIn::Control(verb) => {
                if let Some(grams) = verb.get("put").and_then(Value::as_i64) {
                    self.grams = grams;
                }
                if verb.get("remove").is_some() {
                    self.grams = 0;
                }
                if let Some(moving) = verb.get("moving").and_then(Value::as_bool) {
                    self.moving = moving;
                }
                match verb.get("fault").and_then(Value::as_str) {
                    Some("none") => self.fault = None,
                    Some("zero") => self.fault = Some(Fault::Zero),
                    Some("dead") => self.fault = Some(Fault::Dead),
                    Some(_) | None => {}
                }
            }
            SimIn::Connected | SimIn::Disconnected | SimIn::Timeout => {}
        }
    }

    fn state(&self) -> Value {
        json!({
            "grams": self.grams,
            "moving": self.moving,
            "fault": match self.fault {
                None => "none",
                Some(Fault::Zero) => "zero",
                Some(Fault::Dead) => "dead",
            },
            "asked": self.asked,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use checkout::words::Money;

    const ASK: DeviceCommand = DeviceCommand::ReadWeight { unit_price: Money::ZERO, tare: Grams(0) };

    fn weigh(frame: &[u8]) -> Vec<DeviceEvent> {
        let mut driver = (SPEC.build)(&Value::Null).expect("options");
        let mut out = Out::default();
        driver.handle(Mono(0), In::Command(&ASK), &mut out);
        assert_eq!(out.bytes, b"W");
        driver.handle(Mono(4_000), In::Bytes(frame), &mut out);
        out.events
    }

    fn fault(fault: ScaleFault) -> Vec<DeviceEvent> {
        vec![DeviceEvent::Weight(Weight::Fault(fault))]
    }

    #[test]
    fn frames_say_a_weight_or_one_fault() {
        let stable = |g| vec![DeviceEvent::Weight(Weight::Stable(Grams(g)))];
        assert_eq!(weigh(b"\x02 01.230\r"), stable(1230));
        assert_eq!(weigh(b"noise\x02?\x0201.230\r\x0200.005\r"), stable(5));
        assert_eq!(weigh(b"\x0200.000\r"), fault(ScaleFault::Empty));
        assert_eq!(weigh(b"\x0201.230N\r"), stable(1230));
        assert_eq!(weigh(b"\x02?\x01\r"), fault(ScaleFault::Moving));
        assert_eq!(weigh(b"\x02?\x02\r"), fault(ScaleFault::Over));
        assert_eq!(weigh(b"\x02?\x04\r"), fault(ScaleFault::Negative));
        assert_eq!(weigh(b"\x02?\x08\r"), fault(ScaleFault::Attention));
        assert_eq!(weigh(b"\x02?\x90\r"), fault(ScaleFault::Empty));
        assert_eq!(weigh(b"\x0212\x0d\x02x\r"), stable(12_000));
        assert_eq!(weigh(b"\x02abc\r"), []);
    }

    #[test]
    fn pounds_become_grams() {
        assert_eq!(grams("001.00", Unit::Lb), Some(454));
        assert_eq!(grams("002.20", Unit::Lb), Some(998));
        assert_eq!(grams("1234567", Unit::Kg), None);
    }

    /// Lets the stand-in and the driver talk until the driver has said something or waits for nothing.
    fn read(driver: &mut dyn Driver, sim: &mut dyn Sim, mut change: impl FnMut(u64, &mut dyn Sim)) -> (u64, Out) {
        let mut now = 0;
        let mut out = Out::default();
        driver.handle(Mono(now), In::Command(&ASK), &mut out);
        loop {
            let mut reply = Out::default();
            sim.handle(Mono(now), SimIn::Bytes(&out.bytes), &mut reply);
            out.bytes.clear();
            driver.handle(Mono(now), In::Bytes(&reply.bytes), &mut out);
            if !out.events.is_empty() || out.failed.is_some() {
                return (now, out);
            }
            now = out.wake_at.expect("a deadline").0;
            change(now, sim);
            driver.handle(Mono(now), In::Timeout, &mut out);
        }
    }

    #[test]
    fn waits_for_rest_but_not_for_ever() {
        let mut sim = ScaleSim::build(&Value::Null).expect("options");
        let mut driver = (SPEC.build)(&Value::Null).expect("options");
        let mut out = Out::default();
        for verb in [json!({"put": 1250}), json!({"moving": true})] {
            sim.handle(Mono(0), SimIn::Control(&verb), &mut out);
        }
        let (at, moving) = read(&mut *driver, &mut *sim, |_, _| {});
        assert_eq!(moving.events, fault(ScaleFault::Moving));
        assert!((3_000..4_000).contains(&at));
        let (at, rested) = read(&mut *driver, &mut *sim, |now, sim| {
            if now > 900 {
                let rest = json!({"moving": false});
                sim.handle(Mono(now), SimIn::Control(&rest), &mut Out::default());
            }
        });
        assert_eq!(rested.events, [DeviceEvent::Weight(Weight::Stable(Grams(1250)))]);
        assert!((900..1_500).contains(&at));
        sim.handle(Mono(0), SimIn::Control(&json!({"fault": "dead"})), &mut out);
        let (_, dead) = read(&mut *driver, &mut *sim, |_, _| {});
        assert!(dead.failed.is_some());
        assert_eq!(sim.state()["grams"], 1250);
    }
}
