//! What stands at the lane for the shopper to see, and whether its scanners look: told to the devices when it changes.

use crate::device::{DeviceCommand, LaneLight, Show, Shown, Trigger};
use crate::picture::phase_of;
use crate::turn::{Effect, Turn};
use crate::view::Phase;
use crate::words::{DeviceId, LaneId, Money};
use alloc::vec::Vec;

impl Turn<'_> {
    /// After every input: each display, light and scanner of a lane hears what is new to it.
    pub(crate) fn signs(&mut self) {
        let lanes: Vec<LaneId> = self.config.lanes.iter().map(|lane| lane.lane).collect();
        for lane in lanes {
            self.camera_rest(lane);
            let camera = self.config.lane(lane).and_then(|config| config.camera.clone());
            for (device, command) in self.wanted(lane) {
                // What a scanner and a camera do without a word.
                let untold = if camera.as_ref() == Some(&device) { Trigger::Off } else { Trigger::On };
                let state = self.live.device(&device);
                let default = command == DeviceCommand::Trigger(untold) && state.sign.is_none();
                if !state.up || default || state.sign.as_ref() == Some(&command) {
                    continue;
                }
                state.sign = Some(command.clone());
                self.out.effects.push(Effect::Device { device, command });
            }
        }
    }

    fn wanted(&self, lane: LaneId) -> Vec<(DeviceId, DeviceCommand)> {
        let Some(config) = self.config.lane(lane) else { return Vec::new() };
        let phase = phase_of(self.facts, self.live, lane);
        let pull = |on| DeviceCommand::Trigger(if on { Trigger::On } else { Trigger::Off });
        let scans = self.looks_for_codes(lane);
        let tapped = self.live.lanes.get(&lane).is_some_and(|live| live.camera_until.is_some());
        let scanners = config.scanners.iter().map(|scanner| (scanner.clone(), pull(scans)));
        let camera = config.camera.iter().map(|camera| (camera.clone(), pull(tapped)));
        let display =
            config.display.iter().map(|name| (name.clone(), DeviceCommand::Show(self.shown(lane, phase).into())));
        let light = config.light.iter().map(|name| (name.clone(), DeviceCommand::Light(self.light(lane, phase))));
        scanners.chain(camera).chain(display).chain(light).collect()
    }

    fn light(&self, lane: LaneId, phase: Phase) -> LaneLight {
        let facts = self.facts.lanes.get(&lane);
        let asked = self.open(lane).is_some_and(|open| open.interventions.iter().any(|asked| asked.answer.is_none()));
        if asked || phase == Phase::Staff || facts.is_some_and(|facts| facts.help_since.is_some()) {
            return LaneLight::Attention;
        }
        match phase {
            Phase::Idle | Phase::Handed => LaneLight::Free,
            Phase::Scanning | Phase::Weighing | Phase::Paying | Phase::InDoubt | Phase::Staff | Phase::Done => {
                LaneLight::Busy
            }
        }
    }

    fn shown(&self, lane: LaneId, phase: Phase) -> Show {
        let facts = self.facts.lanes.get(&lane);
        let what = match (self.open(lane), phase) {
            (Some(open), Phase::Scanning | Phase::Weighing) => match open.live_lines().last() {
                Some(line) => Shown::Line { name: line.name.clone(), price: line.total(), total: open.total() },
                None => Shown::Welcome { store: self.config.store.clone() },
            },
            (Some(open), _) => Shown::Due { due: open.due().max(Money::ZERO) },
            (None, Phase::Done) => {
                let change = facts.and_then(|facts| facts.last_sale.as_ref()).map(|last| last.sale.change);
                Shown::Paid { change: change.unwrap_or(Money::ZERO) }
            }
            (None, _) => Shown::Welcome { store: self.config.store.clone() },
        };
        let language = self.live.lanes.get(&lane).map(|live| live.language).unwrap_or_default();
        Show { language, currency: self.config.currency.clone(), what }
    }
}
