//! Coupons that come with a receipt. The journal holds their serials; the keyed code is worked out where the code is shown.

use super::code::{Body, last_day};
use crate::basket::Transaction;
use crate::catalog::{Campaign, Catalog};
use crate::receipt::ReceiptCoupon;
use crate::returns::SaleRef;
use crate::sale::{Sale, SaleLine};
use crate::scan::Printed;
use crate::turn::Turn;
use crate::words::{LineNo, Name, TransactionId};
use alloc::collections::BTreeSet;
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

    /// Coupons handed out with sales of which the last goods come back with `open`.
    pub(crate) fn revoked(&self, open: &Transaction) -> Vec<Issued> {
        let bought = open.live_lines().filter_map(|line| line.returned.as_ref()?.bought.as_ref());
        let sales: BTreeSet<&TransactionId> = bought.map(|bought| &bought.transaction).collect();
        let sold = sales.into_iter().filter_map(|sale| self.catalog.sale(&SaleRef::Transaction(sale.clone())));
        sold.filter(|sold| self.all_back(open, &sold.sale)).flat_map(|sold| sold.sale.issued).collect()
    }

    fn all_back(&self, open: &Transaction, sale: &Sale) -> bool {
        let before = self.facts.returned.get(&sale.transaction);
        let with_this = |no: LineNo| {
            let returned = open.live_lines().filter_map(|line| Some((line.quantity, line.returned.as_ref()?)));
            let of_it = returned.filter(|(_, of)| {
                of.bought.as_ref().is_some_and(|bought| bought.transaction == sale.transaction && bought.line == no)
            });
            of_it.map(|(quantity, _)| quantity).fold(0, u32::saturating_add)
        };
        let back = |line: &SaleLine| {
            let done = before.and_then(|before| before.lines.get(&line.no)).map_or(0, |back| back.quantity);
            done.saturating_add(with_this(line.no)) >= line.quantity
        };
        sale.lines.iter().filter(|line| line.kind.is_goods()).all(back)
    }
}
