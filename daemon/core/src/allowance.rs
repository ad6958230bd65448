//! Promotions with a limit per member: how often each was used.
//!
//! Headquarters counts for the whole fleet, and says so with the members dataset. A store adds what it sold itself since that
//! version came, and what its other open baskets hold, so that no basket gets what another already has.

use crate::basket::Transaction;
use crate::facts::Facts;
use crate::price::PromotionUse;
use crate::sale::Sale;
use crate::words::{MemberId, TransactionId};
use alloc::collections::BTreeMap;
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// Uses by member and promotion since the members dataset in force came; a fold of this store's sales.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used(pub BTreeMap<MemberId, BTreeMap<String, u32>>);

impl Used {
    pub(crate) fn take(&mut self, sale: &Sale) {
        if let Some(member) = sale.member.as_ref().filter(|_| !sale.uses.is_empty()) {
            add(self.0.entry(member.clone()).or_default(), &sale.uses);
        }
    }
}

impl Facts {
    /// How often `member` used promotions: `told` by headquarters, and in this store by anything but `basket` itself.
    #[must_use]
    pub fn used(
        &self,
        member: &MemberId,
        told: BTreeMap<String, u32>,
        basket: &TransactionId,
    ) -> BTreeMap<String, u32> {
        let mut used = told;
        for (promotion, times) in self.used.0.get(member).into_iter().flatten() {
            count(&mut used, promotion, *times);
        }
        let theirs = |open: &&Transaction| open.member.as_ref().is_some_and(|known| known.member == *member);
        for open in self.baskets().filter(theirs).filter(|open| open.id != *basket) {
            add(&mut used, &open.uses);
        }
        used
    }
}

fn add(used: &mut BTreeMap<String, u32>, uses: &[PromotionUse]) {
    for one in uses {
        count(used, &one.promotion, one.times);
    }
}

fn count(used: &mut BTreeMap<String, u32>, promotion: &str, times: u32) {
    let sum = used.entry(promotion.into()).or_default();
    *sum = sum.saturating_add(times);
}
