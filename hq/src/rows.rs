//! Goods and members as retailers deliver them, checked line by line.

use checkout::catalog::{Item, Member, Offer, OfferRule};
use checkout::words::{ItemKey, MemberId, Money, Name};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// Which dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    Catalogue,
    Members,
}

impl Kind {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Catalogue => "catalogue",
            Self::Members => "members",
        }
    }

    pub(crate) fn short(self) -> &'static str {
        match self {
            Self::Catalogue => "pb",
            Self::Members => "members",
        }
    }
}

/// A line nobody can sell or greet by. Says what is wrong, never what stood there: a line of members is personal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    pub line: usize,
    pub reason: String,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Row {
    Item(Box<Item>),
    Member(Member),
}

/// Every good row and every bad line.
pub(crate) fn read(kind: Kind, text: &str) -> (Vec<Row>, Vec<BadLine>) {
    let text = text.trim_start_matches('\u{feff}');
    let mut taken = BTreeSet::new();
    let (mut rows, mut bad) = (Vec::new(), Vec::new());
    for (line, parsed) in parse(kind, text) {
        let checked = parsed.and_then(|row| match row {
            Row::Item(item) => check_item(*item, &mut taken).map(|item| Row::Item(Box::new(item))),
            Row::Member(member) => check_member(member, &mut taken).map(Row::Member),
        });
        match checked {
            Ok(row) => rows.push(row),
            Err(reason) => bad.push(BadLine { line, reason }),
        }
    }
    (rows, bad)
}

type Parsed = Vec<(usize, Result<Row, String>)>;

fn parse(kind: Kind, text: &str) -> Parsed {
    match text.trim_start().as_bytes().first() {
        Some(b'{') => json_lines(kind, text),
        Some(b'[') => json_array(kind, text),
        _ => csv_lines(kind, text),
    }
}

fn json_lines(kind: Kind, text: &str) -> Parsed {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            let row = match kind {
                Kind::Catalogue => serde_json::from_str(line).map(|item| Row::Item(Box::new(item))),
                Kind::Members => serde_json::from_str(line).map(Row::Member),
            };
            (index + 1, row.map_err(|error| json_reason(&error)))
        })
        .collect()
}

/// Elements are counted as lines are.
fn json_array(kind: Kind, text: &str) -> Parsed {
    let elements: Vec<serde_json::Value> = match serde_json::from_str(text) {
        Ok(elements) => elements,
        Err(error) => return vec![(error.line(), Err(json_reason(&error)))],
    };
    let lines = elements.into_iter().enumerate();
    lines
        .map(|(index, value)| {
            let row = match kind {
                Kind::Catalogue => serde_json::from_value(value).map(|item| Row::Item(Box::new(item))),
                Kind::Members => serde_json::from_value(value).map(Row::Member),
            };
            (index + 1, row.map_err(|error| json_reason(&error)))
        })
        .collect()
}

fn json_reason(error: &serde_json::Error) -> String {
    if error.is_data() {
        // serde names the missing or unknown field; a wrong type would quote the value.
        let text = error.to_string();
        if text.starts_with("missing field") {
            return text;
        }
        return format!("a field is not of its type, at column {}", error.column());
    }
    format!("not JSON, at column {}", error.column())
}

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
}

fn csv_lines(kind: Kind, text: &str) -> Parsed {
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
        key: ItemKey(columns.key),
        name: Name { zh: columns.name_zh, en: columns.name_en },
        price: Money(columns.price),
        by_weight: columns.by_weight.unwrap_or(false),
        tax_bp: columns.tax_bp,
        min_age: columns.min_age,
        offer,
        member_price: columns.member_price.map(Money),
        group: columns.group,
        ..Item::default()
    })))
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

fn check_item(mut item: Item, taken: &mut BTreeSet<String>) -> Result<Item, String> {
    item.key = check_key(&item.key.0)?;
    if item.name.zh.trim().is_empty() && item.name.en.trim().is_empty() {
        return Err("no name".into());
    }
    if item.price.0 <= 0 {
        return Err("the price is not above zero".into());
    }
    if item.tax_bp > 10_000 {
        return Err("tax_bp above 10000 (100 %)".into());
    }
    if item.member_price.is_some_and(|price| price.0 <= 0 || price > item.price) {
        return Err("the member price is not between zero and the price".into());
    }
    if item.min_age.is_some_and(|age| age > 99) {
        return Err("min_age above 99".into());
    }
    if let Some(offer) = &item.offer {
        let usable = match offer.rule {
            OfferRule::Percent { off_bp } => (1..=10_000).contains(&off_bp),
            OfferRule::Multi { n, price } => n >= 2 && price.0 > 0,
        };
        if !usable || offer.id.is_empty() {
            return Err("an offer without id, or one that takes off nothing or more than all".into());
        }
    }
    if !taken.insert(item.key.0.clone()) {
        return Err(format!("key {} is there twice", item.key));
    }
    Ok(item)
}

/// A GTIN (check digit right, leading zeros taken off) or a PLU.
fn check_key(text: &str) -> Result<ItemKey, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || text.len() > 14 {
        return Err("the key is not 1 to 14 digits".into());
    }
    if matches!(text.len(), 8 | 12 | 13 | 14) && !check_digit_agrees(text) {
        return Err(format!("key {text}: the check digit does not agree"));
    }
    let key = text.trim_start_matches('0');
    if key.is_empty() {
        return Err("the key is zero".into());
    }
    Ok(ItemKey::from(key))
}

/// GS1 General Specifications 7.9: weights 3 and 1 from the right.
fn check_digit_agrees(digits: &str) -> bool {
    let weighted = digits.bytes().rev().zip([1_u32, 3].into_iter().cycle());
    weighted.map(|(digit, weight)| u32::from(digit - b'0') * weight).sum::<u32>() % 10 == 0
}

fn check_member(member: Member, taken: &mut BTreeSet<String>) -> Result<Member, String> {
    let MemberId(id) = &member.id;
    if id.is_empty() || id.len() > 64 {
        return Err("the id is not 1 to 64 characters".into());
    }
    let digits = member.code.strip_prefix('M').unwrap_or_default();
    if digits.len() != 10 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("the code is not M and ten digits".into());
    }
    if member.name.trim().is_empty() {
        return Err("no name".into());
    }
    if !taken.insert(format!("id {id}")) {
        return Err("the id is there twice".into());
    }
    if !taken.insert(format!("code {}", member.code)) {
        return Err("the code is there twice".into());
    }
    Ok(member)
}
