//! Coupons: shown with a basket, redeemed once with the sale that used them, free again when the basket is given up.
//!
//! Our own codes say `campaign.serial`, of signed campaigns with a keyed code behind (`campaign.serial.mac`), so that a store
//! can tell its own paper without the network. Offline a store redeems what its lease of the campaign allows.

use crate::basket::{BasketEvent, Transaction};
use crate::catalog::Campaign;
use crate::device::Beep;
use crate::event::Event;
use crate::page::Refused;
use crate::recent::Recent;
use crate::refusal::LineRefusal;
use crate::scan::{CouponCode, CouponScheme};
use crate::turn::Turn;
use crate::words::{LaneId, Name};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
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

    fn gone(&self, campaign: &str, lease: u64) -> u32 {
        self.leases.get(campaign).filter(|(current, _)| *current == lease).map_or(0, |(_, gone)| *gone)
    }
}

impl Coupon {
    fn id(&self) -> String {
        alloc::format!("{}.{}", self.campaign, self.serial)
    }
}

impl Transaction {
    pub(crate) fn apply_coupon(&mut self, event: &CouponEvent) {
        match event {
            CouponEvent::Shown(coupon) => self.coupons.push(coupon.clone()),
            CouponEvent::Removed { campaign, serial } => {
                self.coupons.retain(|coupon| coupon.campaign != *campaign || coupon.serial != *serial);
            }
        }
    }
}

impl Turn<'_> {
    pub(crate) fn coupon_code(&mut self, lane: LaneId, code: &CouponCode) {
        if self.money_moves(lane) {
            return self.refuse_line(lane, LineRefusal::Paying, None);
        }
        match self.checked(lane, code) {
            Ok(coupon) => {
                self.begin(lane);
                self.record(Some(lane), Event::Basket(BasketEvent::Coupon(CouponEvent::Shown(coupon))));
                self.beep(lane, Beep::Good);
                self.basket_changed(lane);
            }
            Err(reason) => self.refuse_line(lane, reason, None),
        }
    }

    fn checked(&self, lane: LaneId, code: &CouponCode) -> Result<Coupon, LineRefusal> {
        if code.scheme != CouponScheme::Ours {
            return Err(LineRefusal::NotTaken);
        }
        let mut parts = code.code.splitn(3, '.');
        let (Some(id), Some(serial), mac) = (parts.next(), parts.next(), parts.next()) else {
            return Err(LineRefusal::UnknownCoupon);
        };
        let campaign = self.catalog.campaign(id).ok_or(LineRefusal::UnknownCoupon)?;
        if campaign.signed {
            let signed = self.catalog.coupon_mac(&alloc::format!("{id}.{serial}"));
            if signed.is_none() || signed.as_deref() != mac {
                return Err(LineRefusal::UnknownCoupon);
            }
        }
        let now = self.now.local();
        if campaign.from.is_some_and(|from| now < from) || campaign.until.is_some_and(|until| now >= until) {
            return Err(LineRefusal::CouponExpired);
        }
        let lease = (!self.live.online).then_some(campaign.lease_no);
        let name = campaign.name.clone();
        let coupon =
            Coupon { campaign: id.into(), serial: serial.into(), name, lease, single_use: campaign.single_use };
        self.check_free(lane, &campaign, &coupon)?;
        Ok(coupon)
    }

    /// Not redeemed here before, not with another basket, not more than one basket or the lease may have.
    fn check_free(&self, lane: LaneId, campaign: &Campaign, coupon: &Coupon) -> Result<(), LineRefusal> {
        let open = self.facts.lanes.values().filter_map(|lane| lane.open.as_ref());
        let waiting = self.facts.suspended.values().map(|waiting| &waiting.basket);
        let shown: Vec<&Coupon> = open.chain(waiting).flat_map(|basket| &basket.coupons).collect();
        let same = |other: &&&Coupon| other.campaign == coupon.campaign && other.serial == coupon.serial;
        let redeemed = self.facts.coupons.serials.knows(&coupon.id());
        if campaign.single_use && (redeemed || shown.iter().any(|other| same(&other))) {
            return Err(LineRefusal::CouponUsed);
        }
        let here =
            self.open(lane).map_or(0, |open| open.coupons.iter().filter(|one| one.campaign == coupon.campaign).count());
        if campaign.per_basket.is_some_and(|most| here >= usize::try_from(most).unwrap_or(usize::MAX)) {
            return Err(LineRefusal::CouponEnough);
        }
        if let Some(lease) = coupon.lease {
            let held =
                shown.iter().filter(|other| other.campaign == coupon.campaign && other.lease == Some(lease)).count();
            let gone = usize::try_from(self.facts.coupons.gone(&coupon.campaign, lease)).unwrap_or(usize::MAX);
            if gone.saturating_add(held) >= usize::try_from(campaign.lease).unwrap_or(usize::MAX) {
                return Err(LineRefusal::CouponOffline);
            }
        }
        Ok(())
    }

    pub(crate) fn remove_coupon(&mut self, lane: LaneId, campaign: String, serial: String) -> Result<(), Refused> {
        let shown = |coupon: &Coupon| coupon.campaign == campaign && coupon.serial == serial;
        if !self.editable(lane)?.coupons.iter().any(shown) {
            return Err(Refused::NothingHere);
        }
        self.record(Some(lane), Event::Basket(BasketEvent::Coupon(CouponEvent::Removed { campaign, serial })));
        self.basket_changed(lane);
        Ok(())
    }

    /// The coupons that saved something: those of campaigns whose promotion touched a line. The others stay the shopper's.
    pub(crate) fn redeemed(&self, open: &Transaction) -> Vec<Coupon> {
        let offers = open.live_lines().flat_map(|line| &line.savings).map(|saving| saving.offer.as_str());
        let promotions = offers.filter_map(|offer| self.catalog.promotions().by_id(offer));
        let campaigns: BTreeSet<&str> = promotions.filter_map(|promotion| promotion.coupon.as_deref()).collect();
        open.coupons.iter().filter(|coupon| campaigns.contains(coupon.campaign.as_str())).cloned().collect()
    }
}
