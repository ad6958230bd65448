//! Sales headquarters has already, as goods brought back and coupons refer to them.

use crate::db::{Connection, OptionalExtension as _, params};
use anyhow::Result;
use checkout::basket::BasketEvent;
use checkout::coupon::Coupon;
use checkout::event::{Event, Record};
use checkout::returns::Sold;
use checkout::words::TransactionId;

/// `None`: no store told of it.
pub(super) fn sold(hq: &Connection, transaction: &TransactionId) -> Result<Option<Sold>> {
    let sql = "SELECT e.body FROM sale AS s
               JOIN journal_event AS e ON e.box = s.box AND e.epoch = s.epoch AND e.seq = s.seq
               WHERE s.transaction_id = ?1";
    let body: Option<String> = hq.prepare_cached(sql)?.query_row([&transaction.0], |row| row.get(0)).optional()?;
    let Some(record) = body.and_then(|body| serde_json::from_str::<Record>(&body).ok()) else { return Ok(None) };
    let (Event::Basket(BasketEvent::Completed(sale)), Some(lane)) = (record.event, record.lane) else {
        return Ok(None);
    };
    Ok(Some(Sold { lane, at: record.utc, sale: *sale }))
}

/// The earlier sale of the same store that redeemed it. What two stores redeemed stands in `coupon_conflict`.
pub(super) fn redeemed_before(
    hq: &Connection,
    box_id: &str,
    coupon: &Coupon,
    transaction: &TransactionId,
) -> Result<Option<String>> {
    let sql = "SELECT other.transaction_id FROM coupon_use AS other
               JOIN sale AS first ON first.transaction_id = other.transaction_id
               JOIN sale AS this ON this.transaction_id = ?4
               WHERE other.campaign = ?1 AND other.serial = ?2 AND other.box = ?3 AND other.transaction_id <> ?4
                 AND (first.epoch, first.seq) < (this.epoch, this.seq) LIMIT 1";
    let by = params![coupon.campaign, coupon.serial, box_id, transaction.0];
    Ok(hq.prepare_cached(sql)?.query_row(by, |row| row.get(0)).optional()?)
}
