//! Transactions that were completed twice: both sales stand, both receipts are listed, and somebody looks.

use super::Origin;
use crate::db::{self, Connection, OptionalExtension as _, Row, Transaction, params};
use crate::store::{alarm, int};
use checkout::sale::Sale;
use serde::Serialize;

/// One of the two sales.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receipt {
    #[serde(rename = "box")]
    pub box_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<i64>,
    pub number: i64,
    pub at: i64,
    pub total: i64,
    pub currency: String,
    /// Such as `card 350, cash 100`.
    pub tenders: String,
}

/// A transaction with two receipts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SoldAgain {
    pub transaction: String,
    pub first: Receipt,
    pub again: Receipt,
}

/// A row that was sent again is the same sale at the same moment; anything else is another sale of that basket.
///
/// # Errors
/// When the database cannot be read or written.
pub(super) fn record(
    txn: &Transaction<'_>,
    origin: Origin<'_>,
    (at, lane): (i64, Option<i64>),
    sale: &Sale,
    content: [u8; 32],
) -> db::Result<()> {
    let id = &sale.transaction.0;
    let first: Option<([u8; 32], i64)> = txn
        .prepare_cached("SELECT content, at FROM sale WHERE transaction_id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if first == Some((content, at)) {
        return Ok(());
    }
    let tenders: Vec<String> =
        sale.tenders.iter().map(|tender| format!("{} {}", tender.kind.code(), tender.amount.0)).collect();
    let new = txn
        .prepare_cached(
            "INSERT INTO sale_again
                (transaction_id, content, at, box, lane, receipt_no, total, currency, tenders, epoch, seq)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            id,
            content,
            at,
            origin.box_id,
            lane,
            int(sale.receipt.0),
            sale.total.0,
            sale.currency,
            tenders.join(", "),
            int(origin.epoch),
            int(origin.seq)
        ])?;
    if new == 1 {
        let detail = format!("transaction {id} was completed again, as receipt {}: both are listed", sale.receipt);
        alarm(txn, origin.box_id, "sale_conflict", &detail)?;
    }
    Ok(())
}

/// The latest `most`, newest first.
///
/// # Errors
/// When the database cannot be read.
pub(crate) fn list(db: &Connection, most: u32) -> anyhow::Result<Vec<SoldAgain>> {
    let mut rows = db.prepare_cached(
        "SELECT s.transaction_id, s.box, s.lane, s.receipt_no, s.at, s.total, s.currency,
                coalesce((SELECT string_agg(kind || ' ' || amount, ', ') FROM sale_tender t
                          WHERE t.transaction_id = s.transaction_id), ''),
                a.box, a.lane, a.receipt_no, a.at, a.total, a.currency, a.tenders
         FROM sale_again a JOIN sale s ON s.transaction_id = a.transaction_id ORDER BY a.at DESC LIMIT ?1",
    )?;
    let found = rows.query_map([most], |row| {
        Ok(SoldAgain { transaction: row.get(0)?, first: receipt(row, 1)?, again: receipt(row, 8)? })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn receipt(row: &Row<'_>, from: usize) -> db::Result<Receipt> {
    Ok(Receipt {
        box_id: row.get(from)?,
        lane: row.get(from + 1)?,
        number: row.get(from + 2)?,
        at: row.get(from + 3)?,
        total: row.get(from + 4)?,
        currency: row.get(from + 5)?,
        tenders: row.get(from + 6)?,
    })
}
