//! Scanners that type: keyboard wedges read as `struct input_event` from an evdev node that is ours alone.

mod layout;

use crate::options;
use crate::scanner_line::symbol;
use crate::sim::{Sim, SimIn};
use crate::{Cap, Driver, In, Kind, LinkKind, Out, Spec};
use checkout::device::{DeviceCommand, DeviceEvent};
use checkout::words::Mono;
use layout::{Held, Layout, character, pad};
use serde::Deserialize;
use serde_json::{Value, json};

pub const SPEC: Spec = Spec {
    name: "scanner-keys",
    kind: Kind::Scanner,
    links: &[LinkKind::Evdev],
    caps: &[Cap::Symbology],
    quirks: &[],
    example: "name = \"scanner-1\"\ndriver = \"scanner-keys\"\nlink = \"evdev:/dev/input/by-id/usb-Example_Scanner-event-kbd\"\noptions = { layout = \"us\" }",
    build: |options| Ok(Box::new(Wedge::new(options::parse(options)?))),
};

/// `struct input_event` of 64-bit kernels: seconds, microseconds, type, code, value.
const EVENT: usize = 24;
const EV_SYN: u16 = 0;
const EV_KEY: u16 = 1;
const SYN_REPORT: u16 = 0;
const SYN_DROPPED: u16 = 3;
const KEY_TAB: u16 = 15;
const KEY_ENTER: u16 = 28;
const KEY_KPENTER: u16 = 96;
const KEY_F8: u16 = 66;
/// `]` on American keys, and what Ctrl makes GS of in every country.
const KEY_RIGHTBRACE: u16 = 27;
const KEY_LEFTALT: u16 = 56;
const GS: char = '\u{1d}';
const SYMBOL_MAX: usize = 4096;
/// A beginning without Enter is noise after this long.
const STALE_MS: u64 = 1_000;
/// Scanners type their keys closer together than this; two codes are further apart.
const WITHIN_CODE_US: u64 = 50_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// As the scanner's country setting.
    layout: Layout,
    gs: GroupSeparator,
}

/// How the scanner types GS, which no keyboard has.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum GroupSeparator {
    #[default]
    CtrlBracket,
    F8,
}

struct Wedge {
    options: Options,
    event: Vec<u8>,
    symbol: String,
    /// A key that no symbol holds was among them, or there were too many.
    refused: bool,
    /// The kernel lost events: nothing counts up to the next report.
    dropped: bool,
    shift: bool,
    ctrl: bool,
    alt_gr: bool,
    caps: bool,
    /// Digits typed on the number pad while Alt is held.
    alt_code: Option<u32>,
    heard: Mono,
    last_key_us: u64,
}

impl Wedge {
    const fn new(options: Options) -> Self {
        Self {
            options,
            event: Vec::new(),
            symbol: String::new(),
            refused: false,
            dropped: false,
            shift: false,
            ctrl: false,
            alt_gr: false,
            caps: false,
            alt_code: None,
            heard: Mono(0),
            last_key_us: 0,
        }
    }

    fn forget(&mut self) {
        let options = core::mem::take(&mut self.options);
        *self = Self { heard: self.heard, ..Self::new(options) };
    }

    fn event(&mut self, event: &[u8], out: &mut Out) {
        let word = |at: usize| u16::from_le_bytes([byte(event, at), byte(event, at + 1)]);
        let time = |at: usize| (0..8).fold(0_u64, |all, nr| all | u64::from(byte(event, at + nr)) << (8 * nr));
        let at_us = time(0).wrapping_mul(1_000_000).wrapping_add(time(8));
        match (word(16), word(18)) {
            (EV_SYN, SYN_DROPPED) => {
                // What is held is not known any more, and neither is the code under way.
                let (cut, last) = (!self.symbol.is_empty(), self.last_key_us);
                self.forget();
                self.dropped = true;
                self.last_key_us = if cut { last } else { 0 };
            }
            (EV_SYN, SYN_REPORT) => self.dropped = false,
            (EV_KEY, code) if !self.dropped => self.key(code, word(20), at_us, out),
            _ => {}
        }
    }

    fn key(&mut self, code: u16, value: u16, at_us: u64, out: &mut Out) {
        let pressed = value != 0;
        match code {
            42 | 54 => self.shift = pressed,
            29 | 97 => self.ctrl = pressed,
            100 => self.alt_gr = pressed,
            58 if value == 1 => self.caps = !self.caps,
            KEY_LEFTALT if pressed => self.alt_code = Some(0),
            KEY_LEFTALT => {
                if let Some(character) = self.alt_code.take().and_then(char::from_u32).filter(|c| *c != '\0') {
                    self.types(Some(character));
                }
            }
            // A held key repeats itself; a scanner's does not.
            _ if value != 1 => {}
            KEY_ENTER | KEY_KPENTER | KEY_TAB => self.ends(out),
            KEY_F8 if self.options.gs == GroupSeparator::F8 => self.types(Some(GS)),
            code => self.writes(code, at_us),
        }
    }

