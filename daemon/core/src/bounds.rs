//! How far a new price book may be from the one in force before two people must have said so. Headquarters holds an import
//! against it, and each box what headquarters sends: neither a slip nor whoever has taken headquarters over sells a fleet out.

use crate::calendar;
use crate::catalog::{Item, OfferRule, QuantityBreak};
use crate::words::{ItemKey, Money};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// So few lines are no share of anything: half of two goods is one.
const FEW: u64 = 10;
/// Lines a report names.
const NAMED: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// No price moves by more than so many percent of what it was.
    #[serde(default = "price_percent")]
    pub price_percent: u32,
    /// No more than so many percent of the goods change a price.
    #[serde(default = "lines_percent")]
    pub lines_percent: u32,
    /// No more than so many percent of the goods are missing.
    #[serde(default = "missing_percent")]
    pub missing_percent: u32,
}

const fn price_percent() -> u32 {
    50
}

const fn lines_percent() -> u32 {
    50
}

const fn missing_percent() -> u32 {
    10
}

impl Default for Bounds {
    fn default() -> Self {
        Self { price_percent: price_percent(), lines_percent: lines_percent(), missing_percent: missing_percent() }
    }
}

/// What of a price book is otherwise in the next one. Goods that are new are compared with nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// Goods before.
    pub before: u64,
    pub changed: u64,
    pub missing: u64,
    /// Goods with a price of nothing that had one.
    pub free: u64,
    /// The moves that are furthest, the worst first.
    pub worst: Vec<Move>,
    /// Some of the goods that are missing.
    pub gone: Vec<ItemKey>,
}

/// One price of one item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    pub key: ItemKey,
    /// `price`, `member`, `level gold`, `from 3`, `offer`, or one of these at a minute to come.
    pub which: String,
    pub was: Money,
    pub is: Money,
    /// Of what it was.
    pub percent: u64,
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} -> {} ({} %)", self.key, self.which, self.was.0, self.is.0, self.percent)
    }
}

impl Delta {
    /// Both books by key, as text sorts: rows that are the same to the letter are not read.
    ///
    /// # Errors
    /// What the books or `read` say.
    pub fn between<E>(
        mut before: impl Iterator<Item = Result<(String, String), E>>,
        mut after: impl Iterator<Item = Result<(String, String), E>>,
        read: impl Fn(&str) -> Result<Item, E>,
    ) -> Result<Self, E> {
        let mut delta = Self::default();
        let (mut old, mut new) = (before.next().transpose()?, after.next().transpose()?);
        while let Some((key, body)) = &old {
            match &new {
                Some((other, _)) if other < key => {
                    new = after.next().transpose()?;
                    continue;
                }
                Some((other, row)) if other == key => {
                    if row != body {
                        delta.compare(&read(body)?, &read(row)?);
                    }
                    new = after.next().transpose()?;
                }
                Some(_) | None => delta.lacks(ItemKey(key.clone())),
            }
            delta.before = delta.before.saturating_add(1);
            old = before.next().transpose()?;
        }
        Ok(delta)
    }

    fn lacks(&mut self, key: ItemKey) {
        self.missing = self.missing.saturating_add(1);
        if self.gone.len() < NAMED {
            self.gone.push(key);
        }
    }

    fn compare(&mut self, old: &Item, new: &Item) {
        let before = prices(old);
        let mut changed = old.tax_bp != new.tax_bp || old.by_weight != new.by_weight;
        let mut free = false;
        for (which, is) in prices(new) {
            // A price there was none of is measured by what everybody paid.
            let was = before.iter().find(|(name, _)| *name == which).map_or(old.price, |(_, was)| *was);
            if was == is {
                continue;
            }
            changed = true;
            free |= is == Money::ZERO;
            self.moved(Move { key: new.key.clone(), which, was, is, percent: percent(was, is) });
        }
        if old.by_weight != new.by_weight {
            // A price for a kilogram is none for a piece, whatever the numbers.
            self.moved(Move {
                key: new.key.clone(),
                which: "unit".into(),
                was: old.price,
                is: new.price,
                percent: 1000,
            });
        }
        self.changed = self.changed.saturating_add(u64::from(changed));
        self.free = self.free.saturating_add(u64::from(free));
    }

    fn moved(&mut self, moved: Move) {
        let at = self.worst.partition_point(|known| known.percent >= moved.percent);
        if at < NAMED {
            self.worst.insert(at, moved);
            self.worst.truncate(NAMED);
        }
    }

    /// What of it is outside `bounds`, in words; nothing: the book may come into force.
    #[must_use]
    pub fn outside(&self, bounds: &Bounds) -> Vec<String> {
        let mut told = Vec::new();
        let beyond = self.worst.first().filter(|worst| worst.percent > u64::from(bounds.price_percent));
        if let Some(worst) = beyond {
            told.push(format!("a price moves by more than {} %: {worst}", bounds.price_percent));
        }
        if self.free > 0 {
            told.push(format!("{} goods would cost nothing", self.free));
        }
        for (count, limit, what) in [
            (self.changed, bounds.lines_percent, "change their price"),
            (self.missing, bounds.missing_percent, "are missing"),
        ] {
            let share = count.saturating_mul(100) > self.before.saturating_mul(u64::from(limit));
            if count >= FEW && share {
                told.push(format!("{count} of {} goods {what}, more than {limit} %", self.before));
            }
        }
        told
    }
}

/// Every price an item can be sold at, with what it is called by.
fn prices(item: &Item) -> Vec<(String, Money)> {
    let mut all = named("", item.price, item.member_price, &item.levels, &item.breaks);
    for change in &item.scheduled {
        let at = format!("{} ", calendar::write(change.from));
        all.extend(named(&at, change.price, change.member_price, &change.levels, &change.breaks));
    }
    all.extend(item.offer.as_ref().map(|offer| ("offer".into(), offered(item.price, offer.rule))));
    all
}

