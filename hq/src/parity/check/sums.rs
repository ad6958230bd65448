//! Savings, taxes and total as the same code works them out here; what was sold; and how it was paid or given back.

use super::{Bought, Case, Differences, place};
use checkout::catalog::PromotionBook;
use checkout::line::{Line, LineSaving};
use checkout::price::{self, PromotionUse};
use checkout::receipt::TaxLine;
use checkout::sale::SaleTender;
use checkout::tender::{Tender, TenderState};
use checkout::view::TenderKind;
use checkout::words::{LineNo, Money};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn basket(case: &Case<'_>, book: &PromotionBook, found: &mut Differences) {
    let lines: Vec<&Line> = case.transaction.live_lines().collect();
    let priced = price::price(&lines, &case.transaction.terms, case.at, &case.rules, book);
    let expected = savings(priced.savings.iter());
    let recorded = savings(lines.iter().flat_map(|line| &line.savings));
    for (line, rule) in expected.keys().chain(recorded.keys()).collect::<BTreeSet<_>>() {
        let amount = |of: &BTreeMap<(LineNo, &str), Money>| of.get(&(*line, *rule)).map_or(0, |amount| amount.0);
        found.compare("saving", format!("{} by {rule}", place(*line)), amount(&expected), amount(&recorded));
    }
    for rate in rates(&priced.taxes).keys().chain(rates(&case.sale.taxes).keys()).collect::<BTreeSet<_>>() {
        let of = |taxes: &[TaxLine]| rates(taxes).get(rate).map_or((0, 0), |row| (row.net.0, row.tax.0));
        let (expected, sold) = (of(&priced.taxes), of(&case.sale.taxes));
        found.compare("net", format!("rate {rate}"), expected.0, sold.0);
        found.compare("tax", format!("rate {rate}"), expected.1, sold.1);
    }
    found.compare("discount", "sale", priced.discount.0, case.sale.discount.0);
    found.compare("total", "sale", priced.total.0, case.sale.total.0);
    found.compare("uses", "sale", uses(&priced.uses), uses(&case.sale.uses));
    let names = |coupons: &[checkout::coupon::Coupon]| {
        coupons.iter().map(crate::parity::replay::coupon_id).collect::<Vec<_>>().join(" ")
    };
    let saved = priced.savings.iter().filter_map(|saving| book.by_id(&saving.offer)?.coupon.as_deref());
    let saved: BTreeSet<&str> = saved.collect();
    let redeemed = case.transaction.coupons.iter().filter(|coupon| saved.contains(coupon.campaign.as_str()));
    found.compare("redeemed", "sale", names(&redeemed.cloned().collect::<Vec<_>>()), names(&case.sale.coupons));
}

fn uses(uses: &[PromotionUse]) -> String {
    let times: BTreeMap<&str, u32> = uses.iter().map(|one| (one.promotion.as_str(), one.times)).collect();
    times.iter().map(|(promotion, times)| format!("{promotion} {times}")).collect::<Vec<_>>().join(", ")
}

/// What was sold against the basket it was sold from.
pub(super) fn sold(case: &Case<'_>, found: &mut Differences) {
    let (open, sale) = (case.transaction, case.sale);
    found.compare("transaction", "sale", &open.id, &sale.transaction);
    let before = case.facts.lanes.get(&case.lane).map_or(0, |lane| lane.receipts);
    found.compare("receipt", "sale", before.saturating_add(1), sale.receipt.0);
    let numbers =
        |lines: &mut dyn Iterator<Item = LineNo>| lines.map(|no| no.to_string()).collect::<Vec<_>>().join(" ");
    let (basket, sold) =
        (numbers(&mut open.live_lines().map(|line| line.no)), numbers(&mut sale.lines.iter().map(|line| line.no)));
    found.compare("lines", "sale", basket, sold);
    for line in open.live_lines() {
        let Some(sold) = sale.lines.iter().find(|sold| sold.no == line.no) else { continue };
        let place = place(line.no);
        found.compare("sold_price", &place, line.unit_price.0, sold.unit_price.0);
        found.compare("sold_quantity", &place, line.quantity, sold.quantity);
        found.compare("sold_weight", &place, line.weight_g.unwrap_or(0), sold.weight_g.unwrap_or(0));
        found.compare("sold_total", &place, line.total().0, sold.total.0);
        let worth = |of: &Option<checkout::returns::ReturnOf>| of.as_ref().map_or(0, |of| of.amount.0);
        found.compare("returned_worth", &place, worth(&line.returned), worth(&sold.returned));
    }
}

