//! reprice: a long basket worked out again, as after every scan, with thousands of promotions in force.

use crate::progress;
use crate::report::{Budget, Figure, Sample};
use anyhow::{Context, Result, ensure};
use checkout::catalog::{Promotion, PromotionBook};
use checkout::config::PriceRules;
use checkout::line::Line;
use checkout::price::{MemberTerms, Terms, price};
use checkout::words::LocalMinute;
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::Instant;

const LINES: u32 = 60;
const PROMOTIONS: u32 = 5_000;
/// Goods on the shelf; the basket holds some of them.
const GOODS: u32 = 20_000;
const GROUPS: u32 = 200;
const ROUNDS: usize = 500;
const BUDGET_US: f64 = 1000.0;

pub fn measure() -> Result<Figure> {
    progress(&format!("reprice: {LINES} lines, {PROMOTIONS} promotions, {ROUNDS} times"));
    let rows: Vec<Promotion> = (0..PROMOTIONS).map(promotion).collect::<Result<_>>()?;
    rows.iter().try_for_each(Promotion::check).map_err(anyhow::Error::msg)?;
    let book = PromotionBook::new(rows);
    let lines: Vec<Line> = (0..LINES).map(line).collect::<Result<_>>()?;
    let lines: Vec<&Line> = lines.iter().collect();
    let member = MemberTerms { level: "gold".into(), ..MemberTerms::default() };
    let terms = Terms { member: Some(member), coupons: vec!["c".into()], online: true };
    let rules = PriceRules::of("CN").context("a preset")?;
    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let priced = price(black_box(&lines), &terms, LocalMinute(0), &rules, &book);
        took.push(begun.elapsed());
        black_box(priced);
    }
    let priced = price(&lines, &terms, LocalMinute(0), &rules, &book);
    let mut kinds: Vec<&str> = priced.savings.iter().map(|saving| saving.offer.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    ensure!(book.len() == 5_000 && kinds.len() >= 20, "only {} promotions touched the basket", kinds.len());
    let took = Sample::of(&took);
    Ok(Figure {
        name: "reprice",
        value: took.at(50.0),
        unit: "µs",
        ratio: took.at(99.0) / BUDGET_US,
        budget: Budget::AtMost(1.0),
        against: "1 ms, at the 99th percentile".into(),
        more: json!({
            "p50": took.at(50.0).round(), "p99": took.at(99.0).round(), "max": took.at(100.0).round(),
            "lines": LINES, "promotions": PROMOTIONS, "applied": kinds.len(), "savings": priced.savings.len(),
        }),
    })
}

/// One of `n`, always the same for the same `seed`.
fn pick(seed: u32, n: u32) -> u32 {
    let mixed = (u64::from(seed) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    u32::try_from((mixed ^ (mixed >> 29)) % u64::from(n)).unwrap_or(0)
}

/// Half name goods (those of the basket more often than chance would), the others a group; ten are of the whole shop.
fn promotion(number: u32) -> Result<Promotion> {
    let keys: Vec<String> = (0..6).map(|one| (pick(number * 7 + one, GOODS / 40) * 40).to_string()).collect();
    let goods = match number {
        0..10 => json!({"all": true, "except_groups": [format!("g{number}")]}),
        10..2_500 => json!({"keys": keys}),
        _ => json!({"groups": [format!("g{}", pick(number, GROUPS))], "price_from": 100 + number % 900}),
    };
    let rule = match (number, number % 6) {
        (0..10, _) => {
            json!({"basket": {"steps": [{"spend": 5_000 + 1_000 * number, "give": {"off": 200 + 10 * number}}]}})
        }
        (_, 0) => json!({"percent": {"off_bp": 500 + number % 2_000}}),
        (_, 1) => json!({"n_for": {"n": 2 + number % 2, "price": 900}}),
        (_, 2) => json!({"buy_get": {"buy": 1 + number % 3, "get": 1}}),
        (_, 3) => json!({"amount": {"off": 10 + number % 90}}),
        (_, 4) => json!({"price": {"price": 300 + number % 400}}),
        _ => json!({"set": {"n": 1, "with": [{"goods": {"groups": ["g7"]}, "n": 1}], "give": {"off": 150}}}),
    };
    let mut row: Value =
        json!({"id": format!("p{number:05}"), "name": {"zh": "促销", "en": "Offer"}, "goods": goods, "rule": rule});
    if number < 6 {
        row["excludes"] = "basket".into();
    }
    Ok(serde_json::from_value(row)?)
}

fn line(no: u32) -> Result<Line> {
    let key = pick(no * 31, GOODS / 40) * 40;
    let row = json!({
        "no": no + 1, "key": key.to_string(), "name": {"zh": "商品", "en": "Goods"}, "quantity": 1 + no % 3, "weight_g": null,
        "unit_price": 200 + pick(key, 1_800), "tax_bp": if no.is_multiple_of(3) { 900 } else { 1300 }, "price_book": "pb-1",
        "member_price": 150 + pick(key, 1_800), "group": format!("g{}", pick(key + 3, GROUPS)), "priced_at": 0,
    });
    Ok(serde_json::from_value(row)?)
}
