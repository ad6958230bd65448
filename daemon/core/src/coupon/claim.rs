//! A single-use coupon is asked about before it counts: headquarters hears of every store's. Where it says nothing in time, the
//! store goes by its lease, and what turns out to have been used elsewhere is recorded and listed.

use super::{Coupon, CouponEvent};
use crate::basket::BasketEvent;
use crate::event::Event;
use crate::refusal::LineRefusal;
use crate::store::StoreEvent;
use crate::turn::{Effect, Turn};
use crate::wire::Question;
use crate::words::{LaneId, Mono};
use alloc::string::String;
use alloc::vec::Vec;

/// What a shopper waits for gladly.
const ANSWER_MS: u32 = 1_500;

/// A coupon headquarters is asked about.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) coupon: Coupon,
    pub(crate) until: Mono,
}

impl Turn<'_> {
    pub(super) fn is_claimed(&self, lane: LaneId, coupon: &Coupon) -> bool {
        let claims = self.live.lanes.get(&lane).map(|live| live.claims.as_slice()).unwrap_or_default();
        claims.iter().any(|claim| claim.coupon.is(&coupon.campaign, &coupon.serial))
    }

    pub(super) fn claim(&mut self, lane: LaneId, coupon: Coupon) {
        self.ask_about(&coupon);
        let until = self.now.mono.plus_ms(u64::from(ANSWER_MS));
        self.live.lane(lane).claims.push(Claim { coupon, until });
    }

    fn ask_about(&mut self, coupon: &Coupon) {
        let what = Question::ClaimCoupon { campaign: coupon.campaign.clone(), serial: coupon.serial.clone() };
        self.out.effects.push(Effect::Ask { wait_ms: ANSWER_MS, what });
    }

    /// Headquarters is there again: what baskets hold under a lease is asked about while it can still be taken out.
    pub(crate) fn claim_leased(&mut self) {
        let open = self.facts.lanes.values().filter_map(|lane| lane.open.as_ref());
        let leased = |coupon: &&Coupon| coupon.single_use && coupon.lease.is_some();
        let coupons: Vec<Coupon> = open.flat_map(|basket| &basket.coupons).filter(leased).cloned().collect();
        coupons.iter().for_each(|coupon| self.ask_about(coupon));
    }

    /// `used`: the box that redeemed it or has it in a basket.
    pub(crate) fn coupon_answer(&mut self, campaign: &str, serial: &str, used: Option<String>) {
        let waiting = self.live.lanes.iter_mut().find_map(|(lane, live)| {
            let index = live.claims.iter().position(|claim| claim.coupon.is(campaign, serial))?;
            Some((*lane, live.claims.remove(index).coupon))
        });
        match (waiting, used) {
            (Some((lane, coupon)), None) => self.settle(lane, coupon),
            (Some((lane, _)), Some(_)) => self.refuse_line(lane, LineRefusal::CouponUsed, None),
            (None, Some(place)) if place != self.config.box_id => self.conflict(campaign, serial, place),
            (None, _) => {}
        }
    }

    /// The deadlines of `lane`'s claims that have come: the store goes by its lease.
    pub(crate) fn claim_tick(&mut self, lane: LaneId) {
        let now = self.now.mono;
        let live = self.live.lane(lane);
        let (over, waiting): (Vec<Claim>, _) =
            core::mem::take(&mut live.claims).into_iter().partition(|claim| claim.until <= now);
        live.claims = waiting;
        for Claim { coupon, .. } in over {
            let lease = self.catalog.campaign(&coupon.campaign).map(|campaign| campaign.lease_no);
            self.settle(lane, Coupon { lease, ..coupon });
        }
    }

    fn settle(&mut self, lane: LaneId, coupon: Coupon) {
        if self.money_moves(lane) {
            return self.refuse_line(lane, LineRefusal::Paying, None);
        }
        match self.check_free(lane, &coupon) {
            Ok(()) => self.show_coupon(lane, coupon),
            Err(reason) => self.refuse_line(lane, reason, None),
        }
    }

    /// A coupon this store took under its lease was used elsewhere: it leaves the basket it is in; a sale stands.
    fn conflict(&mut self, campaign: &str, serial: &str, place: String) {
        let holds = |lane: &LaneId| {
            self.open(*lane).is_some_and(|open| open.coupons.iter().any(|coupon| coupon.is(campaign, serial)))
        };
        let lane = self.facts.lane_ids().into_iter().find(holds);
        let (campaign, serial) = (String::from(campaign), String::from(serial));
        let event = StoreEvent::CouponConflict { campaign: campaign.clone(), serial: serial.clone(), place };
        self.record(None, Event::Store(event));
        let Some(lane) = lane.filter(|lane| !self.money_moves(*lane)) else { return };
        self.record(Some(lane), Event::Basket(BasketEvent::Coupon(CouponEvent::Removed { campaign, serial })));
        self.basket_changed(lane);
        self.notice(lane, false, LineRefusal::CouponUsed.text());
    }
}
