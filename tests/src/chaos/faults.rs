//! Who pulls plugs: one seeded hand for all devices at once.

use super::floor::{Device, Floor};
use drivers::{Kind, LinkKind};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Between the end of a fault and the next of the same device: time to come back, and to be seen at work.
const CALM_MS: std::ops::Range<u64> = 7_000..13_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    Unplug,
    Hang,
    Garbage,
    Drop,
    Slow,
    WrongLength,
}

#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) device: String,
    pub(crate) what: What,
    pub(crate) start: Instant,
    pub(crate) end: Instant,
}

/// xorshift64*: small, seeded, and the same on every machine.
#[derive(Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % sides.max(1)
    }

    fn within(&mut self, range: std::ops::Range<u64>) -> u64 {
        range.start + self.below(range.end - range.start)
    }
}

impl What {
    /// What can happen to a device: one that says nothing can only be away.
    fn of(device: &Device) -> Vec<Self> {
        let speaks = !matches!(device.spec.kind, Kind::Display | Kind::Light);
        let mut all = if speaks {
            vec![Self::Hang, Self::Garbage, Self::Drop, Self::Slow, Self::WrongLength]
        } else {
            Vec::new()
        };
        if !device.inherited {
            all.push(Self::Unplug);
        }
        // Key events have no frames: half of one would be the beginning of all that follow.
        if device.spec.links.contains(&LinkKind::Evdev) {
            all.retain(|what| !matches!(what, Self::WrongLength));
        }
        all
    }

    fn verb(self, ms: u64) -> serde_json::Value {
        match self {
            Self::Unplug => json!({"unplug": ms}),
            Self::Hang => json!({"script": [{"answer": 1, "do": "hang", "ms": ms}]}),
            Self::Garbage => json!({"script": [{"answer": 1, "do": "garbage"}, {"answer": 2, "do": "garbage"}]}),
            Self::Drop => json!({"script": [{"answer": 1, "do": "drop"}]}),
            Self::Slow => json!({"script": [{"answer": 1, "do": "slow", "ms": ms.min(900)}]}),
            Self::WrongLength => json!({"script": [{"answer": 1, "do": "wrong_length"}]}),
        }
    }
}

/// Disturbs every device of the disturbed lanes until `stop`; what was done.
pub(crate) fn disturb(floor: &Floor, seed: u64, stop: &AtomicBool) -> Vec<Fault> {
    let mut dice = Dice(seed | 1);
    let begun = Instant::now();
    let mut plans: Vec<(&Device, Instant, Option<Instant>)> = floor
        .devices
        .iter()
        .filter(|device| device.lane < floor.calm)
        .map(|device| (device, begun + Duration::from_millis(dice.below(6_000)), None))
        .collect();
    let mut faults = Vec::new();
    loop {
        let ending = stop.load(Ordering::Relaxed);
        for (device, next, running) in &mut plans {
            let now = Instant::now();
            if let Some(end) = running.filter(|end| *end <= now || ending) {
                *running = None;
                *next = end.max(now) + Duration::from_millis(dice.within(CALM_MS));
                floor.hand(device, json!({"script": []}));
            } else if running.is_none() && *next <= now && !ending {
                let choices = What::of(device);
                let what = choices[usize::try_from(dice.below(choices.len() as u64)).unwrap_or(0)];
                let ms = dice.within(400..4_000);
                floor.hand(device, what.verb(ms));
                let end = now + Duration::from_millis(ms);
                *running = Some(end);
                faults.push(Fault { device: device.name.clone(), what, start: now, end });
            }
        }
        if ending {
            return faults;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A look at a device: when, and whether it delivered.
pub(crate) type Look = (Instant, String, bool);

/// Looks at all devices several times a second until `stop`.
pub(crate) fn look(floor: &Floor, stop: &AtomicBool) -> Vec<Look> {
    let mut looks: Vec<Look> = Vec::new();
    let mut last: std::collections::BTreeMap<String, bool> = std::collections::BTreeMap::new();
    while !stop.load(Ordering::Relaxed) {
        for (device, up) in floor.up().unwrap_or_default() {
            // Only changes are worth keeping.
            if last.insert(device.clone(), up) != Some(up) {
                looks.push((Instant::now(), device, up));
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    looks
}