    fn writes(&mut self, code: u16, at_us: u64) {
        // The tail of a code whose head was lost is not a code.
        let last = core::mem::replace(&mut self.last_key_us, at_us);
        let gap = at_us.saturating_sub(last);
        self.refused |= self.symbol.is_empty() && last > 0 && gap > 0 && gap < WITHIN_CODE_US;
        if let Some(so_far) = self.alt_code {
            let digit = pad(code).and_then(|character| character.to_digit(10));
            self.alt_code = digit.map(|digit| (so_far * 10 + digit).min(0xFFFF));
            return;
        }
        let held = Held { shift: self.shift, alt_gr: self.alt_gr, caps: self.caps };
        let written = character(self.options.layout, code, held);
        if self.ctrl {
            let is_gs = code == KEY_RIGHTBRACE || written == Some(']');
            return self.types(is_gs.then_some(GS));
        }
        self.types(written);
    }

    fn types(&mut self, character: Option<char>) {
        match character.filter(|c| c.is_ascii() && self.symbol.len() < SYMBOL_MAX) {
            Some(character) => self.symbol.push(character),
            None => self.refused = true,
        }
    }

    fn ends(&mut self, out: &mut Out) {
        self.last_key_us = 0;
        let refused = core::mem::take(&mut self.refused);
        let typed = core::mem::take(&mut self.symbol);
        if let Some(scan) = symbol(typed.as_bytes()).filter(|_| !refused) {
            out.event(DeviceEvent::Scan(scan));
        }
    }
}

fn byte(event: &[u8], at: usize) -> u8 {
    event.get(at).copied().unwrap_or(0)
}

impl Driver for Wedge {
    fn handle(&mut self, now: Mono, input: In<'_>, out: &mut Out) {
        match input {
            In::Opened => {
                self.forget();
                self.heard = now;
            }
            In::Bytes(bytes) => {
                if now.0.saturating_sub(self.heard.0) >= STALE_MS {
                    // What is held down, and caps lock, may well be older than a second.
                    self.event.clear();
                    self.symbol.clear();
                    self.refused = false;
                }
                self.heard = now;
                for byte in bytes {
                    self.event.push(*byte);
                    if self.event.len() == EVENT {
                        let event = core::mem::take(&mut self.event);
                        self.event(&event, out);
                    }
                }
            }
            In::Timeout
            | In::Command(
                DeviceCommand::Beep(_)
                | DeviceCommand::Trigger(_)
                | DeviceCommand::Show(_)
                | DeviceCommand::Light(_)
                | DeviceCommand::ReadWeight { .. }
                | DeviceCommand::Terminal(_)
                | DeviceCommand::Print(_)
                | DeviceCommand::Face(_),
            ) => {}
        }
    }
}

/// `{"scan": "6901234567892"}` types the code on American keys.
#[derive(Debug, Default)]
pub struct KeysSim {
    connected: bool,
    scans: u64,
    lost: u64,
}

impl KeysSim {
    pub fn build(options: &Value) -> Result<Box<dyn Sim>, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Nothing {}
        let Nothing {} = options::parse(options)?;
        Ok(Box::new(Self::default()))
    }
}

/// One key down and up, each with its report.
fn stroke(code: u16, shift: bool, ctrl: bool, out: &mut Out) {
    let mut event = |kind: u16, code: u16, value: i32| {
        out.send(&[0; 16]);
        out.send(&kind.to_le_bytes());
        out.send(&code.to_le_bytes());
        out.send(&value.to_le_bytes());
    };
    let held = [(42, shift), (29, ctrl)];
    for (key, down) in held {
        if down {
            event(EV_KEY, key, 1);
        }
    }
    for value in [1, 0] {
        event(EV_KEY, code, value);
        event(EV_SYN, SYN_REPORT, 0);
    }
    for (key, down) in held {
        if down {
            event(EV_KEY, key, 0);
            event(EV_SYN, SYN_REPORT, 0);
        }
    }
}

