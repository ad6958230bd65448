//! Coupons: shown with a basket, redeemed once with the sale that used them, free again when the basket is given up.
//!
//! A single-use coupon is claimed at headquarters first ([`claim`]); offline a store redeems what its lease of the campaign
//! allows. Codes of signed campaigns ([`code`]) are told from forged ones without the network, also those that receipts of
//! other stores hand out ([`issue`]).

mod claim;
pub mod code;
mod issue;

pub(crate) use claim::Claim;
pub use issue::Issued;

use crate::basket::{BasketEvent, Transaction};
use crate::device::Beep;
use crate::event::Event;
use crate::page::Refused;
use crate::recent::Recent;
use crate::refusal::LineRefusal;
use crate::scan::{CouponCode, CouponScheme};
use crate::turn::Turn;
use crate::words::{LaneId, LocalMinute, Name};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use code::Body;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CouponEvent {
    Shown(Coupon),
    Removed { campaign: String, serial: String },
}

/// One coupon with a basket, or redeemed with a sale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coupon {
    pub campaign: String,
    pub serial: String,
    pub name: Name,
    /// Under this lease, where headquarters was away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<u64>,
    /// Each serial counts once.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub single_use: bool,
    /// The minute of the store's clock that found it valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown_at: Option<LocalMinute>,
}

/// What this store has redeemed; a fold of its sales.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redeemed {
    /// Single-use serials.
    pub serials: Recent,
    /// By campaign: the lease last drawn on, and how many of it are gone.
    pub leases: BTreeMap<String, (u64, u32)>,
}

impl Redeemed {
    pub(crate) fn take(&mut self, coupon: &Coupon) {
        if coupon.single_use {
            self.serials.remember(coupon.id());
        }
        if let Some(lease) = coupon.lease {
            let (current, gone) = self.leases.entry(coupon.campaign.clone()).or_default();
            if *current != lease {
                (*current, *gone) = (lease, 0);
            }
            *gone = gone.saturating_add(1);
        }
    }

    /// Redeemed elsewhere, as headquarters says, or taken back with the goods it came with.
    pub(crate) fn is_gone(&mut self, campaign: &str, serial: &str) {
        self.serials.remember(id(campaign, serial));
    }

    fn gone(&self, campaign: &str, lease: u64) -> u32 {
        self.leases.get(campaign).filter(|(current, _)| *current == lease).map_or(0, |(_, gone)| *gone)
    }
}

impl Coupon {
    fn id(&self) -> String {
        id(&self.campaign, &self.serial)
    }

    fn is(&self, campaign: &str, serial: &str) -> bool {
        self.campaign == campaign && self.serial == serial
    }
}

fn id(campaign: &str, serial: &str) -> String {
    alloc::format!("{campaign}.{serial}")
}

impl Transaction {
    pub(crate) fn apply_coupon(&mut self, event: &CouponEvent) {
        match event {
            CouponEvent::Shown(coupon) => self.coupons.push(coupon.clone()),
            CouponEvent::Removed { campaign, serial } => {
                self.coupons.retain(|coupon| !coupon.is(campaign, serial));
            }
        }
    }

    /// The coupons that saved something: those of campaigns whose promotion touched a line. The others stay the shopper's.
    #[must_use]
    pub fn redeemed(&self) -> Vec<Coupon> {
        self.coupons.iter().filter(|coupon| self.redeems.contains(&coupon.campaign)).cloned().collect()
    }
}

