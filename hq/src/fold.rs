//! From journal bodies to rows a retailer asks about: events, sales, dead letters.

pub(crate) mod again;
mod tender;

use crate::coupon;
use crate::db::{self, OptionalExtension as _, ToCell as _, Transaction, params};
use crate::store::{alarm, int, now_ms};
use checkout::event::Event;
use checkout::sale::Sale;
use checkout::store::StoreEvent;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use std::fmt;

const SALE: &str = "basket.completed";
const LINE: [&str; 11] = [
    "transaction_id",
    "no",
    "item",
    "name_zh",
    "name_en",
    "quantity",
    "weight_g",
    "unit_price",
    "discount",
    "total",
    "price_book",
];
const DATASET: &str = "store.dataset_activated";
/// What a box says of itself that somebody should look at.
const TROUBLES: [(&str, &str); 6] = [
    ("box.disk_full", "its disk was full: it finished what had been begun and began nothing"),
    ("box.disk_low", "its disk has little room left: it sells on and writes only what sales need"),
    (
        "box.wal_held",
        "a program on it keeps reading the journal, whose WAL grows meanwhile: it sells on, somebody should close that program",
    ),
    ("box.backup_failed", "its journal could not be copied to the second medium"),
    ("box.clock_doubted", "its clock was wrong: times of its events may be, their order is not"),
    ("box.restored", "its journal was damaged or restored: what it lost it asked headquarters for"),
];

/// Where a body comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) box_id: &'a str,
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
}

/// A body as far as every event is read.
struct Read<'a> {
    text: &'a str,
    envelope: Envelope,
}

impl<'a> Read<'a> {
    fn of(body: &'a [u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(body).map_err(|_| "not UTF-8")?;
        let envelope = serde_json::from_str(text).map_err(|error| shape(&error))?;
        Ok(Self { text, envelope })
    }

    /// What happened, for the few events that more than the journal is kept of.
    fn event(&self) -> &'a str {
        #[derive(Deserialize)]
        struct Whole<'a> {
            #[serde(borrow)]
            event: &'a RawValue,
        }
        serde_json::from_str::<Whole<'a>>(self.text).map_or("", |whole| whole.event.get())
    }
}

/// Stores bodies of one journal and what follows from them. What cannot be read is set aside and never stops the rest.
///
/// # Errors
/// When the database cannot be written.
pub(crate) fn record<'a>(
    txn: &Transaction<'_>,
    (box_id, epoch): (&str, u64),
    bodies: impl Iterator<Item = (u64, &'a [u8])>,
) -> db::Result<()> {
    let origin = |seq| Origin { box_id, epoch, seq };
    let mut read = Vec::new();
    for (seq, body) in bodies {
        match Read::of(body) {
            Ok(event) => read.push((seq, event)),
            Err(reason) => set_aside(txn, origin(seq), body, &reason)?,
        }
    }
    let rows = read.iter().map(|(seq, Read { text, envelope: Envelope { utc, lane, event } })| {
        [box_id.cell(), epoch.cell(), seq.cell(), utc.cell(), lane.cell(), event.0.cell(), text.cell()]
    });
    txn.insert_new("journal_event", &["box", "epoch", "seq", "utc", "lane", "kind", "body"], rows)?;
    read.iter().try_for_each(|(seq, event)| follow(txn, origin(*seq), event))
}

/// What follows from one event.
fn follow(txn: &Transaction<'_>, origin: Origin<'_>, read: &Read<'_>) -> db::Result<()> {
    let (body, envelope) = (read.text.as_bytes(), &read.envelope);
    let kind = &envelope.event;
    if let Some((_, detail)) = TROUBLES.iter().find(|(trouble, _)| *trouble == kind.0) {
        alarm(txn, origin.box_id, kind.0.trim_start_matches("box."), detail)?;
    }
    if crate::faces::concerns(&kind.0) {
        return match serde_json::from_str(read.event()) {
            Ok(event) => crate::faces::record(txn, origin, envelope.utc, &event),
            Err(error) => set_aside(txn, origin, body, &shape(&error)),
        };
    }
    if kind.0.starts_with("control.") {
        return match serde_json::from_str(read.event()) {
            Ok(event) => crate::control::fold(txn, origin, &event),
            Err(error) => set_aside(txn, origin, body, &shape(&error)),
        };
    }
    if kind.0.starts_with("tender.") {
        return tender::fold(txn, origin.box_id, envelope.utc, read.event());
    }
    if kind.0 == DATASET {
        return data(txn, origin, envelope.utc, read.event());
    }
    if kind.0 != SALE {
        return Ok(());
    }
    match serde_json::from_str::<Nested>(read.event()) {
        Ok(nested) => sale(txn, origin, envelope, &nested.basket.completed),
        Err(error) => set_aside(txn, origin, body, &shape(&error)),
    }
}

