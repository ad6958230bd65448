//! Rows as CSV with a header line: what a retailer's own system writes.

use super::{Kind, Parsed, Row};
use checkout::calendar;
use checkout::catalog::{Content, Item, Offer, OfferRule, QuantityBreak, ScheduledPrice};
use checkout::line::LineKind;
use checkout::words::{ItemKey, Money, Name};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Columns of a catalogue: key, `name_zh`, `name_en`, price, `tax_bp` and, where needed, the rest.
#[derive(Deserialize)]
struct ItemColumns {
    key: String,
    #[serde(default)]
    name_zh: String,
    #[serde(default)]
    name_en: String,
    price: i64,
    tax_bp: u32,
    #[serde(default)]
    by_weight: Option<bool>,
    #[serde(default)]
    min_age: Option<u8>,
    #[serde(default)]
    group: String,
    #[serde(default)]
    member_price: Option<i64>,
    #[serde(default)]
    offer_id: String,
    #[serde(default)]
    offer_zh: String,
    #[serde(default)]
    offer_en: String,
    /// `percent:1000` (basis points off) or `multi:3:1000` (three for 10.00).
    #[serde(default)]
    offer_rule: String,
    /// `gold:350 silver:360`
    #[serde(default)]
    levels: String,
    /// From so many pieces on: `3:330 6:300`.
    #[serde(default)]
    breaks: String,
    /// `2026-12-01T00:00=320` or `2026-12-01T00:00/2027-01-01T00:00=320`, several with blanks between.
    #[serde(default)]
    scheduled: String,
    /// `g:500` or `ml:330`.
    #[serde(default)]
    content: String,
    /// `goods`, `deposit` or `bottle_return`.
    #[serde(default)]
    kind: String,
    #[serde(default)]
    deposit: String,
    /// Keys with blanks between.
    #[serde(default)]
    linked: String,
    #[serde(default)]
    tare_g: Option<u32>,
    #[serde(default)]
    piece_g: Option<u32>,
    #[serde(default)]
    blocked_zh: String,
    #[serde(default)]
    blocked_en: String,
    #[serde(default)]
    serialised: Option<bool>,
}

/// Every line under the header.
pub(super) fn lines(kind: Kind, text: &str) -> Parsed {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let headers = match reader.headers() {
        Ok(headers) => headers.clone(),
        Err(_) => return vec![(1, Err("no header line".into()))],
    };
    let mut parsed = Vec::new();
    for record in reader.records() {
        let (line, row) = match record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                let row = match kind {
                    Kind::Catalogue => record
                        .deserialize(Some(&headers))
                        .map_err(|error| csv_reason(&error, &headers))
                        .and_then(item_of_columns),
                    Kind::Members => record
                        .deserialize(Some(&headers))
                        .map_err(|error| csv_reason(&error, &headers))
                        .map(Row::Member),
                    Kind::Coupons | Kind::Policy | Kind::Promotions | Kind::Recalls => {
                        Err("rows of this dataset are JSON, a line each".into())
                    }
                };
                (line, row)
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                (line, Err(csv_reason(&error, &headers)))
            }
        };
        parsed.push((usize::try_from(line).unwrap_or(usize::MAX), row));
    }
    parsed
}

fn csv_reason(error: &csv::Error, headers: &csv::StringRecord) -> String {
    let kind = error.kind();
    if let csv::ErrorKind::UnequalLengths { expected_len, len, .. } = kind {
        return format!("{len} columns where the header has {expected_len}");
    }
    let csv::ErrorKind::Deserialize { err, .. } = kind else {
        return "not CSV in UTF-8".into();
    };
    let column = err.field().and_then(|field| headers.get(usize::try_from(field).ok()?));
    match column {
        Some(column) => format!("column {column}: not of its type"),
        None => "a column is missing: key, price and tax_bp for goods; id, code and name for members".into(),
    }
}

