//! The box's side of pricing: the open basket is worked out again after every change, and what changed is recorded.

use super::{MemberTerms, Terms, price};
use crate::basket::{BasketEvent, Transaction};
use crate::event::Event;
use crate::line::{Line, LineSaving};
use crate::turn::Turn;
use crate::words::{LaneId, MemberId};
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

impl Turn<'_> {
    /// Works the basket out again and records what changed.
    pub(crate) fn reprice(&mut self, lane: LaneId) {
        let Some(open) = self.open(lane) else { return };
        let terms = self.terms(open);
        let lines: Vec<&Line> = open.live_lines().collect();
        let priced = price(&lines, &terms, self.now.local(), &self.config.price, self.catalog.promotions());
        let current: Vec<&LineSaving> = open.live_lines().flat_map(|line| &line.savings).collect();
        let redeems = self.redeems(&priced.savings);
        let same = priced.savings.iter().eq(current)
            && (&priced.uses, priced.added_tax, &redeems) == (&open.uses, open.added_tax, &open.redeems);
        let nobody = priced.savings.is_empty() && terms.is_plain() && open.terms.is_plain();
        if same && (nobody || terms == open.terms) {
            return;
        }
        let (savings, uses, added_tax) = (priced.savings, priced.uses, priced.added_tax);
        self.record(Some(lane), Event::Basket(BasketEvent::SavingsSet { savings, uses, terms, added_tax, redeems }));
    }

    /// Said with the savings: promotions may be others by the time a basket that waited is paid.
    fn redeems(&self, savings: &[LineSaving]) -> Vec<String> {
        let promotions = savings.iter().filter_map(|saving| self.catalog.promotions().by_id(&saving.offer));
        let campaigns: BTreeSet<&String> = promotions.filter_map(|promotion| promotion.coupon.as_ref()).collect();
        campaigns.into_iter().cloned().collect()
    }

    fn terms(&self, open: &Transaction) -> Terms {
        let terms = |id: &MemberId| {
            let known = self.catalog.member_by_id(id);
            let (level, told) = known.map(|member| (member.level, member.used)).unwrap_or_default();
            MemberTerms { level, used: self.facts.used(id, told, &open.id) }
        };
        Terms {
            member: open.member.as_ref().map(|identified| terms(&identified.member)),
            coupons: open.coupons.iter().map(|coupon| coupon.campaign.clone()).collect(),
            online: self.live.online,
        }
    }
}