#[derive(Deserialize)]
struct Envelope {
    utc: i64,
    #[serde(default)]
    lane: Option<i64>,
    event: Kind,
}

#[derive(Deserialize)]
struct Nested {
    basket: Basket,
}

#[derive(Deserialize)]
struct Basket {
    completed: Sale,
}

/// A transaction completes once in its life, whatever is sent again and by whom.
fn sale(txn: &Transaction<'_>, origin: Origin<'_>, envelope: &Envelope, sale: &Sale) -> db::Result<()> {
    let said = serde_json::to_vec(&(envelope.lane, sale)).unwrap_or_default();
    let content: [u8; 32] = Sha256::digest(said).into();
    let tax: i64 = sale.taxes.iter().fold(0, |sum, tax| sum.saturating_add(tax.tax.0));
    let inserted = txn
        .prepare_cached(
            "INSERT INTO sale (transaction_id, box, lane, receipt_no, at, total, tax, discount, change,
                currency, member, epoch, seq, content) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            sale.transaction.0,
            origin.box_id,
            envelope.lane,
            int(sale.receipt.0),
            envelope.utc,
            sale.total.0,
            tax,
            sale.discount.0,
            sale.change.0,
            sale.currency,
            sale.member.as_ref().map(|member| &member.0),
            int(origin.epoch),
            int(origin.seq),
            content
        ])?;
    if inserted == 1 {
        parts(txn, sale)?;
        numbered_once(txn, origin, envelope.lane, sale)?;
        counted(txn, envelope.utc, sale)?;
        return coupon::redeemed(txn, origin, envelope.utc, sale);
    }
    again::record(txn, origin, (envelope.utc, envelope.lane), sale, content)
}

/// See the table.
const QUARTER_MS: i64 = 900_000;

fn counted(txn: &Transaction<'_>, utc: i64, sale: &Sale) -> db::Result<()> {
    let quarter = utc / QUARTER_MS;
    let before: Option<i64> = txn
        .prepare_cached("SELECT total FROM sale_quarter WHERE quarter = ?1 AND currency = ?2")?
        .query_row(params![quarter, sale.currency], |row| row.get(0))
        .optional()?;
    // A forged sum does not stop headquarters.
    let total = before.unwrap_or(0).saturating_add(sale.total.0);
    txn.prepare_cached(
        "INSERT INTO sale_quarter (quarter, currency, sales, total, with_member) VALUES (?1, ?2, 1, ?3, ?4)
         ON CONFLICT (quarter, currency) DO UPDATE SET sales = sale_quarter.sales + 1,
            with_member = sale_quarter.with_member + ?4, total = ?3",
    )?
    .execute(params![quarter, sale.currency, total, sale.member.is_some()])?;
    Ok(())
}

/// What is in force at a box is told by its journal, not by what headquarters sent.
fn data(txn: &Transaction<'_>, origin: Origin<'_>, utc: i64, event: &str) -> db::Result<()> {
    let Ok(Event::Store(StoreEvent::DatasetActivated { dataset, version, name, .. })) = serde_json::from_str(event)
    else {
        return Ok(());
    };
    txn.prepare_cached(
        "INSERT INTO box_data (box, dataset, version, name, since) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (box, dataset) DO UPDATE SET version = ?3, name = ?4, since = ?5",
    )?
    .execute(params![origin.box_id, clip(&dataset), int(version), clip(&name), utc])?;
    Ok(())
}

/// A disk that was put back by hand may give a number out again before headquarters is heard.
fn numbered_once(txn: &Transaction<'_>, origin: Origin<'_>, lane: Option<i64>, sale: &Sale) -> db::Result<()> {
    let other: Option<String> = txn
        .prepare_cached(
            "SELECT transaction_id FROM sale WHERE box = ?1 AND lane IS NOT DISTINCT FROM ?2 AND receipt_no = ?3 AND transaction_id <> ?4",
        )?
        .query_row(params![origin.box_id, lane, int(sale.receipt.0), sale.transaction.0], |row| row.get(0))
        .optional()?;
    let Some(other) = other else { return Ok(()) };
    let detail = format!("receipt {} was given to {other} and to {}", sale.receipt, sale.transaction);
    alarm(txn, origin.box_id, "receipt_repeated", &detail)
}

