//! The lane's camera as a scanner: open after a tap, for a minute at most, and while goods or a wallet code may be shown.
//!
//! What it reads goes the way of every other scan. Nothing looks at faces in such a session, and what a camera says
//! outside of one is not heard.

use crate::event::Event;
use crate::lane::LaneEvent;
use crate::page::Refused;
use crate::turn::Turn;
use crate::view::Phase;
use crate::words::{DeviceId, LaneId};

/// One tap opens the camera for so long.
pub const CAMERA_MS: u64 = 60_000;

impl Turn<'_> {
    pub(crate) fn open_camera(&mut self, lane: LaneId) -> Result<(), Refused> {
        let device = self.camera_of(lane).ok_or(Refused::CameraUnavailable)?;
        if !self.live.device(&device).up {
            return Err(Refused::CameraUnavailable);
        }
        if !self.looks_for_codes(lane) {
            return Err(Refused::Paying);
        }
        // One picture is for one purpose.
        let face = self.live.lane(lane).face.as_ref();
        if face.is_some_and(|face| face.outcome.is_none()) {
            return Err(Refused::CameraUnavailable);
        }
        self.record(Some(lane), Event::Lane(LaneEvent::CameraOpened));
        self.live.lane(lane).camera_until = Some(self.now.mono.plus_ms(CAMERA_MS));
        Ok(())
    }

    pub(crate) fn close_camera(&mut self, lane: LaneId) -> Result<(), Refused> {
        self.live.lane(lane).camera_until.take().map(drop).ok_or(Refused::NothingHere)
    }

    /// The lane `device` scans for; a camera only while it was asked to look.
    pub(crate) fn scans_for(&self, device: &DeviceId) -> Option<LaneId> {
        let lane = self.config.lanes_of(device).first().copied()?;
        let asked = self.live.lanes.get(&lane).is_some_and(|live| live.camera_until.is_some());
        (asked || self.camera_of(lane).as_ref() != Some(device)).then_some(lane)
    }

    /// Where nothing is to be scanned any more the camera closes, and does not open again by itself.
    pub(crate) fn camera_rest(&mut self, lane: LaneId) {
        if !self.looks_for_codes(lane)
            && let Some(live) = self.live.lanes.get_mut(&lane)
        {
            live.camera_until = None;
        }
    }

    pub(crate) fn camera_tick(&mut self, lane: LaneId) {
        let now = self.now.mono;
        let live = self.live.lane(lane);
        live.camera_until = live.camera_until.filter(|until| *until > now);
    }

    pub(crate) fn camera_down(&mut self, lane: LaneId, device: &DeviceId) {
        if self.camera_of(lane).as_ref() == Some(device) && self.live.lane(lane).camera_until.take().is_some() {
            let (zh, en) = ("摄像头暂不可用，请用扫码枪", "The camera is not available, please use the scanner");
            self.notice(lane, false, (zh, en));
        }
    }

    /// Whether something may be scanned at `lane` just now.
    pub(crate) fn looks_for_codes(&self, lane: LaneId) -> bool {
        match crate::picture::phase_of(self.facts, self.live, lane) {
            Phase::Idle | Phase::Scanning | Phase::Weighing | Phase::Done | Phase::Handed => true,
            Phase::Paying => self.live.lanes.get(&lane).is_some_and(|live| live.wants_code.is_some()),
            Phase::InDoubt | Phase::Staff => false,
        }
    }

    fn camera_of(&self, lane: LaneId) -> Option<DeviceId> {
        self.config.lane(lane)?.camera.clone()
    }
}
