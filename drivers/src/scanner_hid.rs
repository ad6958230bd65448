//! USB scanners in HID POS mode (usage page 8C, usage 02): 64-byte reports with length, AIM identifier and data.

use crate::options;
use crate::scanner_line::symbol;
use crate::sim::{Sim, SimIn};
use crate::{Cap, Driver, In, Kind, LinkKind, Out, Quirk, Spec};
use checkout::device::{Beep, DeviceCommand, DeviceEvent, Scan, Trigger};
use checkout::words::Mono;
use serde::Deserialize;
use serde_json::{Value, json};

pub const SPEC: Spec = Spec {
    name: "scanner-hid",
    kind: Kind::Scanner,
    links: &[LinkKind::Hid],
    caps: &[Cap::Beep, Cap::Trigger, Cap::Symbology],
    quirks: &[
        Quirk {
            model: "0c2e:",
            options: r#"{"commands":"honeywell"}"#,
            why: "Honeywell takes serial commands in report FD",
        },
        Quirk { model: "23d0:", options: r#"{"commands":"honeywell"}"#, why: "as Honeywell" },
        Quirk {
            model: "1eab:",
            options: r#"{"layout":"newland"}"#,
            why: "Newland puts data at byte 2, without AIM identifier",
        },
    ],
    example: "name = \"scanner-1\"\ndriver = \"scanner-hid\"\nlink = \"hid:/dev/hidraw0\"",
    build: |options| {
        Ok(Box::new(Hid { options: options::parse(options)?, report: Vec::new(), symbol: Vec::new(), heard: Mono(0) }))
    },
};

/// Feature reports without which readers of a vendor stay silent, sent when the line is opened.
pub const FEATURES: &[(&str, &[u8])] = &[("0c2e:", &[0xFE, 0x01]), ("23d0:", &[0xFE, 0x01])];

/// Usage page and usage in a report descriptor that make a device a scanner of this kind.
pub const USAGE: &[u8] = &[0x05, 0x8C, 0x09, 0x02];

const REPORT: usize = 64;
const REPORT_ID: u8 = 0x02;
/// Half a report is noise after this long.
const STALE_MS: u64 = 200;
const SYMBOL_MAX: usize = 4096;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    layout: Layout,
    commands: Commands,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Layout {
    /// By the place of `]`.
    #[default]
    Auto,
    Newland,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Commands {
    #[default]
    None,
    Honeywell,
}

struct Hid {
    options: Options,
    report: Vec<u8>,
    /// AIM identifier and data of reports that continue.
    symbol: Vec<u8>,
    heard: Mono,
}

impl Hid {
    fn byte(&mut self, byte: u8, out: &mut Out) {
        self.report.push(byte);
        while !self.report.is_empty() && !plausible(&self.report) {
            self.report.remove(0);
        }
        if self.report.len() == REPORT {
            let report = core::mem::take(&mut self.report);
            self.whole(&report, out);
        }
    }

    fn whole(&mut self, report: &[u8], out: &mut Out) {
        let (identifier, data) = content(report, self.options.layout);
        if self.symbol.is_empty() {
            self.symbol.extend(identifier);
        }
        if self.symbol.len() + data.len() <= SYMBOL_MAX {
            self.symbol.extend(data);
        }
        if report.last() != Some(&0) {
            return;
        }
        let whole = core::mem::take(&mut self.symbol);
        let ends = whole.iter().rev().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        match symbol(whole.get(..whole.len() - ends).unwrap_or(&[])) {
            Some(scan) => out.event(DeviceEvent::Scan(scan)),
            None => self.beep(Beep::Bad, out),
        }
    }

    fn command(&self, command: &[u8], out: &mut Out) {
        if self.options.commands == Commands::Honeywell {
            out.send(&[0xFD, u8::try_from(command.len()).unwrap_or(0)]);
            out.send(command);
        }
    }

    fn beep(&self, beep: Beep, out: &mut Out) {
        self.command(b"\x16\x07\r", out);
        if beep == Beep::Bad {
            self.command(b"\x16\x07\r", out);
        }
    }
}

/// What stands at the head can be the beginning of a report.
fn plausible(report: &[u8]) -> bool {
    match report {
        [REPORT_ID] => true,
        [REPORT_ID, length, ..] => (1..=60).contains(length),
        _ => false,
    }
}

/// Identifier and data of one whole report.
fn content(report: &[u8], layout: Layout) -> (&[u8], &[u8]) {
    let length = report.get(1).map_or(0, |length| usize::from(*length));
    let at = |from: usize| report.get(from..(from + length).min(REPORT - 1)).unwrap_or(&[]);
    match (layout, report) {
        (Layout::Newland, _) => (&[], at(2)),
        (Layout::Auto, [_, _, b']', ..]) => (report.get(2..5).unwrap_or(&[]), at(5)),
        (Layout::Auto, [_, _, 0, b']', ..]) => (report.get(3..6).unwrap_or(&[]), at(6)),
        (Layout::Auto, [_, _, 0, ..]) => (&[], at(5)),
        (Layout::Auto, _) => (&[], at(2)),
    }
}

impl Driver for Hid {
    fn handle(&mut self, now: Mono, input: In<'_>, out: &mut Out) {
        match input {
            In::Opened => {
                self.report.clear();
                self.symbol.clear();
            }
            In::Bytes(bytes) => {
                if now.0.saturating_sub(self.heard.0) >= STALE_MS {
                    self.report.clear();
                    self.symbol.clear();
                }
                self.heard = now;
                bytes.iter().for_each(|byte| self.byte(*byte, out));
            }
            In::Timeout => {}
            In::Command(DeviceCommand::Beep(beep)) => self.beep(*beep, out),
            In::Command(DeviceCommand::Trigger(Trigger::On)) => self.command(b"\x16T\r", out),
            In::Command(DeviceCommand::Trigger(Trigger::Off)) => self.command(b"\x16U\r", out),
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

/// What one report says, for whoever reads a trace.
pub(crate) fn told(report: &[u8], newland: bool) -> Option<(Option<Scan>, bool)> {
    let layout = if newland { Layout::Newland } else { Layout::Auto };
    if report.len() != REPORT || !plausible(report) {
        return None;
    }
    let (identifier, data) = content(report, layout);
    let data = data.strip_suffix(b"\r").unwrap_or(data);
    Some((symbol(&[identifier, data].concat()), report.last() != Some(&0)))
}

/// `{"scan": "6901234567892", "aim": "E0"}`; option `vendor` = `honeywell`, `newland`.
#[derive(Debug)]
pub struct HidSim {
    newland: bool,
    connected: bool,
    scans: u64,
    lost: u64,
    beeps: u64,
}

impl HidSim {
    pub fn build(options: &Value) -> Result<Box<dyn Sim>, String> {
        #[derive(Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        struct Options {
            vendor: String,
        }
        let options: Options = options::parse(options)?;
        Ok(Box::new(Self { newland: options.vendor == "newland", connected: false, scans: 0, lost: 0, beeps: 0 }))
    }

    fn send(&self, aim: Option<&str>, code: &str, out: &mut Out) {
        let chunks: Vec<&[u8]> = code.as_bytes().chunks(56).collect();
        for (nr, chunk) in chunks.iter().enumerate() {
            let identifier = aim.map(|aim| format!("]{aim}")).unwrap_or_default();
            let head = match self.newland {
                true => vec![],
                false => format!("{identifier:\0<3}").into_bytes(),
            };
            let mut report = vec![2, u8::try_from(chunk.len()).unwrap_or(0)];
            report.extend(head.iter().take(3));
            report.extend(*chunk);
            report.resize(REPORT - 1, 0);
            report.push(u8::from(nr + 1 < chunks.len()));
            out.send(&report);
        }
    }
}

impl Sim for HidSim {
    fn handle(&mut self, _now: Mono, input: SimIn<'_>, out: &mut Out) {
        match input {
            SimIn::Connected => self.connected = true,
            SimIn::Disconnected => self.connected = false,
            SimIn::Bytes(bytes) => {
                let bells = bytes.windows(5).filter(|window| *window == b"\xFD\x03\x16\x07\r").count();
                self.beeps += u64::try_from(bells).unwrap_or(0);
            }
            SimIn::Timeout => {}
            SimIn::Control(verb) => {
                let Some(code) = verb.get("scan").and_then(Value::as_str) else { return };
                self.scans += 1;
                if self.connected {
                    self.send(verb.get("aim").and_then(Value::as_str), code, out);
                } else {
                    self.lost += 1;
                }
            }
        }
    }

    fn state(&self) -> Value {
        json!({"connected": self.connected, "scans": self.scans, "lost": self.lost, "beeps": self.beeps})
    }
}
