//! Statements of providers against what the stores' journals say: every difference, a line each.

use super::statement::day_of;
use crate::db::{Connection, Row, params};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A payment this close to the end of a day that no statement is there for may stand in that one.
const EDGE_MS: i64 = 10 * 60_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The provider moved money that no journal knows of.
    MissingHere,
    /// A journal says that money moved, and the statement of that day does not.
    MissingThere,
    AmountDiffers,
    /// The provider moved it more than once.
    Double,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub kind: Kind,
    pub provider: String,
    /// Our number of the charge or refund.
    pub order_no: String,
    #[serde(rename = "box", skip_serializing_if = "Option::is_none")]
    pub box_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tender: Option<String>,
    /// Negative: given back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub here: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub there: Option<i64>,
    pub currency: String,
    pub at: i64,
}

/// What the journals say.
struct Here {
    box_id: String,
    tender: String,
    amount: i64,
    at: i64,
    provider: Option<String>,
}

/// What the statements say under one number.
struct There {
    provider: String,
    /// The charge it is of.
    charge: String,
    amount: i64,
    currency: String,
    times: i64,
    at: i64,
}

/// # Errors
/// When the database cannot be read.
pub fn differences(db: &Connection) -> anyhow::Result<Vec<Difference>> {
    let here = here(db)?;
    let there = there(db)?;
    let undone = undone(&here, &there);
    let mut found = Vec::new();
    for (number, line) in &there {
        let known = here.get(number);
        if known.is_none() && undone.contains(&line.charge) {
            continue;
        }
        let difference = |kind| Difference {
            kind,
            provider: line.provider.clone(),
            order_no: number.clone(),
            box_id: known.map(|known| known.box_id.clone()),
            tender: known.map(|known| known.tender.clone()),
            here: known.map(|known| known.amount),
            there: Some(line.amount),
            currency: line.currency.clone(),
            at: line.at,
        };
        if line.times > 1 {
            let there = Some(line.amount.saturating_mul(line.times));
            found.push(Difference { there, ..difference(Kind::Double) });
        }
        match known {
            None => found.push(difference(Kind::MissingHere)),
            Some(known) if known.amount != line.amount => found.push(difference(Kind::AmountDiffers)),
            Some(_) => {}
        }
    }
    found.extend(missing_there(db, &here, &there)?);
    found.sort_by(|one, other| (one.at, &one.order_no, one.kind).cmp(&(other.at, &other.order_no, other.kind)));
    Ok(found)
}

/// Charges no journal says stand, and that went back whole: given up in time, nobody lost anything.
fn undone(here: &BTreeMap<String, Here>, there: &BTreeMap<String, There>) -> BTreeSet<String> {
    let mut left: BTreeMap<&str, i64> = BTreeMap::new();
    for (number, line) in there.iter().filter(|(number, _)| !here.contains_key(*number)) {
        let charge = if line.amount < 0 { line.charge.as_str() } else { number.as_str() };
        *left.entry(charge).or_default() += line.amount.saturating_mul(line.times);
    }
    left.into_iter().filter(|(_, left)| *left == 0).map(|(charge, _)| charge.to_owned()).collect()
}

fn missing_there(
    db: &Connection,
    here: &BTreeMap<String, Here>,
    there: &BTreeMap<String, There>,
) -> anyhow::Result<Vec<Difference>> {
    let mut covered: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
    let mut days = db.prepare_cached("SELECT DISTINCT provider, at FROM statement_line")?;
    for row in days.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))? {
        let (provider, at) = row?;
        covered.entry(provider).or_default().insert(day_of(at));
    }
    let told = |provider: &str, at: i64| {
        let days = covered.get(provider);
        [at.saturating_sub(EDGE_MS), at.saturating_add(EDGE_MS)]
            .into_iter()
            .all(|at| days.is_some_and(|days| days.contains(&day_of(at))))
    };
    let missing = here.iter().filter(|(number, known)| {
        // Money of a provider headquarters never asked is missing wherever one looks.
        !there.contains_key(*number) && known.provider.as_deref().is_none_or(|provider| told(provider, known.at))
    });
    let difference = |(number, known): (&String, &Here)| Difference {
        kind: Kind::MissingThere,
        provider: known.provider.clone().unwrap_or_default(),
        order_no: number.clone(),
        box_id: Some(known.box_id.clone()),
        tender: Some(known.tender.clone()),
        here: Some(known.amount),
        there: None,
        currency: String::new(),
        at: known.at,
    };
    Ok(missing.map(difference).collect())
}

fn here(db: &Connection) -> anyhow::Result<BTreeMap<String, Here>> {
    let mut rows = db.prepare_cached(
        "SELECT m.order_no, m.box, m.tender, m.taken, m.at, coalesce(p.provider, r.provider)
         FROM tender_money m
         LEFT JOIN payment p ON p.order_no = m.order_no
         LEFT JOIN payment_refund r ON r.order_no = m.order_no
         WHERE m.kind = 'wallet' AND m.taken <> 0",
    )?;
    let read = |row: &Row<'_>| {
        let known = Here {
            box_id: row.get(1)?,
            tender: row.get(2)?,
            amount: row.get(3)?,
            at: row.get(4)?,
            provider: row.get(5)?,
        };
        Ok((row.get::<_, String>(0)?, known))
    };
    Ok(rows.query_map(params![], read)?.collect::<Result<_, _>>()?)
}

fn there(db: &Connection) -> anyhow::Result<BTreeMap<String, There>> {
    let mut rows = db.prepare_cached(
        "SELECT CASE kind WHEN 'refund' THEN refund_no ELSE order_no END AS number, provider, max(order_no),
            max(CASE kind WHEN 'refund' THEN -amount ELSE amount END), max(currency), count(*), min(at)
         FROM statement_line GROUP BY number, kind, provider",
    )?;
    let read = |row: &Row<'_>| {
        let line = There {
            provider: row.get(1)?,
            charge: row.get(2)?,
            amount: row.get(3)?,
            currency: row.get(4)?,
            times: row.get(5)?,
            at: row.get(6)?,
        };
        Ok((row.get::<_, String>(0)?, line))
    };
    Ok(rows.query_map(params![], read)?.collect::<Result<_, _>>()?)
}
