//! A scale that is not there. One plate for all makes; each protocol has its own voice.

use super::Unit;
use crate::Out;
use crate::options;
use crate::sim::{Sim, SimIn};
use checkout::words::Mono;
use serde::Deserialize;
use serde_json::{Value, json};

const CAPACITY_G: i64 = 15_000;
const STREAM_MS: u64 = 200;
const HEARD_MAX: usize = 64;
/// Weighings after which a Dialog 06 scale wants proof again.
const PROOF_EVERY: u64 = 50;

/// `{"put": grams}`, `{"remove": true}`, `{"moving": true}`, `{"fault": "none"}` or `"zero"`, `"dead"`, `"defect"`.
#[derive(Debug)]
pub struct ScaleSim {
    plate: Plate,
    voice: Voice,
    unit: Unit,
    heard: Vec<u8>,
    asked: u64,
    dialog: DialogMemory,
}

#[derive(Debug)]
struct Plate {
    grams: i64,
    moving: bool,
    fault: Option<Fault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Zero,
    Defect,
    Dead,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Voice {
    Toledo,
    Nci,
    Cas,
    Adam,
    Sics,
    Dialog06,
}

#[derive(Debug, Default)]
struct DialogMemory {
    polynomial: u32,
    price: u64,
    tare: i64,
    status: &'static str,
    proven: bool,
    weighings: u64,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    unit: Unit,
    polynomial: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { unit: Unit::Kg, polynomial: "11021".into() }
    }
}

impl ScaleSim {
    /// Option `unit`.
    pub fn toledo(options: &Value) -> Result<Box<dyn Sim>, String> {
        Self::build(options, Voice::Toledo)
    }

    pub fn nci(options: &Value) -> Result<Box<dyn Sim>, String> {
        Self::build(options, Voice::Nci)
    }

    pub fn cas(options: &Value) -> Result<Box<dyn Sim>, String> {
        Self::build(options, Voice::Cas)
    }

    pub fn adam(options: &Value) -> Result<Box<dyn Sim>, String> {
        Self::build(options, Voice::Adam)
    }

    pub fn sics(options: &Value) -> Result<Box<dyn Sim>, String> {
        Self::build(options, Voice::Sics)
    }

    /// Option `polynomial`: of the approval, empty where no proof is asked.
    pub fn dialog06(options: &Value) -> Result<Box<dyn Sim>, String> {
        Self::build(options, Voice::Dialog06)
    }

    fn build(options: &Value, voice: Voice) -> Result<Box<dyn Sim>, String> {
        let options: Options = options::parse(options)?;
        let polynomial = u32::from_str_radix(&options.polynomial, 16).unwrap_or(0);
        Ok(Box::new(Self {
            plate: Plate { grams: 0, moving: false, fault: None },
            voice,
            unit: options.unit,
            heard: Vec::new(),
            asked: 0,
            dialog: DialogMemory { polynomial, status: "00", ..DialogMemory::default() },
        }))
    }

    fn hears(&mut self, byte: u8, out: &mut Out) {
        if self.heard.len() >= HEARD_MAX {
            self.heard.clear();
        }
        self.heard.push(byte);
        let asked = match self.voice {
            Voice::Toledo => byte == b'W',
            Voice::Nci => self.heard.ends_with(b"W\r"),
            Voice::Cas => byte == b'W',
            Voice::Adam => self.heard.ends_with(b"P\r\n"),
            Voice::Sics => self.heard.ends_with(b"S\r\n"),
            Voice::Dialog06 => return self.dialog06_hears(byte, out),
        };
        if asked {
            self.heard.clear();
            self.asked += 1;
            if self.plate.fault != Some(Fault::Dead) {
                let answer = self.answer();
                out.send(&answer);
            }
        }
    }

    fn answer(&self) -> Vec<u8> {
        match self.voice {
            Voice::Toledo => self.toledo_answer(),
            Voice::Nci => self.nci_answer(),
            Voice::Cas => self.cas_answer(),
            Voice::Adam => format!("{} kg\r\n", self.plate.kg(8)).replace(" kg", "kg").into_bytes(),
            Voice::Sics => self.sics_answer(),
            Voice::Dialog06 => Vec::new(),
        }
    }

