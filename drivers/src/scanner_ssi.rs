//! Zebra (Symbol) scan engines and scanners that speak SSI: packets with a checksum, each decode acknowledged.

use crate::options;
use crate::scanner_line::symbol;
use crate::sim::{Sim, SimIn};
use crate::{Cap, Driver, In, Kind, LinkKind, Out, Spec};
use checkout::device::{Beep, DeviceCommand, DeviceEvent, Scan, Trigger};
use checkout::words::Mono;
use serde::Deserialize;
use serde_json::{Value, json};

pub const SPEC: Spec = Spec {
    name: "scanner-ssi",
    kind: Kind::Scanner,
    links: &[LinkKind::Serial, LinkKind::Tcp],
    caps: &[Cap::Beep, Cap::Trigger, Cap::Symbology],
    quirks: &[],
    example: "name = \"scanner-1\"\ndriver = \"scanner-ssi\"\nlink = \"serial:/dev/ttyS0?baud=9600\"\noptions = { trigger = \"host\" }",
    build: |options| Ok(Box::new(Ssi::new(options::parse(options)?))),
};

const HOST: u8 = 0x04;
const DECODER: u8 = 0x00;
const START_DECODE: u8 = 0xE4;
const STOP_DECODE: u8 = 0xE5;
const BEEP: u8 = 0xE6;
const PARAM_SEND: u8 = 0xC6;
const ACK: u8 = 0xD0;
const NAK: u8 = 0xD1;
const DECODE_DATA: u8 = 0xF3;
/// NAK cause: checksum.
const RESEND: u8 = 0x01;
const RETRANSMITTED: u8 = 0x01;
const CONTINUES: u8 = 0x02;
/// The beginning of a packet without its end is noise after this long.
const STALE_MS: u64 = 300;
const SYMBOL_MAX: usize = 4096;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    trigger: Pull,
}

impl Default for Options {
    fn default() -> Self {
        Self { trigger: Pull::Hand }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Pull {
    Hand,
    /// We start each read.
    Host,
}

struct Ssi {
    options: Options,
    buffer: Vec<u8>,
    heard: Mono,
    /// Data of packets that continue.
    symbol: Vec<u8>,
    /// The last packet taken, to know it when it is sent again.
    last: Vec<u8>,
    scanning: bool,
}

/// `len opcode source status data… checksum`: 16-bit two's complement of the sum of all bytes before it.
pub(crate) fn packet(opcode: u8, source: u8, status: u8, data: &[u8]) -> Vec<u8> {
    let length = u8::try_from(data.len() + 4).unwrap_or(4);
    let mut packet = vec![length, opcode, source, status];
    packet.extend(data);
    let sum = checksum(&packet);
    packet.extend(sum.to_be_bytes());
    packet
}

pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0_u16, |sum, byte| sum.wrapping_add(u16::from(*byte))).wrapping_neg()
}

/// AIM identifier of an SSI bar code type, and digits that go before its data.
pub(crate) const fn symbology(kind: u8) -> (Option<[u8; 2]>, &'static str) {
    match kind {
        0x01 => (Some(*b"A0"), ""),
        0x02 => (Some(*b"F0"), ""),
        0x03 => (Some(*b"C0"), ""),
        0x06 => (Some(*b"I0"), ""),
        // UPC-A is told with twelve digits, and is an EAN-13 that begins with nought.
        0x08 => (Some(*b"E0"), "0"),
        0x0A => (Some(*b"E4"), ""),
        0x0B => (Some(*b"E0"), ""),
        0x0F => (Some(*b"C1"), ""),
        0x11 => (Some(*b"L0"), ""),
        0x1B => (Some(*b"d1"), ""),
        0x1C => (Some(*b"Q1"), ""),
        0x30..=0x32 => (Some(*b"e0"), ""),
        _ => (None, ""),
    }
}

impl Ssi {
    const fn new(options: Options) -> Self {
        Self { options, buffer: Vec::new(), heard: Mono(0), symbol: Vec::new(), last: Vec::new(), scanning: true }
    }

    fn host(opcode: u8, data: &[u8], out: &mut Out) {
        out.send(&packet(opcode, HOST, 0, data));
    }

    fn start(&self, out: &mut Out) {
        if self.options.trigger == Pull::Host && self.scanning {
            Self::host(START_DECODE, &[], out);
        }
    }

    fn packets(&mut self, out: &mut Out) {
        while let Some(length) = self.buffer.first().map(|length| usize::from(*length)) {
            if length < 4 || self.buffer.get(2).is_some_and(|source| *source != DECODER) {
                self.buffer.remove(0);
                continue;
            }
            let Some(whole) = self.buffer.get(..length + 2) else { return };
            let (body, sum) = whole.split_at(length);
            if checksum(body).to_be_bytes() == *sum {
                let body = body.to_vec();
                self.buffer.drain(..length + 2);
                self.packet(&body, out);
            } else {
                if body.get(1) == Some(&DECODE_DATA) {
                    Self::host(NAK, &[RESEND], out);
                }
                self.buffer.remove(0);
            }
        }
    }

