//! Staff at a lane: shown by a badge scanned there, for a minute.

use crate::event::Event;
use crate::lane::LaneEvent;
use crate::page::{Attendant, Refused, StaffRequest};
use crate::refusal::LineRefusal;
use crate::turn::Turn;
use crate::words::{LaneId, Mono, Private};
use alloc::string::String;

/// Longer than an answer takes, shorter than a way through the shop.
pub const ATTEND_MS: u64 = 60_000;

#[derive(Clone, Debug)]
pub(crate) struct Attending {
    pub(crate) by: Attendant,
    pub(crate) until: Mono,
}

impl Turn<'_> {
    pub(crate) fn badge(&mut self, lane: LaneId, badge: &Private<String>) {
        let known = self.config.staff.iter().find(|staff| staff.badge.as_ref() == Some(badge));
        match known {
            Some(staff) => {
                let by = Attendant { staff: staff.staff.clone(), role: staff.role };
                self.attend(lane, by);
                self.beep(lane, crate::device::Beep::Good);
            }
            None => self.refuse_line(lane, LineRefusal::UnknownBadge, None),
        }
    }

    pub(crate) fn attend(&mut self, lane: LaneId, by: Attendant) {
        let until = self.now.mono.plus_ms(ATTEND_MS);
        self.record(Some(lane), Event::Lane(LaneEvent::AttendantCame { staff: by.staff.clone() }));
        self.live.lane(lane).attending = Some(Attending { by, until });
    }

    /// The badge alone speaks for its owner only where the shop says so: a badge can be copied, a PIN is known.
    pub(crate) fn badged(&mut self, lane: LaneId, request: StaffRequest) -> Result<(), Refused> {
        let by =
            self.live.lane(lane).attending.as_ref().map(|attending| attending.by.clone()).ok_or(Refused::StaffOnly)?;
        if !self.config.floor.badge_without_pin {
            return Err(Refused::PinNeeded);
        }
        self.staff(lane, by, request)
    }

    pub(crate) fn attend_tick(&mut self, lane: LaneId) {
        let now = self.now.mono;
        self.live.lane(lane).attending.take_if(|attending| attending.until <= now);
    }
}