    fn toledo_answer(&self) -> Vec<u8> {
        let plate = &self.plate;
        let mut status = 0;
        for (on, bit) in [
            (plate.moving, 0x01),
            (plate.grams > CAPACITY_G, 0x02),
            (plate.grams < 0, 0x04),
            (matches!(plate.fault, Some(Fault::Zero | Fault::Defect)), 0x08),
        ] {
            status |= if on { bit } else { 0 };
        }
        if status != 0 {
            let centre = if plate.grams == 0 { 0x10 } else { 0 };
            return vec![0x02, b'?', status | centre, 0x0D];
        }
        let shown = match self.unit {
            Unit::Lb => {
                let hundredths = (plate.grams * 10_000_000 + 22_679_618) / 45_359_237;
                format!("{:03}.{:02}", hundredths / 100, hundredths % 100)
            }
            Unit::Kg | Unit::G | Unit::Oz => format!("{:02}.{:03}", plate.grams / 1000, plate.grams % 1000),
        };
        [b"\x02", shown.as_bytes(), b"\r"].concat()
    }

    fn nci_answer(&self) -> Vec<u8> {
        let plate = &self.plate;
        let bit = |on: bool, bit: u8| if on { bit } else { 0 };
        let first = 0x30 | bit(plate.moving, 1) | bit(plate.grams == 0, 2) | bit(plate.fault == Some(Fault::Defect), 8);
        let zero = plate.fault == Some(Fault::Zero);
        let second = 0x30 | bit(plate.grams < 0, 1) | bit(plate.grams > CAPACITY_G, 2) | bit(zero, 0x40);
        let mut frame = format!("\n{}KG\r\n", plate.kg(7).replace(' ', "0")).into_bytes();
        frame.extend([first, second]);
        if zero {
            frame.push(0x38);
        }
        frame.extend(b"\r\x03");
        frame
    }

    fn cas_answer(&self) -> Vec<u8> {
        let plate = &self.plate;
        let header = match (plate.grams > CAPACITY_G, plate.moving) {
            (true, _) => "OL",
            (false, true) => "US",
            (false, false) => "ST",
        };
        let sign = if plate.grams < 0 { '-' } else { '+' };
        let shown = Plate { grams: plate.grams.saturating_abs(), moving: false, fault: None }.kg(7);
        format!("{header},GS,{sign}{shown}kg\r\n").into_bytes()
    }

    fn sics_answer(&self) -> Vec<u8> {
        let plate = &self.plate;
        if plate.fault.is_some() {
            return b"S I\r\n".to_vec();
        }
        if plate.grams > CAPACITY_G {
            return b"S +\r\n".to_vec();
        }
        if plate.grams < 0 {
            return b"S -\r\n".to_vec();
        }
        let state = if plate.moving { 'D' } else { 'S' };
        format!("S {state} {:>10}.00 g\r\n", plate.grams).into_bytes()
    }

    fn dialog06_hears(&mut self, byte: u8, out: &mut Out) {
        if self.plate.fault == Some(Fault::Dead) {
            return self.heard.clear();
        }
        if self.heard.ends_with(&[4, 5]) {
            self.heard.clear();
            self.asked += 1;
            return self.dialog06_weighs(out);
        }
        if byte != 3 {
            return;
        }
        let heard = core::mem::take(&mut self.heard);
        let record = heard.iter().rposition(|byte| *byte == 2).and_then(|at| heard.get(at + 1..heard.len() - 1));
        let text = record.and_then(|record| core::str::from_utf8(record).ok()).unwrap_or("");
        let fields: Vec<&str> = text.split('\u{1b}').collect();
        match fields.as_slice() {
            ["01" | "03", price, rest @ ..] => {
                let (price, tare) = (price.parse(), rest.first().map_or("", |tare| *tare));
                self.dialog.price = price.unwrap_or(0);
                self.dialog.tare = tare.parse().unwrap_or(0);
                out.send(&[0x06]);
            }
            ["08"] => out.send(format!("\x0209\x1b{}\x03", self.dialog.status).as_bytes()),
            ["10", sums] => {
                self.dialog.proven = self.believes(sums);
                let digit = if self.dialog.proven { 1 } else { 0 };
                out.send(format!("\x0211\x1b{digit}\x03").as_bytes());
            }
            _ => {
                self.dialog.status = "10";
                out.send(&[0x15]);
            }
        }
    }