impl Sim for KeysSim {
    fn handle(&mut self, _now: Mono, input: SimIn<'_>, out: &mut Out) {
        match input {
            SimIn::Connected => self.connected = true,
            SimIn::Disconnected => self.connected = false,
            SimIn::Bytes(_) | SimIn::Timeout => {}
            SimIn::Control(verb) => {
                let Some(code) = verb.get("scan").and_then(Value::as_str) else { return };
                let aim = verb.get("aim").and_then(Value::as_str).map(|aim| format!("]{aim}")).unwrap_or_default();
                self.scans += 1;
                if !self.connected {
                    self.lost += 1;
                    return;
                }
                for wanted in aim.chars().chain(code.chars()) {
                    let shifts = [false, true];
                    let found = shifts.iter().find_map(|shift| {
                        let held = Held { shift: *shift, ..Held::default() };
                        (2..58).find(|key| character(Layout::Us, *key, held) == Some(wanted)).map(|key| (key, *shift))
                    });
                    match found {
                        Some((key, shift)) => stroke(key, shift, false, out),
                        None if wanted == GS => stroke(KEY_RIGHTBRACE, false, true, out),
                        None => {}
                    }
                }
                stroke(KEY_ENTER, false, false, out);
            }
        }
    }

    fn state(&self) -> Value {
        json!({"connected": self.connected, "scans": self.scans, "lost": self.lost})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(events: &[(u64, u16, u16, i32)]) -> Vec<u8> {
        let event = |(at_us, kind, code, value): &(u64, u16, u16, i32)| {
            let mut bytes = (at_us / 1_000_000).to_le_bytes().to_vec();
            bytes.extend((at_us % 1_000_000).to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend(code.to_le_bytes());
            bytes.extend(value.to_le_bytes());
            bytes
        };
        events.iter().flat_map(event).collect()
    }

    fn scans(driver: &mut dyn Driver, bytes: &[u8]) -> Vec<String> {
        let mut out = Out::default();
        driver.handle(Mono(10), In::Bytes(bytes), &mut out);
        let text = |event: &DeviceEvent| {
            let DeviceEvent::Scan(scan) = event else { panic!("{event:?}") };
            String::from_utf8(scan.data.clone()).expect("ASCII")
        };
        out.events.iter().map(text).collect()
    }

    fn wedge(options: Value) -> Box<dyn Driver> {
        (SPEC.build)(&options).expect("options")
    }

    #[test]
    fn a_code_cut_by_lost_events_is_dropped_with_its_tail_and_the_next_counts() {
        let mut driver = wedge(json!({}));
        let tick = 2_000;
        let mut typed = vec![(1_000_000, 1, 7, 1), (1_000_000, 0, 0, 0), (1_000_000 + tick, 0, 3, 0)];
        typed.extend([(1_000_000 + 2 * tick, 1, 10, 1), (1_000_000 + 2 * tick, 0, 0, 0)]);
        typed.extend([
            (1_000_000 + 3 * tick, 1, 11, 1),
            (1_000_000 + 4 * tick, 1, 28, 1),
            (1_000_000 + 4 * tick, 0, 0, 0),
        ]);
        assert_eq!(scans(&mut *driver, &keys(&typed)), [""; 0]);
        assert_eq!(
            scans(&mut *driver, &keys(&[(2_000_000, 1, 2, 1), (2_002_000, 1, 3, 1), (2_004_000, 1, 28, 1)])),
            ["12"]
        );
    }

    #[test]
    fn the_group_separator_comes_as_ctrl_bracket_f8_or_an_alt_code() {
        let ctrl = keys(&[(0, 1, 2, 1), (0, 1, 29, 1), (0, 1, 27, 1), (0, 1, 29, 0), (0, 1, 3, 1), (0, 1, 28, 1)]);
        assert_eq!(scans(&mut *wedge(json!({})), &ctrl), ["1\u{1d}2"]);
        let f8 = keys(&[(0, 1, 2, 1), (0, 1, 66, 1), (0, 1, 3, 1), (0, 1, 28, 1)]);
        assert_eq!(scans(&mut *wedge(json!({"gs": "f8"})), &f8), ["1\u{1d}2"]);
        assert_eq!(scans(&mut *wedge(json!({})), &f8), [""; 0], "a key without meaning spoils a code");
        let alt = keys(&[
            (0, 1, 2, 1),
            (0, 1, 56, 1),
            (0, 1, 80, 1),
            (0, 1, 73, 1),
            (0, 1, 56, 0),
            (0, 1, 3, 1),
            (0, 1, 28, 1),
        ]);
        assert_eq!(scans(&mut *wedge(json!({})), &alt), ["1\u{1d}2"]);
    }

    #[test]
    fn the_stand_in_types_what_the_driver_reads() {
        let mut sim = KeysSim::build(&Value::Null).expect("options");
        let mut out = Out::default();
        sim.handle(Mono(0), SimIn::Connected, &mut out);
        let verb = json!({"scan": "010690123456789210Ab\u{1d}17261231", "aim": "C1"});
        sim.handle(Mono(0), SimIn::Control(&verb), &mut out);
        assert_eq!(scans(&mut *wedge(json!({})), &out.bytes), ["010690123456789210Ab\u{1d}17261231"]);
    }
}