    fn packet(&mut self, body: &[u8], out: &mut Out) {
        let [_, DECODE_DATA, _, status, kind, data @ ..] = body else { return };
        Self::host(ACK, &[], out);
        if status & RETRANSMITTED != 0 && self.last == [&[*kind], data].concat() {
            return;
        }
        self.last = [&[*kind], data].concat();
        if self.symbol.len() + data.len() <= SYMBOL_MAX {
            self.symbol.extend(data);
        }
        if status & CONTINUES != 0 {
            return;
        }
        let (aim, before) = symbology(*kind);
        let data = [before.as_bytes(), &core::mem::take(&mut self.symbol)].concat();
        match symbol(&data) {
            Some(Scan { aim: None, data }) => out.event(DeviceEvent::Scan(Scan { aim, data })),
            Some(scan) => out.event(DeviceEvent::Scan(scan)),
            None => Self::host(BEEP, &[0x02], out),
        }
        self.start(out);
    }

    fn stale(&mut self, now: Mono) {
        if now.0.saturating_sub(self.heard.0) >= STALE_MS {
            self.buffer.clear();
        }
    }
}

impl Driver for Ssi {
    fn handle(&mut self, now: Mono, input: In<'_>, out: &mut Out) {
        match input {
            In::Opened => {
                self.buffer.clear();
                self.symbol.clear();
                self.scanning = true;
                // Decode data in packets (parameter EE = 1), until it is switched off.
                Self::host(PARAM_SEND, &[0xFF, 0xEE, 0x01], out);
                self.start(out);
            }
            In::Bytes(bytes) => {
                self.stale(now);
                self.heard = now;
                for byte in bytes {
                    self.buffer.push(*byte);
                    self.packets(out);
                }
                if !self.buffer.is_empty() {
                    out.wake_at(now.plus_ms(STALE_MS));
                }
            }
            In::Timeout => self.stale(now),
            // One short high tone, or three.
            In::Command(DeviceCommand::Beep(Beep::Good)) => Self::host(BEEP, &[0x00], out),
            In::Command(DeviceCommand::Beep(Beep::Bad)) => Self::host(BEEP, &[0x02], out),
            In::Command(DeviceCommand::Trigger(trigger)) => {
                self.scanning = *trigger == Trigger::On;
                match trigger {
                    Trigger::On => self.start(out),
                    Trigger::Off if self.options.trigger == Pull::Host => Self::host(STOP_DECODE, &[], out),
                    Trigger::Off => {}
                }
            }
            In::Command(
                DeviceCommand::Show(_)
                | DeviceCommand::Light(_)
                | DeviceCommand::ReadWeight { .. }
                | DeviceCommand::Terminal(_)
                | DeviceCommand::Print(_)
                | DeviceCommand::Face(_),
            ) => {}
        }
    }
}

/// An engine behind glass: `{"scan": "6901234567892", "type": 11}` holds a symbol before it.
#[derive(Debug, Default)]
pub struct SsiSim {
    connected: bool,
    heard: Vec<u8>,
    scans: u64,
    lost: u64,
    acknowledged: u64,
    beeps: u64,
    looking: bool,
    unanswered: Vec<u8>,
}

impl SsiSim {
    pub fn build(options: &Value) -> Result<Box<dyn Sim>, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct None {}
        let None {} = options::parse(options)?;
        Ok(Box::new(Self::default()))
    }

    fn hears(&mut self, bytes: &[u8], out: &mut Out) {
        self.heard.extend(bytes.iter().take(1024));
        while let Some(length) = self.heard.first().map(|length| usize::from(*length)) {
            if length < 4 || self.heard.get(2).is_some_and(|source| *source != HOST) {
                self.heard.remove(0);
                continue;
            }
            let Some(whole) = self.heard.get(..length + 2) else { return };
            let sum: u32 = whole.iter().take(length).map(|byte| u32::from(*byte)).sum();
            let told = whole.get(length..).map_or(0, |sum| sum.iter().fold(0, |all, byte| all << 8 | u32::from(*byte)));
            if (sum + told) & 0xFFFF != 0 {
                self.heard.remove(0);
                continue;
            }
            let opcode = whole.get(1).copied().unwrap_or(0);
            self.heard.drain(..length + 2);
            self.obey(opcode, out);
        }
    }

    fn obey(&mut self, opcode: u8, out: &mut Out) {
        match opcode {
            ACK => {
                self.acknowledged += 1;
                self.unanswered.clear();
            }
            NAK => out.send(&self.unanswered),
            BEEP => self.beeps += 1,
            START_DECODE => self.looking = true,
            STOP_DECODE => self.looking = false,
            _ => {}
        }
        if !matches!(opcode, ACK | NAK) && self.connected {
            out.send(&packet(ACK, DECODER, 0, &[]));
        }
    }
}

impl Sim for SsiSim {
    fn handle(&mut self, _now: Mono, input: SimIn<'_>, out: &mut Out) {
        match input {
            SimIn::Connected => self.connected = true,
            SimIn::Disconnected => self.connected = false,
            SimIn::Bytes(bytes) => self.hears(bytes, out),
            SimIn::Timeout => {}
            SimIn::Control(verb) => {
                let Some(code) = verb.get("scan").and_then(Value::as_str) else { return };
                let kind = verb.get("type").and_then(Value::as_u64).and_then(|kind| u8::try_from(kind).ok());
                self.scans += 1;
                if !self.connected {
                    self.lost += 1;
                    return;
                }
                let data: Vec<u8> = [kind.unwrap_or(0x0B)].into_iter().chain(code.bytes().take(240)).collect();
                self.unanswered = packet(DECODE_DATA, DECODER, 0, &data);
                out.send(&self.unanswered);
            }
        }
    }

    fn state(&self) -> Value {
        json!({
            "connected": self.connected,
            "scans": self.scans,
            "lost": self.lost,
            "acknowledged": self.acknowledged,
            "beeps": self.beeps,
            "looking": self.looking,
        })
    }
}
