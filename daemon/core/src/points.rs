//! Points: earned with the sale by rules that are data, burnt as a tender of it, and moved back with what comes back.
//!
//! Headquarters keeps the accounts. A store knows what the members dataset in force says, and what it has moved itself since
//! that version came; what open baskets have burnt is held, and free again with the basket that is given up.
//! A face or a telephone number says who somebody is and is no signature: points are burnt by those who showed their member code.

use crate::basket::Transaction;
use crate::catalog::{Catalog, Member, is_nought};
use crate::config::Rounding;
use crate::facts::Facts;
use crate::line::LineKind;
use crate::member::IdentifiedBy;
use crate::page::Refused;
use crate::price::round;
use crate::receipt::{Currency, SlipRow};
use crate::returns::{SaleRef, Sold};
use crate::rules::{PointRules, PointTimes};
use crate::sale::Sale;
use crate::tender::{Tender, TenderState};
use crate::view::TenderKind;
use crate::words::{MemberId, Money, TransactionId};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString as _;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Of the member who bought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Points {
    pub earned: u64,
    /// Paid with.
    #[serde(default, skip_serializing_if = "is_nought")]
    pub burnt: u64,
    /// Where points paid a part: what of the goods was paid with money and earned others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Money>,
}

/// Goods of a sale came back: what that does to the account of the member who bought them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointsBack {
    pub transaction: TransactionId,
    pub member: MemberId,
    /// Of those earned.
    #[serde(default, skip_serializing_if = "is_nought")]
    pub taken: u64,
    /// Of those burnt.
    #[serde(default, skip_serializing_if = "is_nought")]
    pub given: u64,
}

/// What this store did to accounts since the members dataset in force came; a fold of its sales.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointsMoved(pub BTreeMap<MemberId, Moved>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Earned and given back less burnt and taken back.
    pub change: i64,
    pub burnt: u64,
}

impl PointsMoved {
    pub(crate) fn take(&mut self, sale: &Sale) {
        if let (Some(member), Some(points)) = (&sale.member, sale.points) {
            self.change(member, points.earned, points.burnt);
            let moved = self.0.entry(member.clone()).or_default();
            moved.burnt = moved.burnt.saturating_add(points.burnt);
        }
        for back in &sale.points_back {
            self.change(&back.member, back.given, back.taken);
        }
    }

    fn change(&mut self, member: &MemberId, up: u64, down: u64) {
        let moved = self.0.entry(member.clone()).or_default();
        moved.change = moved.change.saturating_add_unsigned(up).saturating_sub_unsigned(down);
    }

    fn of(&self, member: &MemberId) -> Moved {
        self.0.get(member).copied().unwrap_or_default()
    }
}

impl Facts {
    /// Points of a member as far as this store knows, without those open baskets hold.
    pub(crate) fn balance(&self, member: &Member) -> u64 {
        let change = self.points.of(&member.id).change;
        member.points.saturating_add_signed(change).saturating_sub(self.held(&member.id))
    }

    fn held(&self, member: &MemberId) -> u64 {
        let of = |basket: &&Transaction| basket.member.as_ref().is_some_and(|known| known.member == *member);
        self.baskets().filter(of).map(Transaction::burnt).fold(0, u64::saturating_add)
    }

    /// How many points `basket` may burn now: not those it takes back itself with goods that return.
    pub(crate) fn spendable(
        &self,
        rules: &PointRules,
        basket: &Transaction,
        member: Option<&Member>,
        online: bool,
        catalog: &dyn Catalog,
    ) -> Result<u64, Refused> {
        let (Some(identified), Some(member), true) = (&basket.member, member, rules.burn()) else {
            return Err(Refused::NoPoints);
        };
        let back = self.points_back(basket, |asked| catalog.sale(asked));
        let taken =
            back.iter().filter(|back| back.member == member.id).map(|back| back.taken).fold(0, u64::saturating_add);
        let balance = self.balance(member).saturating_sub(taken);
        if balance == 0 {
            return Err(Refused::NoPoints);
        }
        if identified.by != IdentifiedBy::Code {
            return Err(Refused::PointsNeedCode);
        }
        if online {
            return Ok(balance);
        }
        // What was burnt under this version counts, wherever headquarters was then: it cannot be asked now.
        let gone = self.points.of(&member.id).burnt.saturating_add(self.held(&member.id));
        match member.points_lease.saturating_sub(gone) {
            0 => Err(Refused::PointsOffline),
            leased => Ok(balance.min(leased)),
        }
    }
}

