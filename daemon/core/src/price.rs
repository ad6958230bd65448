//! What a basket costs: one pure function for box, headquarters and tests. Integer arithmetic only; every rounding is named.
//!
//! [`price`] takes lines as they were scanned, what the shopper brought ([`Terms`]) and the promotions in force, and gives
//! savings per line with their reasons, taxes and the total. The box records the result; headquarters works out the same.

mod board;
mod crowd;
mod deal;
mod reprice;
mod rounding;
mod rules;
mod search;
mod tax;

pub use rounding::{cash_rounding, round};
pub use tax::taxes;

use crate::catalog::{Content, Promotion, PromotionBook};
use crate::config::PriceRules;
use crate::line::{Line, LineSaving};
use crate::receipt::TaxLine;
use crate::words::{LineNo, LocalMinute, Money};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What a basket is priced under besides its lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<MemberTerms>,
    /// Campaigns of the coupons presented, one entry for each coupon.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coupons: Vec<String>,
    /// Headquarters answers.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub online: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberTerms {
    pub level: String,
    /// How often promotions were used before this basket.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub used: BTreeMap<String, u32>,
}

impl Terms {
    /// What an event need not say. Whether headquarters answered decides about promotions that need it.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Nobody known, no coupon: whether the network is up alone is no reason to record anything.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.member.is_none() && self.coupons.is_empty()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromotionUse {
    pub promotion: String,
    pub times: u32,
}

/// A basket worked out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Priced {
    /// By line, in the order they were taken off.
    pub savings: Vec<LineSaving>,
    /// Uses of promotions with a limit per member.
    pub uses: Vec<PromotionUse>,
    pub taxes: Vec<TaxLine>,
    pub subtotal: Money,
    pub discount: Money,
    pub added_tax: Money,
    pub total: Money,
}

/// Before savings: pieces · price, or grams · price per kilogram rounded half up to the minor unit.
#[must_use]
pub fn extended(unit_price: Money, quantity: u32, weight_g: Option<u32>) -> Money {
    match weight_g {
        Some(grams) => unit_price.ratio(i64::from(grams), 1000),
        None => unit_price.times(i64::from(quantity)),
    }
}

/// Works a basket out. `at` judges lines of journals that do not say when they were priced.
#[must_use]
pub fn price(lines: &[&Line], terms: &Terms, at: LocalMinute, rules: &PriceRules, book: &PromotionBook) -> Priced {
    let rows = board::rows(lines, at);
    let own = deal::own(&rows, terms);
    let found = deal::Found::new(&rows, &own, book, terms);
    let deals = found.deals();
    // Most baskets of most shops draw no promotion at all.
    let (savings, uses) = if deals.is_empty() {
        Default::default()
    } else {
        let table = rules::Table { rows, deals, rounding: rules.discount_rounding };
        let best = table.best();
        (table.savings(&best), table.uses(&best))
    };
    let mut off: BTreeMap<LineNo, Money> = BTreeMap::new();
    for saving in &savings {
        let sum = off.entry(saving.line).or_default();
        *sum = sum.plus(saving.amount);
    }
    let live = lines.iter().filter(|line| !line.voided);
    let subtotal: Money = live.clone().map(|line| line.gross()).sum();
    let discount: Money = off.values().copied().sum();
    let total_of = |line: &&&Line| line.gross().minus(off.get(&line.no).copied().unwrap_or_default());
    let taxes = tax::of_amounts(live.map(|line| (line.tax_bp, total_of(&line))), rules);
    let added_tax = taxes.iter().filter(|row| row.added).map(|row| row.tax).sum();
    let total = subtotal.minus(discount).plus(added_tax);
    Priced { savings, uses, taxes, subtotal, discount, added_tax, total }
}

impl rules::Table<'_> {
    fn savings(&self, best: &search::Outcome) -> Vec<LineSaving> {
        let mut shares: Vec<(LineNo, &Promotion, Money)> = Vec::new();
        for applied in &best.applied {
            let Some(deal) = self.deals.get(applied.deal) else { continue };
            for share in applied.shares.iter().filter(|share| share.off > 0) {
                let Some(row) = self.rows.get(share.row) else { continue };
                shares.push((row.no(), deal.promotion, Money(share.off)));
            }
        }
        shares.sort_by_key(|(line, ..)| *line);
        let saving = |(line, promotion, amount): (LineNo, &Promotion, Money)| {
            let (offer, name) = (promotion.id.clone(), promotion.name.clone());
            LineSaving { line, offer, name, amount }
        };
        shares.into_iter().map(saving).collect()
    }

    fn uses(&self, best: &search::Outcome) -> Vec<PromotionUse> {
        let limited = |applied: &board::Applied| {
            let promotion = self.deals.get(applied.deal)?.promotion;
            promotion.limit.per_member?;
            Some(PromotionUse { promotion: promotion.id.clone(), times: applied.times })
        };
        best.applied.iter().filter_map(limited).collect()
    }
}

/// Whether a scan is one more of `old`: the same goods at the same prices, and no promotion began or ended between the two.
#[must_use]
pub fn alike(old: &Line, new: &Line, book: &PromotionBook) -> bool {
    let (Some(before), Some(after)) = (old.priced_at, new.priced_at) else { return false };
    let prices = |line: &Line| (line.unit_price, line.member_price, line.tax_bp);
    let same = old.key == new.key
        && prices(old) == prices(new)
        && (&old.levels, &old.breaks, &old.offer) == (&new.levels, &new.breaks, &new.offer)
        && (&old.group, &old.price_book) == (&new.group, &new.price_book);
    let naming = book.naming(&new.key, &new.group).chain([book.of_all()]).flatten();
    let mut concerned = naming.filter_map(|selected| book.get(selected.promotion));
    same && concerned.all(|promotion| promotion.when.holds(before) == promotion.when.holds(after))
}

/// What the usual measure of it costs, such as 100 g or a litre.
#[must_use]
pub fn per_content(unit_price: Money, content: Content, rules: &PriceRules) -> Option<(Money, Content)> {
    let (holds, per, of) = match content {
        Content::G(holds) => (holds, rules.per_g, Content::G(rules.per_g)),
        Content::Ml(holds) => (holds, rules.per_ml, Content::Ml(rules.per_ml)),
    };
    (holds > 0).then(|| (unit_price.ratio(per.into(), holds.into()), of))
}
