//! One sale against what it should be: pure, but for looking goods up.

use super::Difference;
use super::books::{Books, Found};
use anyhow::Result;
use checkout::basket::Transaction;
use checkout::catalog::{Item, NO_PROMOTIONS, PromotionBook};
use checkout::config::PriceRules;
use checkout::line::{Line, LineKind, LineSaving};
use checkout::price;
use checkout::receipt::TaxLine;
use checkout::sale::Sale;
use checkout::view::TenderKind;
use checkout::words::{LineNo, LocalMinute, Money};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::fmt::Display;

/// What a completed sale is held against.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) transaction: &'a Transaction,
    pub(super) sale: &'a Sale,
    pub(super) rules: PriceRules,
    /// Promotions in force when the basket last changed.
    pub(super) promotions: u64,
    /// For lines of journals that do not say when they were priced.
    pub(super) at: LocalMinute,
}

#[derive(Debug, Default)]
struct Differences(Vec<Difference>);

impl Differences {
    fn compare<T: PartialEq + Display>(&mut self, what: &'static str, place: impl Display, expected: T, found: T) {
        if expected != found {
            self.add(what, place, &expected, &found);
        }
    }

    fn add(&mut self, what: &'static str, place: impl Display, expected: &dyn Display, found: &dyn Display) {
        let (place, expected, found) = (place.to_string(), expected.to_string(), found.to_string());
        self.0.push(Difference { what, place, expected, found });
    }
}

/// Everything about the sale that is not as it should be.
pub(super) fn check(case: &Case<'_>, books: &mut Books, hq: &Connection) -> Result<Vec<Difference>> {
    let mut found = Differences::default();
    for line in case.transaction.live_lines() {
        goods(case, line, books, hq, &mut found)?;
    }
    match (case.promotions, books.promotions(hq, case.promotions)?) {
        (0, _) => basket(case, &NO_PROMOTIONS, &mut found),
        (_, Some(book)) => basket(case, book, &mut found),
        (version, None) => found.add("promotions", "basket", &"a published version", &version),
    }
    sold(case, &mut found);
    paid(case, &mut found);
    Ok(found.0)
}

/// The line against the price book it names.
fn goods(case: &Case<'_>, line: &Line, books: &mut Books, hq: &Connection, found: &mut Differences) -> Result<()> {
    // What comes back is priced by the receipt it was on or by staff; its sale was checked when it was made.
    if line.kind != LineKind::Goods {
        return Ok(());
    }
    let place = place(line.no);
    match books.item(hq, &line.price_book, &line.key)? {
        Found::NoBook => found.add("price_book", place, &"a published price book", &line.price_book),
        Found::NoItem => found.add("item", place, &"an item of the price book", &line.key),
        Found::Item(item) => prices(line, item.priced(line.priced_at.unwrap_or(case.at)), &place, found),
    }
    Ok(())
}

fn prices(line: &Line, item: Item, place: &str, found: &mut Differences) {
    found.compare("tax_rate", place, item.tax_bp, line.tax_bp);
    // The label carried the price: weighed and priced by another scale.
    if line.labelled {
        return;
    }
    let list = line.overridden.as_ref().map_or(line.unit_price, |overridden| overridden.list_price);
    found.compare("unit_price", place, item.price.0, list.0);
    // Nothing takes anything off a price that staff set.
    if line.overridden.is_some() {
        return;
    }
    let terms = |member: Option<Money>, levels: &BTreeMap<String, Money>| {
        let levels = levels.iter().map(|(level, price)| format!("{level} {}", price.0));
        let member = member.map(|price| format!("member {}", price.0));
        member.into_iter().chain(levels).collect::<Vec<_>>().join(", ")
    };
    let (expected, carried) = (terms(item.member_price, &item.levels), terms(line.member_price, &line.levels));
    found.compare("member_price", place, expected, carried);
    if item.breaks != line.breaks {
        found.add("quantity_price", place, &format!("{:?}", item.breaks), &format!("{:?}", line.breaks));
    }
    if item.offer != line.offer {
        found.add("offer", place, &format!("{:?}", item.offer), &format!("{:?}", line.offer));
    }
    found.compare("group", place, item.group.as_str(), line.group.as_str());
}

/// Savings, taxes and total as the same code works them out here.
fn basket(case: &Case<'_>, book: &PromotionBook, found: &mut Differences) {
    let lines: Vec<&Line> = case.transaction.live_lines().collect();
    let priced = price::price(&lines, &case.transaction.terms, case.at, &case.rules, book);
    let expected = savings(priced.savings.iter());
    let recorded = savings(lines.iter().flat_map(|line| &line.savings));
    for (line, rule) in expected.keys().chain(recorded.keys()).collect::<std::collections::BTreeSet<_>>() {
        let amount = |of: &BTreeMap<(LineNo, &str), Money>| of.get(&(*line, *rule)).map_or(0, |amount| amount.0);
        found.compare("saving", format!("{} by {rule}", place(*line)), amount(&expected), amount(&recorded));
    }
    for rate in
        rates(&priced.taxes).keys().chain(rates(&case.sale.taxes).keys()).collect::<std::collections::BTreeSet<_>>()
    {
        let of = |taxes: &[TaxLine]| rates(taxes).get(rate).map_or((0, 0), |row| (row.net.0, row.tax.0));
        let (expected, sold) = (of(&priced.taxes), of(&case.sale.taxes));
        found.compare("net", format!("rate {rate}"), expected.0, sold.0);
        found.compare("tax", format!("rate {rate}"), expected.1, sold.1);
    }
    found.compare("discount", "sale", priced.discount.0, case.sale.discount.0);
    found.compare("total", "sale", priced.total.0, case.sale.total.0);
}

/// What was sold against the basket it was sold from.
fn sold(case: &Case<'_>, found: &mut Differences) {
    let (open, sale) = (case.transaction, case.sale);
    found.compare("transaction", "sale", &open.id, &sale.transaction);
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
    }
}

/// Tenders pay the total and what cash is rounded by, which is decided by whoever closes the sale in cash.
fn paid(case: &Case<'_>, found: &mut Differences) {
    let sale = case.sale;
    // Money that goes back follows the tenders it came from, each checked when it came.
    if sale.total < Money::ZERO {
        return;
    }
    let paid: Money = sale.tenders.iter().map(|tender| tender.amount).sum();
    found.compare("paid", "sale", sale.total.plus(sale.rounding).0, paid.0);
    let closing = sale.tenders.last().filter(|tender| tender.kind == TenderKind::Cash);
    let expected = closing.map_or(Money::ZERO, |closing| {
        let before = paid.minus(closing.amount);
        price::cash_rounding(sale.total.minus(before), &case.rules)
    });
    found.compare("rounding", "sale", expected.0, sale.rounding.0);
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

fn place(line: LineNo) -> String {
    format!("line {line}")
}