impl PointRules {
    pub(crate) const fn any(&self) -> bool {
        self.per.0 > 0 || self.burn()
    }

    pub(crate) const fn burn(&self) -> bool {
        self.worth.0 > 0
    }

    /// Whole points that `amount` pays, never more than it.
    pub(crate) fn points_for(&self, amount: Money) -> u64 {
        u64::try_from(amount.0.checked_div(self.worth.0).unwrap_or(0)).unwrap_or(0)
    }

    #[must_use]
    pub fn worth_of(&self, points: u64) -> Money {
        self.worth.times(i64::try_from(points).unwrap_or(i64::MAX))
    }
}

impl PointTimes {
    fn fits(&self, group: &str, level: &str) -> bool {
        self.group.as_ref().is_none_or(|named| named == group) && self.level.as_ref().is_none_or(|named| named == level)
    }
}

impl Transaction {
    /// What the sale earns and burns. One rounding for the whole sale, downwards; goods only, and what of them is paid with
    /// money: points earn no points. Goods that come back without their receipt are taken off here, those of a sale from what
    /// that sale earned.
    #[must_use]
    pub fn points(&self, rules: &PointRules) -> Option<Points> {
        let burnt = self.burnt();
        if self.member.is_none() || (rules.per <= Money::ZERO && burnt == 0) {
            return None;
        }
        let level = self.terms.member.as_ref().map(|member| member.level.as_str()).unwrap_or_default();
        let goods = self.live_lines().filter(|line| match line.kind {
            LineKind::Goods => true,
            LineKind::Returned => line.returned.as_ref().is_none_or(|of| of.bought.is_none()),
            LineKind::Deposit | LineKind::BottleReturn => false,
        });
        let (mut plain, mut weighed) = (Money::ZERO, Money::ZERO);
        for line in goods {
            let fits = rules.times.iter().filter(|times| times.fits(&line.group, level));
            plain = plain.plus(line.total());
            weighed = weighed.plus(line.total().times(i64::from(fits.map(|times| times.times).max().unwrap_or(1))));
        }
        let (total, by_points) = (self.total(), self.paid_by_points());
        let by_money = |amount: Money| match total.minus(by_points) {
            _ if by_points <= Money::ZERO => amount,
            rest => round(amount, rest.0.max(0), total.0, Rounding::Down),
        };
        let earned = by_money(weighed).0.max(0).checked_div(rules.per.0.max(0)).unwrap_or(0);
        let on = (by_points > Money::ZERO).then(|| by_money(plain).max(Money::ZERO));
        Some(Points { earned: u64::try_from(earned).unwrap_or(0), burnt, on })
    }

    /// What of this basket points pay.
    fn paid_by_points(&self) -> Money {
        let own = |tender: &&Tender| tender.of.as_ref().is_none_or(|of| of.transaction() == self.id);
        self.points_tenders().filter(own).map(|tender| tender.amount).sum()
    }

    /// Points this basket is paid with, less what went back because it was given up.
    pub(crate) fn burnt(&self) -> u64 {
        let (paid, back): (Vec<&Tender>, Vec<&Tender>) = self.points_tenders().partition(|tender| !tender.is_refund());
        let own = |tender: &&&Tender| tender.of.as_ref().is_some_and(|of| of.transaction() == self.id);
        sum(paid.into_iter()).saturating_sub(sum(back.iter().filter(own).copied()))
    }

