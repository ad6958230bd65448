//! One journal folded up to a row, and what a sale will be held against when it is completed: which versions of which datasets
//! priced the open baskets, and what goods brought back were worth when they were.

use super::sales;
use crate::db::Connection;
use anyhow::Result;
use checkout::basket::BasketEvent;
use checkout::coupon::{Coupon, CouponEvent};
use checkout::event::{Event, Record};
use checkout::facts::Facts;
use checkout::line::{Line, LineKind};
use checkout::member::MemberEvent;
use checkout::returns::worth;
use checkout::words::{LineNo, Money};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Replay {
    pub(super) seq: i64,
    pub(super) checked: i64,
    /// Row of the last fold kept on disk.
    pub(super) kept: i64,
    pub(super) facts: Facts,
    #[serde(default)]
    pub(super) open: BTreeMap<String, Priced>,
}

/// What an open basket was priced with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Priced {
    /// In force when it was last worked out.
    pub(super) promotions: u64,
    pub(super) members: u64,
    /// What its member had used in that store by then.
    #[serde(default)]
    pub(super) used: BTreeMap<String, u32>,
    /// In force when each of its coupons was shown.
    pub(super) coupons: BTreeMap<String, u64>,
    pub(super) back: BTreeMap<LineNo, Back>,
}

/// A line of goods brought back with their receipt, as headquarters saw it when it was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Back {
    pub(super) amount: Money,
    /// Pieces that could still come back.
    pub(super) left: u32,
}

/// What a coupon is called in [`Priced::coupons`].
pub(super) fn coupon_id(coupon: &Coupon) -> String {
    format!("{}.{}", coupon.campaign, coupon.serial)
}

impl Replay {
    pub(super) fn version(&self, dataset: &str) -> u64 {
        self.facts.datasets.get(dataset).map_or(0, |in_force| in_force.version)
    }

    pub(super) fn fold(&mut self, record: &Record, hq: &Connection) -> Result<()> {
        let back = self.back(record, hq)?;
        self.facts.apply(record);
        if let Event::Basket(BasketEvent::Completed(sale)) = &record.event {
            self.open.remove(&sale.transaction.0);
        } else if let Event::Basket(BasketEvent::Voided { transaction, .. }) = &record.event {
            self.open.remove(&transaction.0);
        }
        let versions = ["promotions", "members", "coupons"].map(|dataset| self.version(dataset));
        let open = record.lane.and_then(|lane| self.facts.lanes.get(&lane)?.open.as_ref());
        let Some(open) = open.filter(|_| works_out(&record.event)) else { return Ok(()) };
        let used = |id| self.facts.used(id, BTreeMap::new(), &open.id);
        let used = open.member.as_ref().map(|known| used(&known.member)).unwrap_or_default();
        let priced = self.open.entry(open.id.0.clone()).or_default();
        let coupons;
        [priced.promotions, priced.members, coupons] = versions;
        priced.used = used;
        priced.back.extend(back);
        if let Event::Basket(BasketEvent::Coupon(CouponEvent::Shown(coupon))) = &record.event {
            priced.coupons.insert(coupon_id(coupon), coupons);
        }
        Ok(())
    }

    /// Before the line counts: what is brought back now is worth what earlier pieces left of it.
    fn back(&self, record: &Record, hq: &Connection) -> Result<Option<(LineNo, Back)>> {
        let Event::Basket(BasketEvent::LineAdded(line)) = &record.event else { return Ok(None) };
        let Some(bought) = bought(line) else { return Ok(None) };
        let Some(sold) = sales::sold(hq, &bought.transaction)? else { return Ok(None) };
        let Some(of) = sold.sale.lines.iter().find(|of| of.no == bought.line) else { return Ok(None) };
        let back = self.facts.back(&bought.transaction, bought.line);
        let left = of.quantity.saturating_sub(back.quantity);
        Ok(Some((line.no, Back { amount: worth(of, back, line.quantity), left })))
    }
}

pub(super) fn bought(line: &Line) -> Option<&checkout::returns::Bought> {
    line.returned.as_ref().filter(|_| line.kind == LineKind::Returned)?.bought.as_ref()
}

/// Whether the box works its basket out again after that. One that waits for another lane stays as it was.
fn works_out(event: &Event) -> bool {
    match event {
        Event::Basket(event) => match event {
            BasketEvent::LineAdded(_)
            | BasketEvent::Coupon(_)
            | BasketEvent::QuantityChanged { .. }
            | BasketEvent::LineVoided { .. }
            | BasketEvent::PriceOverridden { .. }
            | BasketEvent::SavingsSet { .. } => true,
            BasketEvent::Started { .. }
            | BasketEvent::LineRefused { .. }
            | BasketEvent::Noted { .. }
            | BasketEvent::Voided { .. }
            | BasketEvent::VoidBegun { .. }
            | BasketEvent::Suspended { .. }
            | BasketEvent::Resumed { .. }
            | BasketEvent::Completed(_) => false,
        },
        Event::Member(event) => match event {
            MemberEvent::Identified(_) | MemberEvent::Switched { .. } | MemberEvent::Removed {} => true,
            MemberEvent::FaceConsented { .. }
            | MemberEvent::FaceEnded { .. }
            | MemberEvent::FaceEnrolConsented { .. }
            | MemberEvent::FaceEnrolled { .. }
            | MemberEvent::FaceEnrolRefused { .. }
            | MemberEvent::FaceWithdrawn { .. }
            | MemberEvent::FaceReopened { .. }
            | MemberEvent::FacePayAsked { .. }
            | MemberEvent::FacePayConfirmed { .. }
            | MemberEvent::FacePayDisputed { .. }
            | MemberEvent::DataShown { .. } => false,
        },
        Event::Store(_) | Event::Lane(_) | Event::Tender(_) | Event::Shift(_) | Event::Box(_) | Event::Control(_) => {
            false
        }
    }
}
