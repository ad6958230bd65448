//! Shop scales that speak Toledo 8217: asked with `W`, they answer a stable weight or a byte of reasons.

use super::{Dialect, Live, PATIENCE_MS, Question, Reading, Scale, Unit, grams};
use crate::options;
use crate::{Kind, LinkKind, Out, Spec};
use checkout::device::ScaleFault;
use checkout::words::Mono;
use serde::Deserialize;

pub const SPEC: Spec = Spec {
    name: "scale-8217",
    kind: Kind::Scale,
    links: &[LinkKind::Serial, LinkKind::Tcp],
    caps: &[],
    quirks: &[],
    example: "name = \"scale-1\"\ndriver = \"scale-8217\"\nlink = \"serial:/dev/ttyUSB0?baud=9600&mode=7E1\"",
    build: |options| {
        let options: Options = options::parse(options)?;
        if !matches!(options.unit, Unit::Kg | Unit::Lb) {
            return Err("unit must be kg or lb".into());
        }
        Ok(Box::new(Scale::new(Toledo { unit: options.unit, frame: None }, options.patience_ms)))
    },
};

const STX: u8 = 0x02;
const CR: u8 = 0x0D;
const FRAME_MAX: usize = 16;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    unit: Unit,
    /// How long to wait for a weight to come to rest.
    patience_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { unit: Unit::Kg, patience_ms: PATIENCE_MS }
    }
}

pub(super) const fn dialect(unit: Unit) -> impl Dialect {
    Toledo { unit, frame: None }
}

struct Toledo {
    unit: Unit,
    /// Bytes behind STX.
    frame: Option<Vec<u8>>,
}

impl Dialect for Toledo {
    fn forget(&mut self) {
        self.frame = None;
    }

    fn ask(&mut self, _: Question, _: Mono, out: &mut Out) -> Option<Reading> {
        self.frame = None;
        out.send(b"W");
        None
    }

    fn byte(&mut self, byte: u8, _: &mut Out) -> Option<Reading> {
        // The status byte of `? status` may look like any other byte, so it is not taken for one.
        let status_next = self.frame.as_deref() == Some(b"?");
        match (byte & 0x7F, &mut self.frame) {
            (STX, _) if !status_next => self.frame = Some(Vec::new()),
            (CR, Some(_)) if !status_next => return read(&self.frame.take()?, self.unit),
            (seven, Some(frame)) if frame.len() < FRAME_MAX => frame.push(seven),
            (_, Some(_)) => self.frame = None,
            (_, None) => {}
        }
        None
    }
}

/// What one frame says (Toledo 8217 protocol; bit 7 of the status may be parity).
pub(crate) fn read(frame: &[u8], unit: Unit) -> Option<Reading> {
    if let [b'?', status] = frame {
        return Some(reasons(status & 0x3F));
    }
    let text = core::str::from_utf8(frame).ok()?.trim_matches(' ');
    // `N`: the operator has set a tare, and what is left is what the shopper pays for.
    let number = text.strip_suffix('N').unwrap_or(text);
    grams(number, unit).map(Reading::at_rest)
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
        return Reading::Live(Live(None));
    } else if on(4) {
        ScaleFault::Empty
    } else {
        ScaleFault::Attention
    };
    Reading::fault(fault)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::ScaleSim;
    use crate::sim::{Sim, SimIn};
    use crate::{Driver, In};
    use checkout::device::{DeviceCommand, DeviceEvent, Weight};
    use checkout::words::{Grams, Money};
    use serde_json::{Value, json};

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
        let mut sim = ScaleSim::toledo(&Value::Null).expect("options");
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
