//! What the console asks the database.

use super::fleet::{self, Counts};
use crate::db::{self, Connection, OptionalExtension as _, Row, ToCell, params};
use crate::parity;
use crate::store::now_ms;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Serialize)]
pub(crate) struct BoxRow {
    pub(crate) id: String,
    pub(crate) store: String,
    pub(crate) online: bool,
    pub(crate) last_seen: i64,
    pub(crate) version: String,
    pub(crate) journal: String,
    pub(crate) epoch: i64,
    pub(crate) boot: i64,
    pub(crate) head: i64,
    pub(crate) acked: i64,
    pub(crate) backlog: i64,
    pub(crate) price_book: String,
    /// Card money its terminals approved by themselves and have not handed in.
    pub(crate) exposure: i64,
    pub(crate) devices: BTreeMap<String, bool>,
    pub(crate) sales_today: i64,
    pub(crate) total_today: i64,
    pub(crate) currency: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct SaleRow {
    pub(crate) transaction: String,
    #[serde(rename = "box")]
    pub(crate) box_id: String,
    pub(crate) lane: Option<i64>,
    pub(crate) receipt: i64,
    pub(crate) at: i64,
    #[serde(skip)]
    pub(crate) clock: String,
    pub(crate) total: i64,
    pub(crate) tax: i64,
    pub(crate) discount: i64,
    pub(crate) currency: String,
    pub(crate) member: bool,
    pub(crate) epoch: i64,
    pub(crate) seq: i64,
    pub(crate) tenders: Vec<TenderRow>,
    pub(crate) lines: Vec<LineRow>,
}

#[derive(Debug, Serialize)]
pub(crate) struct TenderRow {
    pub(crate) tender: String,
    pub(crate) kind: String,
    pub(crate) amount: i64,
}

#[derive(Debug, Serialize)]
pub(crate) struct LineRow {
    pub(crate) no: i64,
    pub(crate) item: String,
    pub(crate) name_zh: String,
    pub(crate) name_en: String,
    pub(crate) quantity: i64,
    pub(crate) weight_g: Option<i64>,
    pub(crate) unit_price: i64,
    pub(crate) discount: i64,
    pub(crate) total: i64,
    pub(crate) price_book: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct AlarmRow {
    #[serde(rename = "box")]
    pub(crate) box_id: String,
    pub(crate) kind: String,
    pub(crate) detail: String,
    pub(crate) at: i64,
    pub(crate) last_at: i64,
    pub(crate) count: i64,
}

#[derive(Debug, Serialize)]
pub(crate) struct DeadLetterRow {
    #[serde(rename = "box")]
    pub(crate) box_id: String,
    pub(crate) epoch: i64,
    pub(crate) seq: i64,
    pub(crate) at: i64,
    pub(crate) reason: String,
    pub(crate) bytes: i64,
}

#[derive(Debug)]
pub(crate) struct EventRow {
    pub(crate) epoch: i64,
    pub(crate) seq: i64,
    pub(crate) clock: String,
    pub(crate) lane: Option<i64>,
    pub(crate) kind: String,
    pub(crate) body: String,
}

/// Sales of one currency today.
#[derive(Debug)]
pub(crate) struct Today {
    pub(crate) currency: String,
    pub(crate) sales: i64,
    pub(crate) total: i64,
    pub(crate) with_member: i64,
    pub(crate) by_hour: [i64; 24],
}

/// Boxes with the same trouble lately.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) kind: String,
    pub(crate) boxes: i64,
    pub(crate) last_at: i64,
    /// One of them, where it is the only one.
    pub(crate) box_id: String,
}

/// A dataset at a box, and the newest there is.
#[derive(Debug)]
pub(crate) struct DataRow {
    pub(crate) dataset: String,
    pub(crate) name: String,
    pub(crate) version: i64,
    pub(crate) since: i64,
    pub(crate) newest: Option<(i64, String, i64)>,
}

#[derive(Debug)]
pub(crate) struct Overview {
    pub(crate) now: i64,
    pub(crate) counts: Counts,
    /// Those somebody should look at; all of a small fleet.
    pub(crate) boxes: Vec<BoxRow>,
    pub(crate) newest_price_book: Option<String>,
    pub(crate) today: Vec<Today>,
    pub(crate) by_day: Vec<Day>,
    pub(crate) sales: Vec<SaleRow>,
    pub(crate) troubles: Vec<Trouble>,
    pub(crate) dead_letters: Vec<DeadLetterRow>,
    pub(crate) parity: Parity,
    pub(crate) coupon_conflicts: i64,
}

#[derive(Debug)]
pub(crate) struct OneBox {
    pub(crate) now: i64,
    pub(crate) row: BoxRow,
    pub(crate) data: Vec<DataRow>,
    pub(crate) events: Vec<EventRow>,
    pub(crate) sales: Vec<SaleRow>,
    pub(crate) alarms: Vec<AlarmRow>,
    pub(crate) dead_letters: Vec<DeadLetterRow>,
}

/// Sales worked out again.
#[derive(Debug, Serialize)]
pub(crate) struct Parity {
    pub(crate) now: i64,
    pub(crate) checked: i64,
    pub(crate) differences: Vec<parity::Row>,
}

/// An alarm older than this is history.
pub(super) const LATELY_MS: i64 = 24 * 3_600_000;
const DAYS: i64 = 14;

pub(crate) fn overview(db: &Connection) -> anyhow::Result<Overview> {
    Ok(Overview {
        now: now_ms(),
        counts: fleet::counts(db)?,
        boxes: fleet::to_look_at(db)?,
        newest_price_book: newest_price_book(db)?,
        today: today(db)?,
        by_day: by_day(db)?,
        sales: sales(db, None, None, 15)?,
        troubles: troubles(db)?,
        dead_letters: dead_letters(db, None, 8)?,
        parity: parity(db)?,
        coupon_conflicts: db.query_row("SELECT count(*) FROM coupon_conflict", [], |row| row.get(0))?,
    })
}

pub(crate) fn parity(db: &Connection) -> anyhow::Result<Parity> {
    Ok(Parity { now: now_ms(), checked: parity::checked(db)?, differences: parity::list(db, 0, 500)? })
}

pub(crate) fn one_box(db: &Connection, id: &str) -> anyhow::Result<Option<OneBox>> {
    let Some(row) = fleet::one(db, id)? else { return Ok(None) };
    Ok(Some(OneBox {
        now: now_ms(),
        data: data(db, id)?,
        events: events(db, &row)?,
        sales: sales(db, Some(id), None, 15)?,
        alarms: alarms(db, Some(id), 20)?,
        dead_letters: dead_letters(db, Some(id), 20)?,
        row,
    }))
}

/// Every box with its sales of today; for programs.
pub(crate) fn boxes(db: &Connection) -> anyhow::Result<Vec<BoxRow>> {
    let mut rows = fleet::rows(db, "1 = 1 ORDER BY online, id", &[])?;
    let sql = "SELECT box, count(*), sum(total), min(currency) FROM sale WHERE at >= ?1 GROUP BY box";
    let mut sold = BTreeMap::new();
    db.prepare_cached(sql)?.each([db.today_ms()?], |row| -> db::Result<bool> {
        sold.insert(row.get::<_, String>(0)?, (row.get(1)?, row.get(2)?, row.get(3)?));
        Ok(true)
    })?;
    for row in &mut rows {
        if let Some(today) = sold.remove(&row.id) {
            (row.sales_today, row.total_today, row.currency) = today;
        }
    }
    Ok(rows)
}

pub(super) fn newest_price_book(db: &Connection) -> anyhow::Result<Option<String>> {
    let sql = "SELECT name FROM dataset WHERE dataset = 'catalogue' ORDER BY version DESC LIMIT 1";
    Ok(db.query_row(sql, [], |row| row.get(0)).optional()?)
}

/// From the sums by quarter of an hour, which a local hour of any time zone is made of.
fn today(db: &Connection) -> anyhow::Result<Vec<Today>> {
    let sql = "SELECT currency, CAST(strftime('%H', quarter * 900, 'unixepoch', 'localtime') AS INTEGER), sales, total, with_member
          FROM sale_quarter WHERE quarter >= ?1";
    let mut found: BTreeMap<String, Today> = BTreeMap::new();
    db.prepare_cached(sql)?.each([db.today_ms()? / 900_000], |row| -> db::Result<bool> {
        let currency: String = row.get(0)?;
        let hour: usize = row.get(1)?;
        let total: i64 = row.get(3)?;
        let today = found.entry(currency.clone()).or_insert_with(|| Today {
            currency,
            sales: 0,
            total: 0,
            with_member: 0,
            by_hour: [0; 24],
        });
        today.sales += row.get::<_, i64>(2)?;
        today.total = today.total.saturating_add(total);
        today.with_member += row.get::<_, i64>(4)?;
        if let Some(slot) = today.by_hour.get_mut(hour) {
            *slot = slot.saturating_add(total);
        }
        Ok(true)
    })?;
    Ok(found.into_values().collect())
}

/// A day of the last two weeks: what was sold in the currency sold most, and how often headquarters works it out otherwise.
#[derive(Debug)]
pub(crate) struct Day {
    pub(crate) day: String,
    pub(crate) currency: String,
    pub(crate) total: i64,
    pub(crate) differences: i64,
}

fn by_day(db: &Connection) -> anyhow::Result<Vec<Day>> {
    let most = "SELECT currency FROM sale_quarter GROUP BY currency ORDER BY sum(sales) DESC LIMIT 1";
    let currency: String = db.query_row(most, [], |row| row.get(0)).optional()?.unwrap_or_default();
    let sold =
        "SELECT coalesce(sum(total), 0) FROM sale_quarter WHERE quarter >= ?1 AND quarter < ?2 AND currency = ?3";
    let differ = "SELECT count(*) FROM parity WHERE at >= ?1 AND at < ?2";
    let name = "SELECT strftime('%m-%d', ?1, 'unixepoch', 'localtime')";
    let day = |back: i64| -> db::Result<Day> {
        let (first, after) = (db.day_ms(back)?, db.day_ms(back - 1)?);
        Ok(Day {
            day: db.query_row(name, [first / 1000], |row| row.get(0))?,
            currency: currency.clone(),
            total: db.query_row(sold, params![first / 900_000, after / 900_000, currency], |row| row.get(0))?,
            differences: db.query_row(differ, [first, after], |row| row.get(0))?,
        })
    };
    Ok((0..DAYS).rev().map(day).collect::<db::Result<_>>()?)
}

/// Alarms of the last day, one line for each kind however many boxes have it.
fn troubles(db: &Connection) -> anyhow::Result<Vec<Trouble>> {
    let mut statement = db.prepare_cached(
        "SELECT kind, count(DISTINCT box), max(last_at), min(box) FROM alarm WHERE last_at >= ?1
         GROUP BY kind ORDER BY 3 DESC LIMIT 12",
    )?;
    let rows = statement.query_map([now_ms() - LATELY_MS], |row| {
        Ok(Trouble { kind: row.get(0)?, boxes: row.get(1)?, last_at: row.get(2)?, box_id: row.get(3)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn data(db: &Connection, box_id: &str) -> anyhow::Result<Vec<DataRow>> {
    let mut statement = db.prepare_cached(
        "SELECT b.dataset, b.name, b.version, b.since, d.version, d.name, d.imported FROM box_data AS b
         LEFT JOIN dataset AS d ON d.dataset = b.dataset
            AND d.version = (SELECT max(version) FROM dataset WHERE dataset = b.dataset)
         WHERE b.box = ?1 ORDER BY b.dataset",
    )?;
    let rows = statement.query_map([box_id], |row| {
        let newest: Option<i64> = row.get(4)?;
        let newest = newest.map(|version| Ok::<_, db::Error>((version, row.get(5)?, row.get(6)?))).transpose()?;
        let (dataset, name, version, since) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        Ok(DataRow { dataset, name, version, since, newest })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn sales(
    db: &Connection,
    box_id: Option<&str>,
    transaction: Option<&str>,
    most: u32,
) -> anyhow::Result<Vec<SaleRow>> {
    // Each question has its own index; one statement with optional filters would use none.
    let mut by: Vec<&dyn ToCell> = vec![&most];
    by.extend(box_id.as_ref().map(|id| id as &dyn ToCell));
    by.extend(transaction.as_ref().map(|id| id as &dyn ToCell));
    let filter = match (box_id, transaction) {
        (Some(_), Some(_)) => "WHERE box = ?2 AND transaction_id = ?3",
        (None, Some(_)) => "WHERE transaction_id = ?2",
        (Some(_), None) => "WHERE box = ?2",
        (None, None) => "",
    };
    let sql = format!(
        "SELECT transaction_id, box, lane, receipt_no, at, strftime('%m-%d %H:%M:%S', at / 1000, 'unixepoch', 'localtime'),
                total, tax, discount, currency, member IS NOT NULL, epoch, seq
         FROM sale {filter} ORDER BY at DESC LIMIT ?1"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(by.as_slice(), sale_row)?;
    let mut sales: Vec<SaleRow> = rows.collect::<Result<_, _>>()?;
    for sale in &mut sales {
        sale.tenders = tenders(db, &sale.transaction)?;
        if transaction.is_some() {
            sale.lines = lines(db, &sale.transaction)?;
        }
    }
    Ok(sales)
}

fn sale_row(row: &Row<'_>) -> db::Result<SaleRow> {
    Ok(SaleRow {
        transaction: row.get(0)?,
        box_id: row.get(1)?,
        lane: row.get(2)?,
        receipt: row.get(3)?,
        at: row.get(4)?,
        clock: row.get(5)?,
        total: row.get(6)?,
        tax: row.get(7)?,
        discount: row.get(8)?,
        currency: row.get(9)?,
        member: row.get(10)?,
        epoch: row.get(11)?,
        seq: row.get(12)?,
        tenders: Vec::new(),
        lines: Vec::new(),
    })
}

fn tenders(db: &Connection, transaction: &str) -> anyhow::Result<Vec<TenderRow>> {
    let mut statement =
        db.prepare_cached("SELECT tender, kind, amount FROM sale_tender WHERE transaction_id = ?1 ORDER BY tender")?;
    let rows = statement.query_map([transaction], |row| {
        Ok(TenderRow { tender: row.get(0)?, kind: row.get(1)?, amount: row.get(2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn lines(db: &Connection, transaction: &str) -> anyhow::Result<Vec<LineRow>> {
    let mut statement = db.prepare_cached(
        "SELECT no, item, name_zh, name_en, quantity, weight_g, unit_price, discount, total, price_book
         FROM sale_line WHERE transaction_id = ?1 ORDER BY no",
    )?;
    let rows = statement.query_map([transaction], |row| {
        Ok(LineRow {
            no: row.get(0)?,
            item: row.get(1)?,
            name_zh: row.get(2)?,
            name_en: row.get(3)?,
            quantity: row.get(4)?,
            weight_g: row.get(5)?,
            unit_price: row.get(6)?,
            discount: row.get(7)?,
            total: row.get(8)?,
            price_book: row.get(9)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn alarms(db: &Connection, box_id: Option<&str>, most: u32) -> anyhow::Result<Vec<AlarmRow>> {
    let mut statement = db.prepare_cached(
        "SELECT box, kind, detail, at, last_at, count FROM alarm WHERE CAST(?1 AS TEXT) IS NULL OR box = ?1
         ORDER BY last_at DESC LIMIT ?2",
    )?;
    let rows = statement.query_map(params![box_id, most], |row| {
        Ok(AlarmRow {
            box_id: row.get(0)?,
            kind: row.get(1)?,
            detail: row.get(2)?,
            at: row.get(3)?,
            last_at: row.get(4)?,
            count: row.get(5)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn dead_letters(db: &Connection, box_id: Option<&str>, most: u32) -> anyhow::Result<Vec<DeadLetterRow>> {
    let mut statement = db.prepare_cached(
        "SELECT box, epoch, seq, at, reason, length(body) FROM dead_letter WHERE CAST(?1 AS TEXT) IS NULL OR box = ?1
         ORDER BY at DESC LIMIT ?2",
    )?;
    let rows = statement.query_map(params![box_id, most], |row| {
        Ok(DeadLetterRow {
            box_id: row.get(0)?,
            epoch: row.get(1)?,
            seq: row.get(2)?,
            at: row.get(3)?,
            reason: row.get(4)?,
            bytes: row.get(5)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn events(db: &Connection, row: &BoxRow) -> anyhow::Result<Vec<EventRow>> {
    let mut statement = db.prepare_cached(
        "SELECT epoch, seq, strftime('%m-%d %H:%M:%S', utc / 1000, 'unixepoch', 'localtime'), lane, kind, substr(body, 1, 400)
         FROM journal_event WHERE box = ?1 AND epoch = ?2 ORDER BY seq DESC LIMIT 60",
    )?;
    let rows = statement.query_map(params![row.id, row.epoch], |row| {
        Ok(EventRow {
            epoch: row.get(0)?,
            seq: row.get(1)?,
            clock: row.get::<_, Option<String>>(2)?.unwrap_or_default(),
            lane: row.get(3)?,
            kind: row.get(4)?,
            body: row.get(5)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
