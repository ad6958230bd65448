//! Sales as files other programs read: a line of JSON each in the words of ARTS POSLog 6, or rows of CSV.
//!
//! Amounts are minor units of the currency, as everywhere; times are ISO 8601 in UTC. No member is named, only whether one was known.

use crate::console::read::lines;
use crate::db::{self, Connection, Row, params};
mod parquet;

use anyhow::Result;
use clap::ValueEnum;
use serde_json::{Value, json};
use std::io::Write;

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Format {
    /// One sale a line: RetailTransaction with LineItem, Tax and Tender
    Poslog,
    /// One line of a sale a row, with a header
    Csv,
    /// The same rows in columns, packed, for programs that count
    Parquet,
}

const SALES: &str = "SELECT s.transaction_id, b.store, s.box, s.lane, s.receipt_no,
        strftime('%Y-%m-%dT%H:%M:%SZ', s.at / 1000, 'unixepoch'), s.total, s.tax, s.discount, s.change, s.currency,
        s.member IS NOT NULL
        , s.at
    FROM sale AS s JOIN box AS b ON b.id = s.box
    WHERE (s.at, s.transaction_id) > (?1, ?2) AND s.at < ?3 ORDER BY s.at, s.transaction_id LIMIT 1000";
const TENDERS: &str = "SELECT tender, kind, amount FROM sale_tender WHERE transaction_id = ?1 ORDER BY tender";
const TAXES: &str = "SELECT rate_bp, net, tax FROM sale_tax WHERE transaction_id = ?1 ORDER BY rate_bp";

/// Writes every sale of `from <= time < until` (milliseconds since 1970), oldest first; returns how many.
///
/// # Errors
/// The database cannot be read, or `to` takes no more.
pub fn sales(db: &Connection, from: i64, until: i64, format: Format, to: &mut (impl Write + Send)) -> Result<u64> {
    let count = match format {
        Format::Poslog => each(db, from, until, |sale| {
            serde_json::to_writer(&mut *to, &sale.poslog(db)?)?;
            Ok(to.write_all(b"\n")?)
        })?,
        Format::Csv => {
            let mut csv = csv::Writer::from_writer(&mut *to);
            csv.write_record(COLUMNS)?;
            let count = each(db, from, until, |sale| sale.rows(db, &mut csv))?;
            csv.flush()?;
            count
        }
        Format::Parquet => {
            let mut table = parquet::Table::new(&mut *to)?;
            let count = each(db, from, until, |sale| table.take(&sale, lines(db, &sale.transaction)?))?;
            table.finish()?;
            count
        }
    };
    to.flush()?;
    Ok(count)
}

/// By pages: years of a fleet's sales are not held in memory, on either side.
fn each(db: &Connection, from: i64, until: i64, mut take: impl FnMut(Sale) -> Result<()>) -> Result<u64> {
    let mut last = (from, String::new());
    let mut count = 0;
    loop {
        let page: Vec<Sale> = db
            .prepare_cached(SALES)?
            .query_map(params![last.0, last.1, until], Sale::of)?
            .collect::<db::Result<_>>()?;
        let Some(end) = page.last() else { return Ok(count) };
        last = (end.at, end.transaction.clone());
        for sale in page {
            take(sale)?;
            count += 1;
        }
    }
}

const COLUMNS: [&str; 16] = [
    "transaction",
    "store",
    "box",
    "lane",
    "receipt",
    "time",
    "currency",
    "line",
    "item",
    "name_zh",
    "name_en",
    "quantity",
    "weight_g",
    "unit_price",
    "discount",
    "total",
];

struct Sale {
    transaction: String,
    store: String,
    box_id: String,
    lane: Option<i64>,
    receipt: i64,
    time: String,
    total: i64,
    tax: i64,
    discount: i64,
    change: i64,
    currency: String,
    member: bool,
    at: i64,
}

