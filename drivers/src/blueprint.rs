//! The smallest working driver: a line scanner without any option. Copy this file, then follow `docs/DRIVERS.md`.

use crate::options;
use crate::{Driver, In, Kind, LinkKind, Out, Spec};
use checkout::device::{DeviceEvent, Scan};
use checkout::words::Mono;
use serde::Deserialize;

pub const SPEC: Spec = Spec {
    name: "blueprint",
    kind: Kind::Scanner,
    links: &[LinkKind::Serial, LinkKind::Tcp],
    caps: &[],
    quirks: &[],
    example: "name = \"scanner-1\"\ndriver = \"blueprint\"\nlink = \"serial:/dev/ttyACM0?baud=9600\"",
    build: |options| {
        let Options {} = options::parse(options)?;
        Ok(Box::new(Blueprint::default()))
    },
};

const LINE_MAX: usize = 4096;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {}

#[derive(Debug, Default)]
struct Blueprint {
    line: Vec<u8>,
}

impl Driver for Blueprint {
    fn handle(&mut self, _now: Mono, input: In<'_>, out: &mut Out) {
        let In::Bytes(bytes) = input else { return };
        for &byte in bytes {
            match byte {
                b'\r' | b'\n' if self.line.is_empty() => {}
                b'\r' | b'\n' => {
                    out.event(DeviceEvent::Scan(Scan { aim: None, data: core::mem::take(&mut self.line) }))
                }
                _ if self.line.len() < LINE_MAX => self.line.push(byte),
                _ => self.line.clear(),
            }
        }
    }
}
