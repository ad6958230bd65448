//! Chinese poles of eight digits, LED8N (2400 8N1): `ESC Q A digits CR`, and four lamps that say what the digits are.

use super::plain;
use crate::options;
use crate::{Driver, In, Kind, LinkKind, Out, Spec};
use checkout::device::{DeviceCommand, Show, Shown};
use checkout::words::Mono;
use serde::Deserialize;

pub const SPEC: Spec = Spec {
    name: "pole-led8n",
    kind: Kind::Display,
    links: &[LinkKind::Serial, LinkKind::Tcp, LinkKind::File],
    caps: &[],
    quirks: &[],
    example: "name = \"display-1\"\ndriver = \"pole-led8n\"\nlink = \"serial:/dev/ttyUSB1?baud=2400\"",
    build: |options| {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Nothing {}
        let Nothing {} = options::parse(options)?;
        Ok(Box::new(Digits))
    },
};

const DIGITS_MAX: usize = 8;

struct Digits;

/// Lamps in their order on the pole: unit price, total, collected, change.
fn show(show: &Show, out: &mut Out) {
    let (lamps, amount) = match &show.what {
        Shown::Welcome { .. } => return out.send(b"\x0c\x02L0000"),
        Shown::Line { price, .. } => (b"1000", *price),
        Shown::Due { due } => (b"0100", *due),
        Shown::Paid { change } => (b"0001", *change),
    };
    let shown = plain(&show.currency, amount);
    let fits = shown.bytes().filter(u8::is_ascii_digit).count() <= DIGITS_MAX;
    out.send(b"\x02L");
    out.send(lamps);
    out.send(b"\x1bQA");
    out.send(if fits { shown.as_bytes() } else { b"--------" });
    out.send(b"\r");
}

impl Driver for Digits {
    fn handle(&mut self, _now: Mono, input: In<'_>, out: &mut Out) {
        match input {
            In::Opened => out.send(b"\x1b@\x0c"),
            In::Command(DeviceCommand::Show(what)) => show(what, out),
            In::Bytes(_)
            | In::Timeout
            | In::Command(
                DeviceCommand::Beep(_)
                | DeviceCommand::Trigger(_)
                | DeviceCommand::Light(_)
                | DeviceCommand::ReadWeight { .. }
                | DeviceCommand::Terminal(_)
                | DeviceCommand::Print(_)
                | DeviceCommand::Face(_),
            ) => {}
        }
    }
}
