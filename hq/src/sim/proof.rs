//! What the simulated boxes have sold, held against what headquarters' database has of them.

use super::member::Member;
use super::shop::Sum;
use crate::db::{self, Connection, params};
use anyhow::Context as _;
use serde::Serialize;
use std::collections::BTreeMap;

/// Boxes named in a report that are not as they should be.
const NAMED: usize = 10;

#[derive(Clone, Debug, Default, Serialize)]
pub struct Proof {
    pub boxes: usize,
    pub events: u64,
    pub sales: u64,
    /// Minor units.
    pub total: i64,
    pub wrong: usize,
    /// Some of those.
    pub examples: Vec<String>,
}

/// `prefix`: what the names of this run's boxes begin with.
pub(super) fn proof(db: &Connection, prefix: &str, members: &[Member]) -> anyhow::Result<Proof> {
    // A range, so that each question goes by its index.
    let range = params![prefix, format!("{prefix}~")];
    let mut acked = BTreeMap::new();
    let boxes = "SELECT id, epoch, acked FROM box WHERE id BETWEEN ?1 AND ?2";
    db.prepare_cached(boxes)?.each(range, |row| -> db::Result<bool> {
        acked.insert(row.get::<_, String>(0)?, (row.get::<_, u64>(1)?, row.get::<_, u64>(2)?));
        Ok(true)
    })?;
    let mut sums: BTreeMap<(String, u64), Sum> = BTreeMap::new();
    let events = "SELECT box, epoch, count(*) FROM journal_event WHERE box BETWEEN ?1 AND ?2 GROUP BY 1, 2";
    db.prepare_cached(events)?.each(range, |row| -> db::Result<bool> {
        sums.entry((row.get(0)?, row.get(1)?)).or_default().events = row.get(2)?;
        Ok(true)
    })?;
    let sold = "SELECT box, count(*), sum(total) FROM sale WHERE box BETWEEN ?1 AND ?2 GROUP BY 1";
    let mut sold = db.prepare_cached(sold)?;
    let sold: BTreeMap<String, (u64, i64)> =
        sold.query_map(range, |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?.collect::<Result<_, _>>()?;
    let mut proof = Proof { boxes: members.len(), ..Proof::default() };
    for member in members {
        let (id, uplink) = (&member.shop.id, &member.uplink);
        let there = acked.get(id).copied().unwrap_or_default();
        let mut found = sums.get(&(id.clone(), there.0)).copied().unwrap_or_default();
        (found.sales, found.total) = sold.get(id).copied().unwrap_or_default();
        let wanted = member.shop.sum(uplink.head);
        (proof.events, proof.sales) = (proof.events + found.events, proof.sales + found.sales);
        proof.total = proof.total.checked_add(found.total).context("a sum of money that does not fit")?;
        let ours = (uplink.epoch, uplink.head);
        if found == wanted && there == ours && uplink.acked.0 == uplink.head {
            continue;
        }
        proof.wrong += 1;
        if proof.examples.len() < NAMED {
            let at = format!(
                "{id}: acknowledged {} of {ours:?}; headquarters {there:?}, {found:?}, not {wanted:?}",
                uplink.acked.0
            );
            proof.examples.push(at);
        }
    }
    Ok(proof)
}