fn parts(txn: &Transaction<'_>, sale: &Sale) -> db::Result<()> {
    let lines = sale.lines.iter().map(|line| {
        [
            sale.transaction.0.cell(),
            line.no.0.cell(),
            line.key.0.cell(),
            line.name.zh.cell(),
            line.name.en.cell(),
            line.quantity.cell(),
            line.weight_g.cell(),
            line.unit_price.0.cell(),
            line.discount.0.cell(),
            line.total.0.cell(),
            line.price_book.0.cell(),
        ]
    });
    txn.insert_new("sale_line", &LINE, lines)?;
    let id = sale.transaction.0.cell();
    let tenders =
        sale.tenders.iter().map(|paid| [id, paid.tender.0.cell(), paid.kind.code().cell(), paid.amount.0.cell()]);
    txn.insert_new("sale_tender", &["transaction_id", "tender", "kind", "amount"], tenders)?;
    let taxes = sale.taxes.iter().map(|tax| [id, tax.rate_bp.cell(), tax.net.0.cell(), tax.tax.0.cell()]);
    txn.insert_new("sale_tax", &["transaction_id", "rate_bp", "net", "tax"], taxes)?;
    points(txn, sale)
}

/// What a sale does to the accounts of members: of who bought, and of those whose goods came back.
fn points(txn: &Transaction<'_>, sale: &Sale) -> db::Result<()> {
    let mut rows = txn.prepare_cached(
        "INSERT INTO sale_points (transaction_id, of, member, earned, burnt, taken, given)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
    )?;
    if let (Some(member), Some(points)) = (&sale.member, sale.points) {
        let id = &sale.transaction.0;
        rows.execute(params![id, id, member.0, int(points.earned), int(points.burnt), 0, 0])?;
    }
    for back in &sale.points_back {
        let (taken, given) = (int(back.taken), int(back.given));
        rows.execute(params![sale.transaction.0, back.transaction.0, back.member.0, 0, 0, taken, given])?;
    }
    Ok(())
}

/// What a box calls something is shown on a page: no more of it than fits there.
pub(crate) fn clip(text: &str) -> String {
    text.chars().take(64).collect()
}

fn set_aside(txn: &Transaction<'_>, origin: Origin<'_>, body: &[u8], reason: &str) -> db::Result<()> {
    txn.prepare_cached(
        "INSERT INTO dead_letter (box, epoch, seq, at, reason, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
    )?
    .execute(params![origin.box_id, int(origin.epoch), int(origin.seq), now_ms(), reason, body])?;
    tracing::warn!(box_id = origin.box_id, seq = origin.seq, reason, "event set aside");
    Ok(())
}

/// Where reading stopped, without repeating what was read: it may be personal.
fn shape(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Io | serde_json::error::Category::Syntax => "not JSON",
        serde_json::error::Category::Eof => "JSON that ends early",
        serde_json::error::Category::Data => "JSON of an unknown shape",
    };
    format!("{what}, at column {}", error.column())
}

/// `area.fact` of an externally tagged event, read without its content.
struct Kind(String);

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Outer).map(Self)
    }
}

struct Outer;

impl<'de> Visitor<'de> for Outer {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event with one tag")
    }

    fn visit_str<E>(self, tag: &str) -> Result<String, E> {
        Ok(tag.to_owned())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<String, A::Error> {
        let area: Option<String> = map.next_key()?;
        let area = area.ok_or_else(|| serde::de::Error::custom("an event without a tag"))?;
        let Fact(fact) = map.next_value()?;
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(fact.map_or_else(|| area.clone(), |fact| format!("{area}.{fact}")))
    }
}

struct Fact(Option<String>);

impl<'de> Deserialize<'de> for Fact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Inner).map(Self)
    }
}

struct Inner;

impl<'de> Visitor<'de> for Inner {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the fact of an event")
    }

    fn visit_str<E>(self, fact: &str) -> Result<Self::Value, E> {
        Ok(Some(fact.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let fact = map.next_key()?;
        if fact.is_some() {
            map.next_value::<IgnoredAny>()?;
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        }
        Ok(fact)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;

    fn kind(event: &str) -> Option<String> {
        serde_json::from_str::<Kind>(event).ok().map(|kind| kind.0)
    }

    #[test]
    fn the_kind_of_an_event_is_its_tags() {
        assert_eq!(kind(r#"{"basket":{"completed":{"a":[1]}}}"#).as_deref(), Some("basket.completed"));
        assert_eq!(kind(r#"{"lane":"opened"}"#).as_deref(), Some("lane.opened"));
        assert_eq!(kind(r#""booted""#).as_deref(), Some("booted"));
        assert_eq!(kind(r#"{"x":[1,2]}"#).as_deref(), Some("x"));
        assert_eq!(kind("{}"), None);
        assert_eq!(kind("7"), None);
    }
}
