//! A basket left behind at a kiosk or on a phone is given up after a while: never during a payment, never with money in it,
//! never while a person of the staff is on the way.

use crate::basket::VoidReason;
use crate::turn::Turn;
use crate::view::LaneKind;
use crate::words::LaneId;

impl Turn<'_> {
    /// Somebody or something moved at `lane`: the wait begins anew.
    pub(crate) fn touched(&mut self, lane: LaneId) {
        let due = self.config.till.idle_reset_ms.filter(|_| self.may_be_abandoned(lane));
        self.live.lane(lane).idle_due = due.map(|ms| self.now.mono.plus_ms(ms));
    }

    fn may_be_abandoned(&self, lane: LaneId) -> bool {
        let unattended = |kind| matches!(kind, LaneKind::Kiosk | LaneKind::Phone);
        self.open(lane).is_some() && self.config.lane(lane).is_some_and(|lane| unattended(lane.kind))
    }

    pub(crate) fn idle_tick(&mut self, lane: LaneId) {
        let now = self.now.mono;
        if self.live.lane(lane).idle_due.take_if(|due| *due <= now).is_none() {
            return;
        }
        // Nobody showed a wallet code for so long: nothing of that payment has begun, and the wait for it ends.
        let waited = self.live.lane(lane).wants_code.take().is_some();
        let Some(open) = self.open(lane) else { return };
        let helped = self.facts.lanes.get(&lane).is_some_and(|facts| facts.help_since.is_some())
            || open.interventions.iter().any(|asked| asked.answer.is_none());
        if helped || waited || self.money_moves(lane) {
            return self.touched(lane);
        }
        let transaction = open.id.clone();
        let seconds = self.config.till.idle_reset_ms.unwrap_or(0) / 1000;
        let why = VoidReason::Idle { seconds: u32::try_from(seconds).unwrap_or(u32::MAX) };
        self.void(lane, transaction, None, Some(why));
    }
}
