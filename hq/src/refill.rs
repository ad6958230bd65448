//! A box that lost rows of its journal gets the sales back that headquarters has of it.

use crate::db::{self, Connection, params};
use checkout::basket::BasketEvent;
use checkout::event::{Event, Record};
use checkout::returns::Sold;
use checkout::wire::Refill;
use checkout::words::{LaneId, ReceiptNo, Utc};
use std::collections::BTreeMap;

/// Sales of one answer, and bytes after which no more are added: it travels in one message.
const SALES_MAX: usize = 50;
const BYTES_MAX: usize = 48 * 1024;

/// Sales of `box_id` behind `since` and `after`, by time and transaction.
///
/// # Errors
/// When the database cannot be read.
pub(crate) fn page(db: &Connection, box_id: &str, since: Utc, after: &str) -> db::Result<Refill> {
    let mut found = db.prepare_cached(
        "SELECT event.body FROM sale JOIN journal_event AS event
            ON event.box = sale.box AND event.epoch = sale.epoch AND event.seq = sale.seq
         WHERE sale.box = ?1 AND (sale.at, sale.transaction_id) > (?2, ?3)
         ORDER BY sale.at, sale.transaction_id LIMIT ?4",
    )?;
    let (mut sales, mut bytes, mut more) = (Vec::new(), 0, false);
    found.each(params![box_id, since.0, after, SALES_MAX as u64 + 1], |row| -> db::Result<bool> {
        let body: String = row.get(0)?;
        bytes += body.len();
        more = sales.len() >= SALES_MAX || (bytes > BYTES_MAX && !sales.is_empty());
        if !more {
            sales.extend(sold(&body));
        }
        Ok(!more)
    })?;
    Ok(Refill { sales, more, receipts: receipts(db, box_id)? })
}

fn sold(body: &str) -> Option<Sold> {
    let record: Record = serde_json::from_str(body).ok()?;
    let Event::Basket(BasketEvent::Completed(sale)) = record.event else { return None };
    Some(Sold { lane: record.lane?, at: record.utc, sale: *sale })
}

fn receipts(db: &Connection, box_id: &str) -> db::Result<BTreeMap<LaneId, ReceiptNo>> {
    let highest = "SELECT lane, max(receipt_no) FROM sale WHERE box = ?1 AND lane IS NOT NULL GROUP BY lane";
    let mut highest = db.prepare_cached(highest)?;
    let rows = highest.query_map([box_id], |row| Ok((row.get::<_, u16>(0)?, row.get::<_, i64>(1)?)))?;
    rows.map(|row| row.map(|(lane, number)| (LaneId(lane), ReceiptNo(number.unsigned_abs())))).collect()
}
