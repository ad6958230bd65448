//! USB signal towers of three colours (CH340, 9600 8N1): one byte switches one lamp.

use crate::options;
use crate::sim::{Sim, SimIn};
use crate::{Cap, Driver, In, Kind, LinkKind, Out, Spec};
use checkout::device::{DeviceCommand, LaneLight};
use checkout::words::Mono;
use serde::Deserialize;
use serde_json::{Value, json};

pub const SPEC: Spec = Spec {
    name: "light-tower",
    kind: Kind::Light,
    links: &[LinkKind::Serial, LinkKind::Tcp, LinkKind::File],
    caps: &[Cap::Sound],
    quirks: &[],
    example: "name = \"light-1\"\ndriver = \"light-tower\"\nlink = \"serial:/dev/ttyUSB2?baud=9600\"",
    build: |options| Ok(Box::new(Tower { options: options::parse(options)?, stop_at: None })),
};

const ON: u8 = 0x10;
const OFF: u8 = 0x20;
const BLINK: u8 = 0x40;
const RED: u8 = 1;
const YELLOW: u8 = 2;
const GREEN: u8 = 4;
const BUZZER: u8 = 8;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// How long it sounds when staff is wanted; 0 is silent.
    buzz_ms: u64,
}

struct Tower {
    options: Options,
    stop_at: Option<Mono>,
}

impl Tower {
    fn light(&mut self, now: Mono, light: LaneLight, out: &mut Out) {
        out.send(&[OFF | RED, OFF | YELLOW, OFF | GREEN, OFF | BUZZER]);
        self.stop_at = None;
        match light {
            LaneLight::Free => out.send(&[ON | GREEN]),
            LaneLight::Busy => out.send(&[ON | YELLOW]),
            LaneLight::Attention => {
                out.send(&[BLINK | RED]);
                if self.options.buzz_ms > 0 {
                    out.send(&[ON | BUZZER]);
                    let at = now.plus_ms(self.options.buzz_ms);
                    self.stop_at = Some(at);
                    out.wake_at(at);
                }
            }
        }
    }
}

impl Driver for Tower {
    fn handle(&mut self, now: Mono, input: In<'_>, out: &mut Out) {
        match input {
            In::Opened => self.stop_at = None,
            In::Command(DeviceCommand::Light(light)) => self.light(now, *light, out),
            In::Timeout => {
                if self.stop_at.take_if(|at| *at <= now).is_some() {
                    out.send(&[OFF | BUZZER]);
                }
            }
            In::Bytes(_)
            | In::Command(
                DeviceCommand::Beep(_)
                | DeviceCommand::Trigger(_)
                | DeviceCommand::Show(_)
                | DeviceCommand::ReadWeight { .. }
                | DeviceCommand::Terminal(_)
                | DeviceCommand::Print(_)
                | DeviceCommand::Face(_),
            ) => {}
        }
    }
}

/// Its lamps: `off`, `on` or `blink` each.
#[derive(Debug)]
pub struct TowerSim {
    lamps: [&'static str; 4],
}

impl TowerSim {
    pub fn build(options: &Value) -> Result<Box<dyn Sim>, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Nothing {}
        let Nothing {} = options::parse(options)?;
        Ok(Box::new(Self { lamps: ["off"; 4] }))
    }
}

impl Sim for TowerSim {
    fn handle(&mut self, _now: Mono, input: SimIn<'_>, _out: &mut Out) {
        let SimIn::Bytes(bytes) = input else { return };
        for byte in bytes {
            let how = match byte & 0xF0 {
                ON => "on",
                OFF => "off",
                BLINK => "blink",
                _ => continue,
            };
            for (lamp, bit) in self.lamps.iter_mut().zip([RED, YELLOW, GREEN, BUZZER]) {
                if byte & bit != 0 {
                    *lamp = how;
                }
            }
        }
    }

    fn state(&self) -> Value {
        let [red, yellow, green, buzzer] = self.lamps;
        json!({"red": red, "yellow": yellow, "green": green, "buzzer": buzzer})
    }
}
