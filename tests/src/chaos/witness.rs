//! A stand-in with somebody beside it who notes what really went over the line.

use anyhow::{Result, anyhow};
use checkout::words::Mono;
use drivers::Out;
use drivers::sim::{Sim, SimIn, build};
use serde_json::Value;
use std::sync::mpsc;

/// What became of a scan at the scanner.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) code: String,
    /// Every byte of it went out as a healthy scanner sends it.
    pub(crate) whole: bool,
}

pub(crate) struct Witness {
    device: Box<dyn Sim>,
    /// The same device without faults: what should have been sent.
    twin: Box<dyn Sim>,
    told: mpsc::Sender<Told>,
    /// Not sent yet, or never.
    late: Vec<(String, Vec<u8>)>,
}

impl Witness {
    pub(crate) fn of(driver: &str) -> Result<(Self, mpsc::Receiver<Told>)> {
        let stand_in = || build(driver, &Value::Null).map_err(|wrong| anyhow!(wrong));
        let (told, heard) = mpsc::channel();
        Ok((Self { device: stand_in()?, twin: stand_in()?, told, late: Vec::new() }, heard))
    }

    fn ideal(&mut self, now: Mono, verb: &Value) -> Vec<u8> {
        self.twin.handle(now, SimIn::Connected, &mut Out::default());
        let mut ideal = Out::default();
        self.twin.handle(now, SimIn::Control(verb), &mut ideal);
        ideal.bytes
    }

    fn tell(&self, code: &str, whole: bool) {
        let _ = self.told.send(Told { code: code.into(), whole });
    }
}

impl Sim for Witness {
    fn handle(&mut self, now: Mono, input: SimIn<'_>, out: &mut Out) {
        if let SimIn::Control(verb) = input
            && let Some(code) = verb.get("scan").and_then(Value::as_str)
        {
            let ideal = self.ideal(now, verb);
            self.device.handle(now, input, out);
            let whole = contains(&out.bytes, &ideal);
            if !whole {
                self.late.push((code.to_owned(), ideal));
            }
            return self.tell(code, whole);
        }
        self.device.handle(now, input, out);
        for (code, ideal) in std::mem::take(&mut self.late) {
            if contains(&out.bytes, &ideal) {
                self.tell(&code, true);
            } else {
                self.late.push((code, ideal));
            }
        }
        // More than a device holds back is lost for good.
        let surplus = self.late.len().saturating_sub(8);
        self.late.drain(..surplus);
    }

    fn state(&self) -> Value {
        self.device.state()
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && bytes.windows(part.len()).any(|window| window == part)
}