impl Sale {
    fn of(row: &Row<'_>) -> db::Result<Self> {
        Ok(Self {
            transaction: row.get(0)?,
            store: row.get(1)?,
            box_id: row.get(2)?,
            lane: row.get(3)?,
            receipt: row.get(4)?,
            time: row.get::<_, Option<String>>(5)?.unwrap_or_default(),
            total: row.get(6)?,
            tax: row.get(7)?,
            discount: row.get(8)?,
            change: row.get(9)?,
            currency: row.get(10)?,
            member: row.get(11)?,
            at: row.get(12)?,
        })
    }

    /// ARTS POSLog 6: the element names of `RetailTransaction`, with `Total` by its `TotalType`.
    fn poslog(&self, db: &Connection) -> Result<Value> {
        let of = params![self.transaction];
        let all = |sql: &str, read: fn(&Row<'_>) -> db::Result<Value>| -> db::Result<Vec<Value>> {
            db.prepare_cached(sql)?.query_map(of, read)?.collect()
        };
        let lines: Vec<Value> = lines(db, &self.transaction)?
            .into_iter()
            .map(|line| {
                json!({
                    "SequenceNumber": line.no,
                    "ItemID": line.item,
                    "Description": {"zh": line.name_zh, "en": line.name_en},
                    "Quantity": line.quantity,
                    "WeightGrams": line.weight_g,
                    "ActualSalesUnitPrice": line.unit_price,
                    "DiscountAmount": line.discount,
                    "ExtendedAmount": line.total,
                    "PriceBook": line.price_book,
                })
            })
            .collect();
        let tenders = all(TENDERS, |row| {
            Ok(json!({
                "TenderID": row.get::<_, String>(0)?,
                "TenderType": row.get::<_, String>(1)?,
                "Amount": row.get::<_, i64>(2)?,
            }))
        })?;
        let taxes = all(TAXES, |row| {
            Ok(json!({
                "Percent": row.get::<_, i64>(0)? as f64 / 100.0,
                "TaxableAmount": row.get::<_, i64>(1)?,
                "Amount": row.get::<_, i64>(2)?,
            }))
        })?;
        Ok(json!({
            "TransactionID": self.transaction,
            "RetailStoreID": self.store,
            "BoxID": self.box_id,
            "WorkstationID": self.lane,
            "SequenceNumber": self.receipt,
            "EndDateTime": self.time,
            "CurrencyCode": self.currency,
            "RetailTransaction": {
                "TypeCode": "Transaction",
                "MemberKnown": self.member,
                "LineItem": lines,
                "Tax": taxes,
                "Tender": tenders,
                "Total": [
                    {"TotalType": "TransactionGrandAmount", "Amount": self.total},
                    {"TotalType": "TransactionTaxAmount", "Amount": self.tax},
                    {"TotalType": "TransactionDiscountAmount", "Amount": self.discount},
                    {"TotalType": "TransactionChangeAmount", "Amount": self.change},
                ],
            },
        }))
    }

    fn rows(&self, db: &Connection, csv: &mut csv::Writer<impl Write>) -> Result<()> {
        let lane = self.lane.map(|lane| lane.to_string()).unwrap_or_default();
        let receipt = self.receipt.to_string();
        let own = [&self.transaction, &self.store, &self.box_id, &lane, &receipt, &self.time, &self.currency];
        for line in lines(db, &self.transaction)? {
            let names = [line.item, line.name_zh, line.name_en].map(harmless);
            let weight = line.weight_g.map(|grams| grams.to_string()).unwrap_or_default();
            let numbers = [line.unit_price, line.discount, line.total].map(|number| number.to_string());
            let (no, quantity) = (line.no.to_string(), line.quantity.to_string());
            let row = own.into_iter().chain([&no]).chain(&names).chain([&quantity, &weight]).chain(&numbers);
            csv.write_record(row)?;
        }
        Ok(())
    }
}

/// A spreadsheet takes a cell that begins like a formula for one, and a store's goods are named by other people.
fn harmless(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text }
}