    fn dialog06_weighs(&mut self, out: &mut Out) {
        let memory = &mut self.dialog;
        if memory.polynomial != 0 && (!memory.proven || memory.weighings >= PROOF_EVERY) {
            (memory.proven, memory.weighings) = (false, 0);
            return out.send(b"\x0211\x1b2A5\x03");
        }
        let plate = &self.plate;
        memory.status = match () {
            () if plate.fault == Some(Fault::Defect) => "01",
            () if plate.moving => "20",
            () if plate.grams > CAPACITY_G => "32",
            () if plate.grams - memory.tare < 0 || plate.fault == Some(Fault::Zero) => "31",
            () if plate.grams - memory.tare < 20 => "30",
            () => "00",
        };
        if memory.status != "00" {
            return out.send(&[0x15]);
        }
        memory.weighings += 1;
        let net = u64::try_from(plate.grams - memory.tare).unwrap_or(0);
        let total = (net * memory.price + 500) / 1000;
        out.send(format!("\x0202\x1b3\x1b{net:05}\x1b{:06}\x1b{total:06}\x03", memory.price).as_bytes());
    }

    /// The z that was asked with is A5.
    fn believes(&self, sums: &str) -> bool {
        let part = |range| sums.get(range).and_then(|hex: &str| u16::from_str_radix(hex, 16).ok()).unwrap_or(0);
        let (cs, kw) = (part(0..4).rotate_right(0xA), part(4..8).rotate_left(0x5));
        let degree = 31_u32.saturating_sub(self.dialog.polynomial.leading_zeros());
        let mut rest = u64::from(cs) << degree;
        while rest != 0 && rest.ilog2() >= degree {
            rest ^= u64::from(self.dialog.polynomial) << (rest.ilog2() - degree);
        }
        rest == u64::from(kw)
    }

    /// A CAS scale in its simple mode tells its weight without being asked.
    fn streams(&self, now: Mono, out: &mut Out) {
        if self.voice != Voice::Cas {
            return;
        }
        out.wake_at(now.plus_ms(STREAM_MS));
        if self.plate.fault != Some(Fault::Dead) {
            let answer = self.answer();
            out.send(&answer);
        }
    }

    fn control(&mut self, verb: &Value) {
        if let Some(grams) = verb.get("put").and_then(Value::as_i64) {
            self.plate.grams = grams.clamp(-CAPACITY_G * 4, CAPACITY_G * 4);
        }
        if verb.get("remove").is_some() {
            self.plate.grams = 0;
        }
        if let Some(moving) = verb.get("moving").and_then(Value::as_bool) {
            self.plate.moving = moving;
        }
        match verb.get("fault").and_then(Value::as_str) {
            Some("none") => self.plate.fault = None,
            Some("zero") => self.plate.fault = Some(Fault::Zero),
            Some("defect") => self.plate.fault = Some(Fault::Defect),
            Some("dead") => self.plate.fault = Some(Fault::Dead),
            Some(_) | None => {}
        }
    }
}

impl Plate {
    fn kg(&self, width: usize) -> String {
        let sign = if self.grams < 0 { "-" } else { "" };
        let grams = self.grams.unsigned_abs();
        format!("{:>width$}", format!("{sign}{}.{:03}", grams / 1000, grams % 1000))
    }
}

impl Sim for ScaleSim {
    fn handle(&mut self, now: Mono, input: SimIn<'_>, out: &mut Out) {
        match input {
            SimIn::Bytes(bytes) => bytes.iter().for_each(|byte| self.hears(*byte, out)),
            SimIn::Control(verb) => {
                self.control(verb);
            }
            SimIn::Connected => {
                self.heard.clear();
                self.dialog.proven = false;
                self.streams(now, out);
            }
            SimIn::Timeout => self.streams(now, out),
            SimIn::Disconnected => {}
        }
    }

    fn state(&self) -> Value {
        json!({
            "grams": self.plate.grams,
            "moving": self.plate.moving,
            "fault": match self.plate.fault {
                None => "none",
                Some(Fault::Zero) => "zero",
                Some(Fault::Defect) => "defect",
                Some(Fault::Dead) => "dead",
            },
            "asked": self.asked,
        })
    }
}