fn item_of_columns(columns: ItemColumns) -> Result<Row, String> {
    let offer = match columns.offer_rule.as_str() {
        "" => None,
        rule => Some(Offer {
            id: columns.offer_id,
            name: Name { zh: columns.offer_zh, en: columns.offer_en },
            rule: offer_rule(rule).ok_or("offer_rule is percent:BASISPOINTS or multi:COUNT:PRICE")?,
        }),
    };
    Ok(Row::Item(Box::new(Item {
        levels: pairs(&columns.levels, ':')
            .ok_or("levels is LEVEL:PRICE …")?
            .map(|(level, price)| (level, Money(price)))
            .collect(),
        breaks: breaks(&columns.breaks).ok_or("breaks is PIECES:PRICE …")?,
        scheduled: scheduled(&columns.scheduled).ok_or("scheduled is FROM=PRICE or FROM/UNTIL=PRICE …")?,
        content: content(&columns.content).ok_or("content is g:GRAMS or ml:MILLILITRES")?,
        kind: kind(&columns.kind).ok_or("kind is goods, deposit or bottle_return")?,
        deposit: Some(columns.deposit).filter(|key| !key.is_empty()).map(ItemKey),
        linked: columns.linked.split_whitespace().map(ItemKey::from).collect(),
        tare_g: columns.tare_g.unwrap_or(0),
        piece_g: columns.piece_g,
        blocked: Some(Name { zh: columns.blocked_zh, en: columns.blocked_en }).filter(|why| *why != Name::default()),
        serialised: columns.serialised.unwrap_or(false),
        key: ItemKey(columns.key),
        name: Name { zh: columns.name_zh, en: columns.name_en },
        price: Money(columns.price),
        by_weight: columns.by_weight.unwrap_or(false),
        tax_bp: columns.tax_bp,
        min_age: columns.min_age,
        offer,
        member_price: columns.member_price.map(Money),
        group: columns.group,
    })))
}

/// `name:number` with blanks between; `None`: something else.
fn pairs(text: &str, between: char) -> Option<impl Iterator<Item = (String, i64)>> {
    let pair = |word: &str| {
        let (name, number) = word.split_once(between)?;
        Some((name.to_owned(), number.parse().ok()?))
    };
    Some(text.split_whitespace().map(pair).collect::<Option<Vec<_>>>()?.into_iter())
}

fn breaks(text: &str) -> Option<Vec<QuantityBreak>> {
    let step = |(from, price): (String, i64)| Some(QuantityBreak { from: from.parse().ok()?, price: Money(price) });
    pairs(text, ':')?.map(step).collect()
}

fn scheduled(text: &str) -> Option<Vec<ScheduledPrice>> {
    let change = |(when, price): (String, i64)| {
        let (from, until) = when.split_once('/').map_or((when.as_str(), None), |(from, until)| (from, Some(until)));
        let until = match until {
            Some(until) => Some(calendar::read(until)?),
            None => None,
        };
        let from = calendar::read(from)?;
        let (levels, breaks) = (BTreeMap::new(), Vec::new());
        Some(ScheduledPrice { from, until, price: Money(price), member_price: None, levels, breaks })
    };
    pairs(text, '=')?.map(change).collect()
}

/// Outer `None`: not of this form.
fn content(text: &str) -> Option<Option<Content>> {
    if text.is_empty() {
        return Some(None);
    }
    let (unit, amount) = text.split_once(':')?;
    let amount = amount.parse().ok()?;
    match unit {
        "g" => Some(Some(Content::G(amount))),
        "ml" => Some(Some(Content::Ml(amount))),
        _ => None,
    }
}

fn kind(text: &str) -> Option<LineKind> {
    match text {
        "" | "goods" => Some(LineKind::Goods),
        "deposit" => Some(LineKind::Deposit),
        "bottle_return" => Some(LineKind::BottleReturn),
        _ => None,
    }
}

fn offer_rule(text: &str) -> Option<OfferRule> {
    let mut parts = text.split(':');
    let rule = match parts.next()? {
        "percent" => OfferRule::Percent { off_bp: parts.next()?.parse().ok()? },
        "multi" => OfferRule::Multi { n: parts.next()?.parse().ok()?, price: Money(parts.next()?.parse().ok()?) },
        _ => return None,
    };
    parts.next().is_none().then_some(rule)
}
