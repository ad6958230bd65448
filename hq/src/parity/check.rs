//! One sale against what it should be: pure, but for looking goods, members, campaigns and earlier sales up.

mod account;
mod lines;
mod sums;

use super::Difference;
use super::books::Books;
use super::replay::Priced;
use super::sales;
use crate::db::Connection;
use anyhow::Result;
use checkout::basket::Transaction;
use checkout::catalog::NO_PROMOTIONS;
use checkout::config::PriceRules;
use checkout::event::{Event, Record};
use checkout::facts::Facts;
use checkout::returns::Sold;
use checkout::sale::Sale;
use checkout::shift::ShiftEvent;
use checkout::store::StoreEvent;
use checkout::totals::Totals;
use checkout::words::{LaneId, LineNo, LocalMinute, TransactionId};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

/// What a completed sale is held against.
pub(super) struct Case<'a> {
    pub(super) box_id: &'a str,
    pub(super) lane: LaneId,
    pub(super) transaction: &'a Transaction,
    pub(super) sale: &'a Sale,
    pub(super) priced: &'a Priced,
    /// As they were before the sale.
    pub(super) facts: &'a Facts,
    pub(super) rules: PriceRules,
    /// For lines of journals that do not say when they were priced.
    pub(super) at: LocalMinute,
}

/// Sales that goods of this one were bought in.
type Bought = BTreeMap<TransactionId, Sold>;

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
    let mut bought = Bought::new();
    for of in case.transaction.live_lines().filter_map(super::replay::bought) {
        if !bought.contains_key(&of.transaction)
            && let Some(sold) = sales::sold(hq, &of.transaction)?
        {
            bought.insert(of.transaction.clone(), sold);
        }
    }
    for line in case.transaction.live_lines() {
        lines::check(case, line, (books, hq), &bought, &mut found)?;
    }
    account::member(case, books, hq, &mut found)?;
    account::coupons(case, books, hq, &mut found)?;
    match (case.priced.promotions, books.promotions(hq, case.priced.promotions)?) {
        (0, _) => sums::basket(case, &NO_PROMOTIONS, &mut found),
        (_, Some(book)) => sums::basket(case, book, &mut found),
        (version, None) => found.add("promotions", "basket", &"a published version", &version),
    }
    account::points(case, &bought, &mut found);
    sums::sold(case, &mut found);
    sums::paid(case, &bought, &mut found);
    Ok(found.0)
}

/// A report against the sums of the rows before it, and what it is called; nothing where the row is none.
pub(super) fn report(box_id: &str, record: &Record, facts: &Facts) -> (String, Vec<Difference>) {
    if let Event::Store(StoreEvent::DayClosed { day, totals, .. }) = &record.event {
        let place = format!("day {}", day.saturating_add(1));
        return (format!("{box_id} {place}"), sums_of(&place, &facts.day, totals));
    }
    if let (Event::Shift(ShiftEvent::Closed(report)), Some(lane)) = (&record.event, record.lane)
        && let Some(shift) = facts.lanes.get(&lane).and_then(|facts| facts.shifts.open.as_ref())
    {
        let place = format!("shift {} of lane {lane}", report.shift);
        return (format!("{box_id} {place}"), sums_of(&place, &shift.totals, &report.totals));
    }
    Default::default()
}

fn sums_of(place: &str, expected: &Totals, told: &Totals) -> Vec<Difference> {
    let fields = |totals: &Totals| serde_json::to_value(totals).ok().and_then(|value| value.as_object().cloned());
    let (expected, told) = (fields(expected).unwrap_or_default(), fields(told).unwrap_or_default());
    let mut found = Differences::default();
    for name in expected.keys().chain(told.keys()).collect::<BTreeSet<_>>() {
        let of = |fields: &Map<String, Value>| fields.get(name).map_or_else(|| "0".to_owned(), Value::to_string);
        found.compare("report", format!("{place} {name}"), of(&expected), of(&told));
    }
    found.0
}

fn place(line: LineNo) -> String {
    format!("line {line}")
}