/// Tenders come to the total and what cash is rounded by, which is decided by whoever closes the sale in cash, either way.
pub(super) fn paid(case: &Case<'_>, bought: &Bought, found: &mut Differences) {
    let sale = case.sale;
    let paid: Money = sale.tenders.iter().map(|tender| tender.amount).sum();
    found.compare("paid", "sale", sale.total.plus(sale.rounding).0, paid.0);
    let closing = sale.tenders.last().filter(|tender| tender.kind == TenderKind::Cash);
    let expected = closing.map_or(Money::ZERO, |closing| {
        let before = paid.minus(closing.amount);
        price::cash_rounding(sale.total.minus(before), &case.rules)
    });
    found.compare("rounding", "sale", expected.0, sale.rounding.0);
    let stands = |tender: &&Tender| tender.state == TenderState::Approved;
    let change: Money = case.transaction.tenders.iter().filter(stands).map(Tender::change).sum();
    found.compare("change", "sale", change.0, sale.change.0);
    for (number, pair) in pairs(case).enumerate() {
        let (moved, told) = pair;
        found.compare("tender", format!("payment {}", number + 1), moved, told);
    }
    refunds(case, bought, found);
}

/// What moved, and what the sale says moved.
fn pairs<'a>(case: &'a Case<'_>) -> impl Iterator<Item = (String, String)> + 'a {
    let told = |kind: TenderKind, amount: Money| format!("{} {}", kind.code(), amount.0);
    let moved: Vec<String> = case
        .transaction
        .tenders
        .iter()
        .filter(|tender| tender.state == TenderState::Approved)
        .map(|tender| told(tender.kind, tender.amount))
        .collect();
    let sold: Vec<String> = case.sale.tenders.iter().map(|tender| told(tender.kind, tender.amount)).collect();
    let most = moved.len().max(sold.len());
    (0..most).map(move |index| {
        let of = |all: &[String]| all.get(index).cloned().unwrap_or_else(|| "none".into());
        (of(&moved), of(&sold))
    })
}

/// No payment gives back more than it took; in cash there may be more of it, since cash stands in for every other.
fn refunds(case: &Case<'_>, bought: &Bought, found: &mut Differences) {
    let back = |tender: &&SaleTender| tender.amount < Money::ZERO && tender.kind != TenderKind::Cash;
    let mut sums: BTreeMap<&str, Money> = BTreeMap::new();
    for tender in case.sale.tenders.iter().filter(back) {
        let place = format!("payment {}", tender.tender);
        let of = tender.of.as_ref();
        let taken = of.and_then(|of| {
            let sold = bought.get(&of.transaction())?;
            sold.sale.tenders.iter().find(|one| one.tender == *of && one.kind == tender.kind)
        });
        let Some((of, taken)) = of.zip(taken) else {
            found.add("refund", place, &"a payment of the sale the goods were bought in", &"none");
            continue;
        };
        let sum = sums.entry(&of.0).or_insert_with(|| {
            case.facts.returned.get(&of.transaction()).map_or(Money::ZERO, |returned| returned.refunded(of))
        });
        *sum = sum.minus(tender.amount);
        if *sum > taken.amount {
            found.add("refund", place, &format!("{} at most", taken.amount.0), &sum.0);
        }
    }
}

fn savings<'a>(all: impl Iterator<Item = &'a LineSaving>) -> BTreeMap<(LineNo, &'a str), Money> {
    all.fold(BTreeMap::new(), |mut sums, saving| {
        let sum: &mut Money = sums.entry((saving.line, saving.offer.as_str())).or_default();
        *sum = sum.plus(saving.amount);
        sums
    })
}

fn rates(taxes: &[TaxLine]) -> BTreeMap<u32, &TaxLine> {
    taxes.iter().map(|row| (row.rate_bp, row)).collect()
}
