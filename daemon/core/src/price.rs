//! What a line costs: extension, offer, tax. Integer arithmetic only; every rounding is named.

use crate::basket::{Line, LineSaving};
use crate::catalog::{Offer, OfferRule};
use crate::receipt::TaxLine;
use crate::words::{Money, Name};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// Before savings: pieces · price, or grams · price per kilogram rounded half up to the minor unit.
#[must_use]
pub fn extended(unit_price: Money, quantity: u32, weight_g: Option<u32>) -> Money {
    match weight_g {
        Some(grams) => unit_price.ratio(i64::from(grams), 1000),
        None => unit_price.times(i64::from(quantity)),
    }
}

/// The best saving for each line: its offer or, for members, its member price; never both.
#[must_use]
pub fn savings<'a>(lines: impl Iterator<Item = &'a Line>, member: bool) -> Vec<LineSaving> {
    lines.filter(|line| !line.voided).filter_map(|line| best(line, member)).collect()
}

fn best(line: &Line, member: bool) -> Option<LineSaving> {
    let offer = line.offer.as_ref().map(|offer| (offer.id.clone(), offer.name.clone(), offered(line, offer)));
    let member = line.member_price.filter(|_| member).map(|price| {
        let amount = line.gross().minus(extended(price, line.quantity, line.weight_g));
        (String::from("member"), Name { zh: "会员价".into(), en: "Member price".into() }, amount)
    });
    let (id, name, amount) = offer.into_iter().chain(member).max_by_key(|(_, _, amount)| *amount)?;
    let amount = amount.min(line.gross());
    (amount > Money::ZERO).then_some(LineSaving { line: line.no, offer: id, name, amount })
}

fn offered(line: &Line, offer: &Offer) -> Money {
    match offer.rule {
        OfferRule::Percent { off_bp } => line.gross().ratio(i64::from(off_bp), 10_000),
        OfferRule::Multi { n, price } if n > 0 && line.weight_g.is_none() => {
            let groups = i64::from(line.quantity / n);
            line.unit_price.times(i64::from(n)).minus(price).times(groups)
        }
        OfferRule::Multi { .. } => Money::ZERO,
    }
}

/// Tax included in the line totals, one row per rate, rounded once per rate.
#[must_use]
pub fn taxes<'a>(lines: impl Iterator<Item = &'a Line>) -> Vec<TaxLine> {
    let mut gross: BTreeMap<u32, Money> = BTreeMap::new();
    for line in lines.filter(|line| !line.voided) {
        let sum = gross.entry(line.tax_bp).or_default();
        *sum = sum.plus(line.total());
    }
    let row = |(rate_bp, gross): (u32, Money)| {
        let tax = gross.ratio(i64::from(rate_bp), 10_000 + i64::from(rate_bp));
        TaxLine { rate_bp, net: gross.minus(tax), tax }
    };
    gross.into_iter().map(row).collect()
}
