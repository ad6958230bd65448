//! Lines against the price book they name, or against the sale they were bought in.

use super::{Bought, Case, Differences, place};
use crate::db::Connection;
use crate::parity::books::{Books, Found};
use crate::parity::replay::bought;
use anyhow::Result;
use checkout::catalog::Item;
use checkout::intervention::InterventionKind;
use checkout::line::{Line, LineKind, serial_id};
use checkout::price;
use checkout::words::{ItemKey, Money};
use std::collections::BTreeMap;

type Look<'a> = (&'a mut Books, &'a Connection);

pub(super) fn check(
    case: &Case<'_>,
    line: &Line,
    (books, hq): Look<'_>,
    sales: &Bought,
    found: &mut Differences,
) -> Result<()> {
    if bought(line).is_some() {
        with_receipt(case, line, sales, found);
        return Ok(());
    }
    let place = place(line.no);
    let item = match books.item(hq, &line.price_book, &line.key)? {
        Found::NoBook => {
            found.add("price_book", place, &"a published price book", &line.price_book);
            return Ok(());
        }
        Found::NoItem => {
            found.add("item", place, &"an item of the price book", &line.key);
            return Ok(());
        }
        Found::Item(item) => item,
    };
    if line.kind == LineKind::Returned {
        without_receipt(line, &item, &place, found);
        return Ok(());
    }
    let at = line.priced_at.unwrap_or(case.at);
    let item = item.priced(at);
    found.compare("kind", &place, kind(item.kind), kind(line.kind));
    prices(line, &item, &place, found);
    single(case, line, &item, &place, found);
    match line.parent {
        Some(parent) => {
            let parent = case.transaction.live_lines().find(|one| one.no == parent);
            found.compare("comes_with", &place, parent.map_or(0, |parent| parent.quantity), line.quantity);
        }
        None => children(case, line, &item, (books, hq), found)?,
    }
    Ok(())
}

fn kind(kind: LineKind) -> &'static str {
    match kind {
        LineKind::Goods => "goods",
        LineKind::Deposit => "deposit",
        LineKind::BottleReturn => "bottle return",
        LineKind::Returned => "returned goods",
    }
}

fn prices(line: &Line, item: &Item, place: &str, found: &mut Differences) {
    found.compare("tax_rate", place, item.tax_bp, line.tax_bp);
    // The label carried the price: weighed and priced by another scale.
    if line.labelled {
        return;
    }
    let list = line.overridden.as_ref().map_or(line.unit_price, |overridden| overridden.list_price);
    found.compare("unit_price", place, item.price.0, list.0);
    // Nothing takes anything off a price that staff set, off a deposit or off an empty.
    if line.overridden.is_some() || line.kind != LineKind::Goods {
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

/// What is true of the piece itself: its number, and how old who takes it must be.
fn single(case: &Case<'_>, line: &Line, item: &Item, place: &str, found: &mut Differences) {
    let sold = |serial: &&String| case.facts.serials.knows(&serial_id(&line.key, serial));
    if let Some(serial) = line.serial.as_ref().filter(sold) {
        found.add("serial", place, &"a piece not sold before", serial);
    }
    if item.serialised && line.serial.is_none() {
        found.add("serial", place, &"a serial number", &"none");
    }
    let years = |age: Option<u8>| age.map_or_else(|| "none".to_owned(), |years| years.to_string());
    found.compare("age", place, years(item.min_age), years(line.min_age));
    let Some(wanted) = item.min_age else { return };
    let asked = case.transaction.interventions.iter().any(|asked| {
        asked.answer == Some(true) && matches!(asked.kind, InterventionKind::Age { years, .. } if years >= wanted)
    });
    if !asked {
        found.add("age_check", place, &format!("confirmed to be {wanted}"), &"not confirmed");
    }
}

/// Deposits and linked goods of a line are in the basket with it.
fn children(case: &Case<'_>, line: &Line, item: &Item, (books, hq): Look<'_>, found: &mut Differences) -> Result<()> {
    let mut wanted: Vec<ItemKey> = item.linked.iter().chain(&item.deposit).cloned().collect();
    for key in &item.linked {
        if let Found::Item(linked) = books.item(hq, &line.price_book, key)? {
            wanted.extend(linked.deposit);
        }
    }
    let there = |key: &ItemKey| {
        let mut with = case.transaction.live_lines().filter(|one| one.parent == Some(line.no));
        with.any(|one| one.key == *key)
    };
    for key in wanted.iter().filter(|key| !there(key)) {
        found.add("comes_with", place(line.no), key, &"none");
    }
    for stray in case.transaction.live_lines().filter(|one| one.parent == Some(line.no) && !wanted.contains(&one.key)) {
        found.add("comes_with", place(line.no), &"none", &stray.key);
    }
    Ok(())
}

/// What was paid for them, to the last minor unit, and no more pieces than were bought.
fn with_receipt(case: &Case<'_>, line: &Line, sales: &Bought, found: &mut Differences) {
    let Some((of, bought)) = line.returned.as_ref().zip(bought(line)) else { return };
    let place = place(line.no);
    let sold = sales.get(&bought.transaction).and_then(|sold| sold.sale.lines.iter().find(|one| one.no == bought.line));
    let (Some(sold), Some(back)) = (sold, case.priced.back.get(&line.no)) else {
        let which = format!("{} line {}", bought.transaction, bought.line);
        return found.add("bought", place, &"a line of a sale headquarters has", &which);
    };
    found.compare("returned_item", &place, &sold.key, &line.key);
    found.compare("returned_worth", &place, back.amount.0, of.amount.0);
    if line.quantity > back.left {
        found.add("returned_quantity", &place, &format!("{} at most", back.left), &line.quantity);
    }
    found.compare("unit_price", &place, sold.unit_price.0, line.unit_price.0);
    found.compare("tax_rate", &place, sold.tax_bp.unwrap_or(line.tax_bp), line.tax_bp);
}

/// What they cost at that minute.
fn without_receipt(line: &Line, item: &Item, place: &str, found: &mut Differences) {
    let Some(of) = &line.returned else { return };
    found.compare("tax_rate", place, item.tax_bp, line.tax_bp);
    let price = match line.priced_at {
        Some(_) if line.labelled => line.unit_price,
        Some(at) => item.clone().priced(at).price,
        // Journals that do not say when knew the price book's own price only.
        None => item.price,
    };
    found.compare("unit_price", place, price.0, line.unit_price.0);
    let worth = price::extended(price, line.quantity, line.weight_g);
    found.compare("returned_worth", place, worth.0, of.amount.0);
}