fn named(
    at: &str,
    price: Money,
    member: Option<Money>,
    levels: &BTreeMap<String, Money>,
    breaks: &[QuantityBreak],
) -> Vec<(String, Money)> {
    let price = core::iter::once((format!("{at}price"), price));
    let member = member.map(|price| (format!("{at}member"), price));
    let levels = levels.iter().map(|(level, price)| (format!("{at}level {level}"), *price));
    let breaks = breaks.iter().map(|step| (format!("{at}from {}", step.from), step.price));
    price.chain(member).chain(levels).chain(breaks).collect()
}

/// What a piece comes to with its offer.
fn offered(price: Money, rule: OfferRule) -> Money {
    match rule {
        OfferRule::Percent { off_bp } => {
            let kept = 10_000_i64.saturating_sub(i64::from(off_bp));
            Money(price.0.saturating_mul(kept) / 10_000)
        }
        OfferRule::Multi { n, price } => Money(price.0 / i64::from(n.max(1))),
    }
}

fn percent(was: Money, is: Money) -> u64 {
    let moved = was.0.abs_diff(is.0).saturating_mul(100);
    match was.0.unsigned_abs() {
        // Nothing cost something: as far as a price can move.
        0 => 100,
        was => moved.div_ceil(was),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Name;
    use alloc::vec;

    fn item(key: &str, price: i64) -> Item {
        Item {
            key: ItemKey(key.into()),
            name: Name { zh: "茶".into(), en: "Tea".into() },
            price: Money(price),
            by_weight: false,
            tax_bp: 1300,
            min_age: None,
            offer: None,
            member_price: None,
            levels: BTreeMap::new(),
            breaks: Vec::new(),
            scheduled: Vec::new(),
            content: None,
            group: String::new(),
            kind: crate::line::LineKind::default(),
            deposit: None,
            linked: Vec::new(),
            tare_g: 0,
            piece_g: None,
            blocked: None,
            serialised: false,
        }
    }

    fn between(before: &[Item], after: &[Item]) -> Delta {
        let all: Vec<Item> = before.iter().chain(after).cloned().collect();
        let rows = |items: &[Item], from: usize| {
            let rows: Vec<Result<(String, String), ()>> =
                items.iter().enumerate().map(|(at, item)| Ok((item.key.0.clone(), format!("{}", from + at)))).collect();
            rows.into_iter()
        };
        let read = |row: &str| all.get(row.parse::<usize>().unwrap()).cloned().ok_or(());
        Delta::between(rows(before, 0), rows(after, before.len()), read).unwrap()
    }

    #[test]
    fn one_price_that_moves_too_far_is_enough_and_is_named() {
        let bounds = Bounds { price_percent: 30, ..Bounds::default() };
        assert!(between(&[item("1", 100)], &[item("1", 130)]).outside(&bounds).is_empty());
        assert!(between(&[item("1", 100)], &[item("1", 70), item("2", 1)]).outside(&bounds).is_empty());
        let told = between(&[item("1", 100), item("2", 200)], &[item("1", 131), item("2", 100)]).outside(&bounds);
        assert_eq!(told, vec!["a price moves by more than 30 %: 2 price 200 -> 100 (50 %)"]);
    }

    #[test]
    fn every_kind_of_price_counts_also_one_there_was_none_of_and_one_to_come() {
        let bounds = Bounds::default();
        let old = item("1", 1000);
        let outside = |new: Item| !between(core::slice::from_ref(&old), &[new]).outside(&bounds).is_empty();
        assert!(outside(Item { member_price: Some(Money(100)), ..old.clone() }));
        assert!(outside(Item { levels: BTreeMap::from([("gold".into(), Money(100))]), ..old.clone() }));
        let breaks = vec![QuantityBreak { from: 2, price: Money(100) }];
        assert!(outside(Item { breaks, ..old.clone() }));
        let offer = |rule| Some(crate::catalog::Offer { id: "o".into(), name: old.name.clone(), rule });
        assert!(outside(Item { offer: offer(OfferRule::Percent { off_bp: 9000 }), ..old.clone() }));
        assert!(outside(Item { offer: offer(OfferRule::Multi { n: 5, price: Money(1000) }), ..old.clone() }));
        let change = crate::catalog::ScheduledPrice {
            from: crate::calendar::read("2026-12-01").unwrap(),
            until: None,
            price: Money(10),
            member_price: None,
            levels: BTreeMap::new(),
            breaks: Vec::new(),
        };
        assert!(outside(Item { scheduled: vec![change], ..old.clone() }));
        assert!(outside(Item { by_weight: true, ..old.clone() }));
        assert!(outside(Item { price: Money::ZERO, ..old.clone() }));
        assert!(!outside(Item { blocked: Some(old.name.clone()), member_price: Some(Money(900)), ..old.clone() }));
    }

    #[test]
    fn shares_count_from_ten_lines_on() {
        let book = |count: usize, price| (0..count).map(|n| item(&format!("{n:03}"), price)).collect::<Vec<_>>();
        let bounds = Bounds::default();
        assert!(between(&book(9, 100), &book(9, 101)).outside(&bounds).is_empty(), "few");
        assert_eq!(between(&book(20, 100), &book(20, 101)).outside(&bounds).len(), 1);
        let told = between(&book(100, 100), &book(80, 100)).outside(&bounds);
        assert_eq!(told, vec!["20 of 100 goods are missing, more than 10 %"]);
        assert!(between(&[], &book(100, 1)).outside(&bounds).is_empty(), "the first book is compared with nothing");
    }
}
