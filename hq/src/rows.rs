//! Goods, members, promotions, coupon campaigns and recalls as retailers deliver them, checked line by line.

mod columns;

use checkout::catalog::{Campaign, Item, Member, OfferRule, Promotion, Recall};
use checkout::policy::Policy;
use checkout::words::{ItemKey, MemberId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// Which dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    Catalogue,
    Coupons,
    Members,
    Policy,
    Promotions,
    Recalls,
}

impl Kind {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Catalogue => "catalogue",
            Self::Coupons => "coupons",
            Self::Members => "members",
            Self::Policy => "policy",
            Self::Promotions => "promotions",
            Self::Recalls => "recalls",
        }
    }

    pub(crate) fn short(self) -> &'static str {
        match self {
            Self::Catalogue => "pb",
            Self::Coupons | Self::Members | Self::Policy | Self::Promotions | Self::Recalls => self.name(),
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
    Campaign(Box<Campaign>),
    Policy(Policy),
    Promotion(Box<Promotion>),
    Recall(Recall),
}

impl Row {
    /// What the row is found by; rows are published in this order, which is how a box builds its index fastest.
    pub(crate) fn key(&self) -> &str {
        match self {
            Self::Item(item) => &item.key.0,
            Self::Member(member) => &member.id.0,
            Self::Campaign(campaign) => &campaign.id,
            Self::Policy(policy) => &policy.id,
            Self::Promotion(promotion) => &promotion.id,
            Self::Recall(recall) => &recall.id,
        }
    }

    fn of<'de, D: serde::Deserializer<'de>>(kind: Kind, from: D) -> Result<Self, D::Error> {
        Ok(match kind {
            Kind::Catalogue => Self::Item(Box::new(Item::deserialize(from)?)),
            Kind::Members => Self::Member(Member::deserialize(from)?),
            Kind::Coupons => Self::Campaign(Box::new(Campaign::deserialize(from)?)),
            Kind::Policy => Self::Policy(Policy::deserialize(from)?),
            Kind::Promotions => Self::Promotion(Box::new(Promotion::deserialize(from)?)),
            Kind::Recalls => Self::Recall(Recall::deserialize(from)?),
        })
    }
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
            Row::Campaign(campaign) => check_campaign(*campaign, &mut taken).map(|row| Row::Campaign(Box::new(row))),
            Row::Promotion(promotion) => {
                check_promotion(*promotion, &mut taken).map(|row| Row::Promotion(Box::new(row)))
            }
            Row::Policy(policy) => check_policy(policy, &mut taken).map(Row::Policy),
            Row::Recall(recall) => check_recall(recall, &mut taken).map(Row::Recall),
        });
        match checked {
            Ok(row) => rows.push(row),
            Err(reason) => bad.push(BadLine { line, reason }),
        }
    }
    rows.sort_by(|one: &Row, other: &Row| one.key().cmp(other.key()));
    (rows, bad)
}

type Parsed = Vec<(usize, Result<Row, String>)>;

fn parse(kind: Kind, text: &str) -> Parsed {
    match text.trim_start().as_bytes().first() {
        Some(b'{') => json_lines(kind, text),
        Some(b'[') => json_array(kind, text),
        _ => columns::lines(kind, text),
    }
}

fn json_lines(kind: Kind, text: &str) -> Parsed {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            let row = Row::of(kind, &mut serde_json::Deserializer::from_str(line));
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
            let row = Row::of(kind, value);
            (index + 1, row.map_err(|error| json_reason(&error)))
        })
        .collect()
}

fn json_reason(error: &serde_json::Error) -> String {
    if error.is_data() {
        // serde names the missing or unknown field; a wrong type would quote the value.
        let text = error.to_string();
        if text.starts_with("missing field") || text.starts_with("a time is written") || text.starts_with("hours are") {
            return text;
        }
        if let Some(field) = text.strip_prefix("unknown field ") {
            return format!("unknown field {}", field.split(',').next().unwrap_or_default());
        }
        return format!("a field is not of its type, at column {}", error.column());
    }
    format!("not JSON, at column {}", error.column())
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
    check_prices(&item)?;
    for key in item.deposit.iter_mut().chain(&mut item.linked) {
        *key = check_key(&key.0)?;
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

/// Prices by level, by quantity and to come.
fn check_prices(item: &Item) -> Result<(), String> {
    let scheduled = item.scheduled.iter().flat_map(|price| [Some(price.price), price.member_price]);
    let breaks = item.scheduled.iter().flat_map(|price| &price.breaks).chain(&item.breaks);
    let levels = item.scheduled.iter().flat_map(|price| price.levels.values()).chain(item.levels.values());
    let prices = scheduled.flatten().chain(breaks.clone().map(|step| step.price)).chain(levels.copied());
    if prices.into_iter().any(|price| price.0 <= 0) {
        return Err("a price of a level, a quantity or a time is not above zero".into());
    }
    if breaks.into_iter().any(|step| step.from < 2) {
        return Err("a price by quantity begins at two pieces".into());
    }
    if item.scheduled.iter().any(|price| price.until.is_some_and(|until| until <= price.from)) {
        return Err("a scheduled price ends before it begins".into());
    }
    Ok(())
}

fn check_promotion(promotion: Promotion, taken: &mut BTreeSet<String>) -> Result<Promotion, String> {
    promotion.check()?;
    if !taken.insert(promotion.id.clone()) {
        return Err(format!("promotion {} is there twice", promotion.id));
    }
    Ok(promotion)
}

fn check_campaign(campaign: Campaign, taken: &mut BTreeSet<String>) -> Result<Campaign, String> {
    campaign.check()?;
    if !taken.insert(campaign.id.clone()) {
        return Err(format!("campaign {} is there twice", campaign.id));
    }
    Ok(campaign)
}

fn check_policy(policy: Policy, taken: &mut BTreeSet<String>) -> Result<Policy, String> {
    policy.check()?;
    if !taken.insert(policy.id.clone()) {
        return Err(format!("policy {} is there twice", policy.id));
    }
    Ok(policy)
}

fn check_recall(mut recall: Recall, taken: &mut BTreeSet<String>) -> Result<Recall, String> {
    recall.key = check_key(&recall.key.0)?;
    if recall.id.is_empty() || recall.id.len() > 64 {
        return Err("the id is not 1 to 64 characters".into());
    }
    if recall.reason.zh.trim().is_empty() && recall.reason.en.trim().is_empty() {
        return Err("no reason: nobody would know why it is not sold".into());
    }
    if recall.lots.iter().chain(&recall.serials).any(|named| named.is_empty() || named.len() > 20) {
        return Err("a lot or serial number is not 1 to 20 characters (GS1 AI 10 and 21)".into());
    }
    if !taken.insert(recall.id.clone()) {
        return Err(format!("recall {} is there twice", recall.id));
    }
    Ok(recall)
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
    if !member.phone.is_empty() && checkout::phone::digits(&member.phone).is_none() {
        return Err("the phone is no whole telephone number".into());
    }
    if !taken.insert(format!("id {id}")) {
        return Err("the id is there twice".into());
    }
    if !taken.insert(format!("code {}", member.code)) {
        return Err("the code is there twice".into());
    }
    Ok(member)
}
