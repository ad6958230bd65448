//! Line scanners: serial, USB CDC or TCP readers that send each symbol as one line, with or without AIM identifier.

use crate::options;
use crate::sim::{Sim, SimIn};
use crate::{Cap, Driver, In, Kind, LinkKind, Out, Spec};
use checkout::device::{Beep, DeviceCommand, DeviceEvent, Scan, Trigger};
use checkout::words::Mono;
use serde::Deserialize;
use serde_json::{Value, json};

pub const SPEC: Spec = Spec {
    name: "scanner-line",
    kind: Kind::Scanner,
    links: &[LinkKind::Serial, LinkKind::Tcp],
    caps: &[Cap::Beep, Cap::Trigger, Cap::Symbology],
    quirks: &[],
    example: "name = \"scanner-1\"\ndriver = \"scanner-line\"\nlink = \"serial:/dev/ttyACM0?baud=9600\"\noptions = { beep = \"bel\" }",
    build: |options| Ok(Box::new(Scanner::new(options::parse(options)?)?)),
};

/// Longest symbol taken; a QR code holds at most 4296 characters, a sold one far less.
const LINE_MAX: usize = 4096;
/// A beginning without end is noise after this long.
const STALE_MS: u64 = 1000;
const GS: u8 = 29;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    terminator: Terminator,
    /// Sent by the scanner before and after each symbol, not part of it.
    prefix: String,
    suffix: String,
    /// Silence that ends a symbol where there is no terminator.
    gap_ms: u64,
    beep: BeepStyle,
    trigger: TriggerStyle,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            terminator: Terminator::Line,
            prefix: String::new(),
            suffix: String::new(),
            gap_ms: 80,
            beep: BeepStyle::None,
            trigger: TriggerStyle::Hand,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Terminator {
    /// CR, LF or both.
    Line,
    Cr,
    Lf,
    Crlf,
    Tab,
    /// Silence of `gap_ms`.
    None,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum BeepStyle {
    None,
    /// BEL once for good, twice for bad.
    Bel,
    /// `SYN BEL CR`, the serial command of Honeywell readers.
    Honeywell,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum TriggerStyle {
    /// A finger, or the reader itself.
    Hand,
    /// `SYN T CR` and `SYN U CR`, the serial triggers of Honeywell readers.
    Honeywell,
}

struct Scanner {
    options: Options,
    line: Vec<u8>,
    /// The symbol under way holds a byte no symbol may hold, or is too long.
    refused: bool,
    last: Mono,
}

impl Scanner {
    fn new(options: Options) -> Result<Self, String> {
        if options.terminator == Terminator::None && !(50..=100).contains(&options.gap_ms) {
            return Err("gap_ms must be 50 to 100".into());
        }
        if options.prefix.len() > 16 || options.suffix.len() > 16 {
            return Err("prefix and suffix hold at most 16 characters".into());
        }
        Ok(Self { options, line: Vec::new(), refused: false, last: Mono(0) })
    }

    fn byte(&mut self, byte: u8, out: &mut Out) {
        let ends = match (self.options.terminator, byte) {
            (Terminator::Line, b'\r' | b'\n')
            | (Terminator::Cr, b'\r')
            | (Terminator::Lf | Terminator::Crlf, b'\n')
            | (Terminator::Tab, b'\t') => true,
            (
                Terminator::Line
                | Terminator::Cr
                | Terminator::Lf
                | Terminator::Crlf
                | Terminator::Tab
                | Terminator::None,
                _,
            ) => false,
        };
        if ends {
            self.finish(out);
        } else if self.line.len() >= LINE_MAX {
            self.refused = true;
        } else {
            self.line.push(byte);
        }
    }

    fn finish(&mut self, out: &mut Out) {
        let refused = core::mem::take(&mut self.refused);
        let line = core::mem::take(&mut self.line);
        if line.is_empty() || line == b"\r" {
            return;
        }
        match self.symbol(&line).filter(|_| !refused) {
            Some(scan) => out.event(DeviceEvent::Scan(scan)),
            None => self.beep(Beep::Bad, out),
        }
    }

    fn symbol(&self, line: &[u8]) -> Option<Scan> {
        let line = match self.options.terminator {
            Terminator::Crlf => line.strip_suffix(b"\r")?,
            Terminator::Line | Terminator::Cr | Terminator::Lf | Terminator::Tab | Terminator::None => line,
        };
        let data = line.strip_prefix(self.options.prefix.as_bytes())?.strip_suffix(self.options.suffix.as_bytes())?;
        symbol(data)
    }

    fn trigger(&self, trigger: Trigger, out: &mut Out) {
        match (self.options.trigger, trigger) {
            (TriggerStyle::Hand, _) => {}
            (TriggerStyle::Honeywell, Trigger::On) => out.send(b"\x16T\r"),
            (TriggerStyle::Honeywell, Trigger::Off) => out.send(b"\x16U\r"),
        }
    }

    fn beep(&self, beep: Beep, out: &mut Out) {
        let (once, twice): (&[u8], &[u8]) = match self.options.beep {
            BeepStyle::None => return,
            BeepStyle::Bel => (b"\x07", b"\x07\x07"),
            BeepStyle::Honeywell => (b"\x16\x07\r", b"\x16\x07\r\x16\x07\r"),
        };
        out.send(match beep {
            Beep::Good => once,
            Beep::Bad => twice,
        });
    }

    fn ended_by_silence(&self) -> bool {
        self.options.terminator == Terminator::None
    }
}

impl Driver for Scanner {
    fn handle(&mut self, now: Mono, input: In<'_>, out: &mut Out) {
        match input {
            In::Opened => {
                self.line.clear();
                self.refused = false;
                self.trigger(Trigger::On, out);
            }
            In::Bytes(bytes) => {
                let pause = now.0.saturating_sub(self.last.0);
                if self.ended_by_silence() && pause >= self.options.gap_ms {
                    self.finish(out);
                } else if pause >= STALE_MS {
                    self.line.clear();
                    self.refused = false;
                }
                self.last = now;
                for byte in bytes {
                    self.byte(*byte, out);
                }
                if self.ended_by_silence() && !self.line.is_empty() {
                    out.wake_at(now.plus_ms(self.options.gap_ms));
                }
            }
            In::Timeout => {
                let due = now.0 >= self.last.plus_ms(self.options.gap_ms).0;
                if self.ended_by_silence() && due {
                    self.finish(out);
                }
            }
            In::Command(DeviceCommand::Beep(beep)) => self.beep(*beep, out),
            In::Command(DeviceCommand::Trigger(trigger)) => self.trigger(*trigger, out),
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

/// A symbol as a scanner tells it, with or without `]` and its AIM identifier; nothing where it holds what no symbol holds.
pub(crate) fn symbol(data: &[u8]) -> Option<Scan> {
    if data.is_empty() || !data.iter().all(|b| matches!(*b, GS | b' '..=b'~')) {
        return None;
    }
    Some(match data {
        [b']', code, modifier, rest @ ..] if code.is_ascii_alphabetic() && modifier.is_ascii_alphanumeric() => {
            Scan { aim: Some([*code, *modifier]), data: rest.to_vec() }
        }
        _ => Scan { aim: None, data: data.to_vec() },
    })
}

/// A scanner in nobody's hand. `{"scan": "6901234567892", "aim": "E0"}` pulls its trigger.
#[derive(Debug)]
pub struct ScannerSim {
    end: &'static str,
    connected: bool,
    scans: u64,
    /// Read while nobody listened: a scanner keeps nothing.
    lost: u64,
    beeps: Value,
    heard: u64,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SimOptions {
    terminator: Terminator,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self { terminator: Terminator::Crlf }
    }
}

impl ScannerSim {
    /// Option `terminator` as the driver's.
    pub fn build(options: &Value) -> Result<Box<dyn Sim>, String> {
        let options: SimOptions = options::parse(options)?;
        Ok(Box::new(Self {
            end: match options.terminator {
                Terminator::Line | Terminator::Crlf => "\r\n",
                Terminator::Cr => "\r",
                Terminator::Lf => "\n",
                Terminator::Tab => "\t",
                Terminator::None => "",
            },
            connected: false,
            scans: 0,
            lost: 0,
            beeps: json!({"good": 0, "bad": 0}),
            heard: 0,
        }))
    }
}

impl Sim for ScannerSim {
    fn handle(&mut self, _now: Mono, input: SimIn<'_>, out: &mut Out) {
        match input {
            SimIn::Connected => self.connected = true,
            SimIn::Disconnected => self.connected = false,
            SimIn::Bytes(bytes) => {
                let bells = bytes.iter().filter(|b| **b == 7).count() as u64;
                self.heard += bells;
                let (good, bad) = (u64::from(bells == 1), u64::from(bells > 1));
                let count = |name: &str| self.beeps.get(name).and_then(Value::as_u64).unwrap_or(0);
                self.beeps = json!({"good": count("good") + good, "bad": count("bad") + bad});
            }
            SimIn::Timeout => {}
            SimIn::Control(verb) => {
                let Some(code) = verb.get("scan").and_then(Value::as_str) else {
                    return;
                };
                let aim = verb.get("aim").and_then(Value::as_str);
                let aim = aim.map(|id| format!("]{id}")).unwrap_or_default();
                self.scans += 1;
                if self.connected {
                    out.send(format!("{aim}{code}{}", self.end).as_bytes());
                } else {
                    self.lost += 1;
                }
            }
        }
    }

    fn state(&self) -> Value {
        json!({"connected": self.connected, "scans": self.scans, "lost": self.lost, "beeps": self.beeps, "bells": self.heard})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanner(options: Value) -> Box<dyn Driver> {
        (SPEC.build)(&options).expect("options")
    }

    fn feed(driver: &mut dyn Driver, at: u64, bytes: &[u8]) -> Out {
        let mut out = Out::default();
        driver.handle(Mono(at), In::Bytes(bytes), &mut out);
        out
    }

    fn scans(out: &Out) -> Vec<(Option<[u8; 2]>, String)> {
        out.events
            .iter()
            .map(|event| match event {
                DeviceEvent::Scan(scan) => (scan.aim, String::from_utf8(scan.data.clone()).expect("ASCII")),
                DeviceEvent::Weight(_)
                | DeviceEvent::Terminal(_)
                | DeviceEvent::Printer(_)
                | DeviceEvent::Health { .. }
                | DeviceEvent::Face { .. }
                | DeviceEvent::FaceErased { .. }
                | DeviceEvent::Gallery { .. } => panic!("a scan"),
            })
            .collect()
    }

    #[test]
    fn terminators_and_symbology_identifiers() {
        let mut any = scanner(json!({}));
        let out = feed(&mut *any, 0, b"]E06901234567892\r\n6901234567892\rA\x1dB\n");
        assert_eq!(
            scans(&out),
            [(Some(*b"E0"), "6901234567892".into()), (None, "6901234567892".into()), (None, "A\u{1d}B".into())]
        );
        let mut tab = scanner(json!({"terminator": "tab", "prefix": "<", "suffix": ">"}));
        assert_eq!(scans(&feed(&mut *tab, 0, b"<12>\t34\t")), [(None, "12".into())]);
        let mut crlf = scanner(json!({"terminator": "crlf"}));
        assert_eq!(scans(&feed(&mut *crlf, 0, b"12\r\n34\n56\r\n")).len(), 2);
    }

    #[test]
    fn silence_ends_a_symbol_where_nothing_else_does() {
        let mut gap = scanner(json!({"terminator": "none"}));
        let out = feed(&mut *gap, 1000, b"]Q3hh");
        assert_eq!(out.wake_at, Some(Mono(1080)));
        feed(&mut *gap, 1050, b"hhh");
        let mut early = Out::default();
        gap.handle(Mono(1080), In::Timeout, &mut early);
        assert!(early.events.is_empty());
        gap.handle(Mono(1130), In::Timeout, &mut early);
        assert_eq!(scans(&early), [(Some(*b"Q3"), "hhhhh".into())]);
        assert!((SPEC.build)(&json!({"terminator": "none", "gap_ms": 5})).is_err());
    }

    #[test]
    fn bad_symbols_are_refused_aloud_and_forgotten() {
        let mut driver = scanner(json!({"beep": "bel"}));
        let out = feed(&mut *driver, 0, b"12\x0134\r56\r");
        assert_eq!((scans(&out).len(), out.bytes.as_slice()), (1, &b"\x07\x07"[..]));
        let long = feed(&mut *driver, 0, &[b'1'; 9000]);
        assert!(long.events.is_empty());
        assert_eq!(scans(&feed(&mut *driver, 0, b"\r7\r")), [(None, "7".into())]);
        feed(&mut *driver, 0, b"noise");
        assert_eq!(scans(&feed(&mut *driver, 5000, b"8\r")), [(None, "8".into())]);
    }

    #[test]
    fn the_stand_in_scans_and_hears() {
        let mut sim = ScannerSim::build(&Value::Null).expect("default");
        let mut out = Out::default();
        let scan = json!({"scan": "123", "aim": "E0"});
        sim.handle(Mono(0), SimIn::Control(&scan), &mut out);
        assert!(out.bytes.is_empty());
        sim.handle(Mono(0), SimIn::Connected, &mut out);
        sim.handle(Mono(0), SimIn::Control(&scan), &mut out);
        assert_eq!(out.bytes, b"]E0123\r\n");
        assert_eq!((&sim.state()["scans"], &sim.state()["lost"]), (&json!(2), &json!(1)));
        sim.handle(Mono(0), SimIn::Bytes(b"\x07"), &mut out);
        assert_eq!(sim.state()["beeps"]["good"], 1);
    }
}