    fn points_tenders(&self) -> impl Iterator<Item = &Tender> {
        let stands = |tender: &&Tender| tender.kind == TenderKind::Points && tender.state == TenderState::Approved;
        self.tenders.iter().filter(stands)
    }
}

fn sum<'a>(tenders: impl Iterator<Item = &'a Tender>) -> u64 {
    tenders.map(|tender| tender.points).fold(0, u64::saturating_add)
}

/// `points` that go with `part` of a `whole`; all of them with all of it. What goes with a next part is the difference.
#[must_use]
pub fn share(points: u64, part: Money, whole: Money) -> u64 {
    if whole <= Money::ZERO || part >= whole {
        return points;
    }
    let all = Money(i64::try_from(points).unwrap_or(i64::MAX));
    u64::try_from(all.ratio(part.0.max(0), whole.0).0).unwrap_or(0).min(points)
}

impl Facts {
    /// Of every sale something comes back of: points it earned are taken back, and those it burnt were given back.
    #[must_use]
    pub fn points_back(&self, open: &Transaction, sold: impl Fn(&SaleRef) -> Option<Sold>) -> Vec<PointsBack> {
        let bought = open.live_lines().filter_map(|line| line.returned.as_ref()?.bought.as_ref());
        let sales: BTreeSet<&TransactionId> = bought.map(|bought| &bought.transaction).collect();
        let back = |transaction: &TransactionId| {
            let sold = sold(&SaleRef::Transaction(transaction.clone()))?;
            let member = sold.sale.member.clone()?;
            let of = |tender: &&Tender| tender.of.as_ref().is_some_and(|of| of.transaction() == *transaction);
            let given = sum(open.points_tenders().filter(of));
            let taken = self.taken_back(open, &sold);
            Some(PointsBack { transaction: transaction.clone(), member, taken, given })
        };
        sales.into_iter().filter_map(back).filter(|back| back.taken > 0 || back.given > 0).collect()
    }

    fn taken_back(&self, open: &Transaction, sold: &Sold) -> u64 {
        let earned = sold.sale.points.unwrap_or_default().earned;
        let goods = || sold.sale.lines.iter().filter(|line| line.kind.is_goods());
        let all: Money = goods().map(|line| line.total).sum();
        let done = self.returned.get(&sold.sale.transaction);
        let before: Money = done.map_or(Money::ZERO, |done| {
            goods().filter_map(|line| done.lines.get(&line.no)).map(|back| back.amount).sum()
        });
        let returned = open.live_lines().filter_map(|line| line.returned.as_ref());
        let now: Money = returned
            .filter(|of| {
                let bought = of.bought.as_ref().filter(|bought| bought.transaction == sold.sale.transaction);
                bought.is_some_and(|bought| goods().any(|line| line.no == bought.line))
            })
            .map(|of| of.amount)
            .sum();
        share(earned, before.plus(now), all).saturating_sub(share(earned, before, all))
    }
}

/// As receipts say it; nothing where nothing moved.
pub(crate) fn rows(sale: &Sale, currency: &Currency) -> Vec<SlipRow> {
    let Points { earned, burnt, on } = sale.points.unwrap_or_default();
    let on = on.map(|on| SlipRow::of(("积分按实付金额", "Points are earned on"), currency.show(on)));
    let back = |of: fn(&PointsBack) -> u64| sale.points_back.iter().map(of).fold(0, u64::saturating_add);
    let all = [
        (("本次积分", "Points earned"), earned),
        (("使用积分", "Points used"), burnt),
        (("扣回积分", "Points taken back"), back(|back| back.taken)),
        (("退回积分", "Points given back"), back(|back| back.given)),
    ];
    all.into_iter()
        .filter(|(_, points)| *points > 0)
        .map(|(label, points)| SlipRow::of(label, points.to_string()))
        .chain(on)
        .collect()
}