impl Turn<'_> {
    pub(crate) fn coupon_code(&mut self, lane: LaneId, code: &CouponCode) {
        if self.money_moves(lane) {
            return self.refuse_line(lane, LineRefusal::Paying, None);
        }
        match self.checked(code) {
            Ok(coupon) if self.is_claimed(lane, &coupon) => {}
            Ok(coupon) => match self.check_free(lane, &coupon) {
                Ok(()) if coupon.single_use && coupon.lease.is_none() => self.claim(lane, coupon),
                Ok(()) => self.show_coupon(lane, coupon),
                Err(reason) => self.refuse_line(lane, reason, None),
            },
            Err(reason) => self.refuse_line(lane, reason, None),
        }
    }

    fn show_coupon(&mut self, lane: LaneId, coupon: Coupon) {
        self.begin(lane);
        self.record(Some(lane), Event::Basket(BasketEvent::Coupon(CouponEvent::Shown(coupon))));
        self.beep(lane, Beep::Good);
        self.basket_changed(lane);
    }

    fn checked(&self, code: &CouponCode) -> Result<Coupon, LineRefusal> {
        if code.scheme != CouponScheme::Ours {
            return Err(LineRefusal::NotTaken);
        }
        let body = Body::read(&code.code).ok_or(LineRefusal::UnknownCoupon)?;
        let campaign = self.catalog.campaign(body.campaign).ok_or(LineRefusal::UnknownCoupon)?;
        if campaign.signed {
            match body.is_genuine(|text| self.catalog.coupon_mac(text)) {
                Some(true) => {}
                Some(false) => return Err(LineRefusal::UnknownCoupon),
                None => return Err(LineRefusal::CouponUnchecked),
            }
        }
        let now = self.now.local();
        if !campaign.holds(now) || body.is_over(now) {
            return Err(LineRefusal::CouponExpired);
        }
        Ok(Coupon {
            campaign: campaign.id.clone(),
            serial: body.serial.into(),
            name: campaign.name.clone(),
            lease: (!self.live.online).then_some(campaign.lease_no),
            single_use: campaign.single_use,
            shown_at: Some(now),
        })
    }

    /// Not redeemed here before, not with another basket, not more than one basket or the lease may have.
    fn check_free(&self, lane: LaneId, coupon: &Coupon) -> Result<(), LineRefusal> {
        let campaign = self.catalog.campaign(&coupon.campaign).ok_or(LineRefusal::UnknownCoupon)?;
        let open = self.facts.lanes.values().filter_map(|lane| lane.open.as_ref());
        let waiting = self.facts.suspended.values().map(|waiting| &waiting.basket);
        let claimed = self.live.lanes.values().flat_map(|lane| &lane.claims).map(|claim| &claim.coupon);
        let shown: Vec<&Coupon> = open.chain(waiting).flat_map(|basket| &basket.coupons).chain(claimed).collect();
        let redeemed = self.facts.coupons.serials.knows(&coupon.id());
        if coupon.single_use && (redeemed || shown.iter().any(|other| other.is(&coupon.campaign, &coupon.serial))) {
            return Err(LineRefusal::CouponUsed);
        }
        let here = self.open(lane).map(|open| open.coupons.iter().filter(|one| one.campaign == campaign.id).count());
        let enough = |most| here.unwrap_or(0) >= usize::try_from(most).unwrap_or(usize::MAX);
        if campaign.per_basket.is_some_and(enough) {
            return Err(LineRefusal::CouponEnough);
        }
        let Some(lease) = coupon.lease else { return Ok(()) };
        let held = shown.iter().filter(|other| other.campaign == coupon.campaign && other.lease == Some(lease)).count();
        let gone = usize::try_from(self.facts.coupons.gone(&coupon.campaign, lease)).unwrap_or(usize::MAX);
        if gone.saturating_add(held) >= usize::try_from(campaign.lease).unwrap_or(usize::MAX) {
            return Err(LineRefusal::CouponOffline);
        }
        Ok(())
    }

    pub(crate) fn remove_coupon(&mut self, lane: LaneId, campaign: String, serial: String) -> Result<(), Refused> {
        let shown = |coupon: &Coupon| coupon.is(&campaign, &serial);
        if !self.editable(lane)?.coupons.iter().any(shown) {
            return Err(Refused::NothingHere);
        }
        self.record(Some(lane), Event::Basket(BasketEvent::Coupon(CouponEvent::Removed { campaign, serial })));
        self.basket_changed(lane);
        Ok(())
    }
}
