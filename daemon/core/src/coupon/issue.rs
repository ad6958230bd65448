//! Coupons that come with a receipt. The journal holds their serials; the keyed code is worked out where the code is shown.

use super::code::{Body, last_day};
use crate::basket::Transaction;
use crate::catalog::{Campaign, Catalog};
use crate::receipt::ReceiptCoupon;
use crate::scan::Printed;
use crate::turn::Turn;
use crate::words::Name;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A coupon handed out with a sale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    pub campaign: String,
    /// The transaction it was earned with: unique wherever it is shown.
    pub serial: String,
    pub name: Name,
    /// `2026-12-31`.
    pub last_day: String,
}

impl Issued {
    fn body(&self) -> Body<'_> {
        Body { campaign: &self.campaign, serial: &self.serial, last_day: Some(&self.last_day), mac: None }
    }

    /// As paper and page show it; `None` without the key.
    pub(crate) fn shown(&self, catalog: &dyn Catalog) -> Option<ReceiptCoupon> {
        let body = self.body().signed(|text| catalog.coupon_mac(text))?;
        let code = Printed::Coupon.code(&body)?;
        Some(ReceiptCoupon { name: self.name.clone(), last_day: self.last_day.clone(), code })
    }
}

impl Turn<'_> {
    /// What the sale of `open` brings; nothing in training, and nothing that could not be printed.
    pub(crate) fn issued(&self, open: &Transaction) -> Vec<Issued> {
        if self.config.till.training {
            return Vec::new();
        }
        let now = self.now.local();
        let issue = |campaign: &Campaign| {
            let issue = campaign.issue.as_ref().filter(|_| campaign.holds(now))?;
            let earned = open.total() >= issue.spend && (!issue.members || open.member.is_some());
            let issued = Issued {
                campaign: campaign.id.clone(),
                serial: open.id.0.clone(),
                name: campaign.name.clone(),
                last_day: last_day(now, issue.valid_days),
            };
            (earned && issued.shown(self.catalog).is_some()).then_some(issued)
        };
        self.catalog.campaigns().iter().filter_map(issue).collect()
    }
}
