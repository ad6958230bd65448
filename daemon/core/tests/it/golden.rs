//! `tests/promotions/*.toml`: baskets in, receipts out, as a merchandiser would check them. Engine and oracle must both agree
//! with what is written there.

use crate::oracle;
use checkout::catalog::{Item, Promotion, PromotionBook};
use checkout::config::PriceRules;
use checkout::line::{Line, LineKind};
use checkout::price::{MemberTerms, Priced, Terms, cash_rounding, price};
use checkout::receipt::Currency;
use checkout::words::{LineNo, LocalMinute, Money, Name};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

const COUNTRIES: [&str; 4] = ["CN", "DE", "CH", "JP"];
const CASES: usize = 120;

#[test]
fn every_basket_gives_the_receipt_that_is_written_beside_it() {
    let (mut cases, mut wrong, mut countries) = (0, String::new(), BTreeMap::new());
    for (file, shop) in shops() {
        for case in &shop.cases {
            cases += 1;
            *countries.entry(shop.country.clone()).or_insert(0) += 1;
            let bill = Bill::of(&shop, case);
            if bill.receipt != case.receipt {
                let both = (case.receipt.join("\n    "), bill.receipt.join("\n    "));
                write!(
                    wrong,
                    "\n{file}: {} {}\n  written\n    {}\n  worked out\n    {}\n",
                    case.name.zh, case.name.en, both.0, both.1
                )
                .unwrap();
            }
            if let Err(reason) = bill.agrees_with_the_oracle(&shop, case) {
                write!(wrong, "\n{file}: {} {}\n  oracle: {reason}\n", case.name.zh, case.name.en).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    println!("{cases} cases: {countries:?}");
    assert!(cases >= CASES, "only {cases} cases");
    assert!(COUNTRIES.iter().all(|country| countries.get(*country).is_some_and(|count| *count >= 10)), "{countries:?}");
}

#[test]
fn a_wrong_expectation_is_found() {
    for (_, mut shop) in shops() {
        let saves = |case: &Case| case.receipt.iter().any(|row| row.contains("Saved"));
        let index = shop.cases.iter().position(saves).expect("every shop has offers");
        let bill = Bill::of(&shop, &shop.cases[index]);
        bill.agrees_with_the_oracle(&shop, &shop.cases[index]).expect("as it is written");
        let mut short = Bill::of(&shop, &shop.cases[index]);
        short.priced.savings.pop();
        assert!(short.agrees_with_the_oracle(&shop, &shop.cases[index]).is_err(), "a saving is missing");
        let case = &mut shop.cases[index];
        let total = case.receipt.iter().position(|row| row.contains("Total")).expect("a total");
        case.receipt[total] = format!("{}1", case.receipt[total]);
        assert_ne!(bill.receipt, shop.cases[index].receipt, "another total");
        assert!(bill.agrees_with_the_oracle(&shop, &shop.cases[index]).is_err(), "another total");
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shop {
    country: String,
    currency: Currency,
    #[serde(default)]
    price: toml::Table,
    goods: BTreeMap<String, toml::Table>,
    #[serde(rename = "promotion", default)]
    promotions: Vec<Promotion>,
    #[serde(rename = "case")]
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: Name,
    /// `cola`, `3 cola`, `455g pears`; `- ` before it: brought back; `@17:59` after it: scanned at another time.
    basket: Vec<String>,
    #[serde(default)]
    promotions: Vec<String>,
    member: Option<String>,
    #[serde(default)]
    used: BTreeMap<String, u32>,
    #[serde(default)]
    coupons: Vec<String>,
    #[serde(default)]
    offline: bool,
    #[serde(default = "noon")]
    at: String,
    receipt: Vec<String>,
}

fn noon() -> String {
    "2026-11-20T12:00".into()
}

struct Bill {
    lines: Vec<Line>,
    terms: Terms,
    rules: PriceRules,
    promotions: Vec<Promotion>,
    priced: Priced,
    receipt: Vec<String>,
}

impl Bill {
    fn of(shop: &Shop, case: &Case) -> Self {
        let rules = shop.rules();
        let lines: Vec<Line> = (1..).zip(&case.basket).map(|(no, text)| shop.line(no, text, case)).collect();
        let member = |level: &String| MemberTerms { level: level.clone(), used: case.used.clone() };
        let terms =
            Terms { member: case.member.as_ref().map(member), coupons: case.coupons.clone(), online: !case.offline };
        let wanted = |id: &String| {
            let found = shop.promotions.iter().find(|promotion| promotion.id == *id);
            found.unwrap_or_else(|| panic!("{}: no promotion {id}", case.name.en)).clone()
        };
        let promotions: Vec<Promotion> = case.promotions.iter().map(wanted).collect();
        promotions
            .iter()
            .for_each(|promotion| promotion.check().unwrap_or_else(|why| panic!("{}: {why}", promotion.id)));
        let book = PromotionBook::new(promotions.clone());
        let priced = price(&lines.iter().collect::<Vec<_>>(), &terms, LocalMinute(0), &rules, &book);
        let receipt = receipt(&lines, &priced, &rules, &shop.currency);
        Self { lines, terms, rules, promotions, priced, receipt }
    }

    fn agrees_with_the_oracle(&self, shop: &Shop, case: &Case) -> Result<(), String> {
        check(&self.lines, &self.terms, &self.rules, &self.promotions, &self.priced)?;
        let best = oracle::best(&self.lines, &self.terms, &self.rules, &self.promotions).off();
        let ours = i128::from(self.priced.discount.0);
        if best != ours {
            return Err(format!("{ours} off, where {best} can be had"));
        }
        let total = format!("合计 Total {}", shop.currency.show(self.priced.total));
        if case.receipt.contains(&total) { Ok(()) } else { Err(format!("no {total}")) }
    }
}

/// What must hold of every priced basket, worked out from the lines alone.
pub fn check(
    lines: &[Line],
    terms: &Terms,
    rules: &PriceRules,
    promotions: &[Promotion],
    priced: &Priced,
) -> Result<(), String> {
    let wide = |money: Money| i128::from(money.0);
    let mut totals: Vec<(u32, i128)> = Vec::new();
    let mut all = 0;
    for line in lines.iter().filter(|line| !line.voided) {
        let saved: Vec<i128> =
            priced.savings.iter().filter(|saving| saving.line == line.no).map(|saving| wide(saving.amount)).collect();
        let off: i128 = saved.iter().sum();
        if saved.iter().any(|one| *one <= 0) || (off > 0 && off > wide(line.gross())) {
            return Err(format!("line {}: {saved:?} off {}", line.no, wide(line.gross())));
        }
        if off > 0 && line.kind != LineKind::Goods {
            return Err(format!("line {} is {:?} and was reduced", line.no, line.kind));
        }
        all += off;
        totals.push((line.tax_bp, wide(line.gross()) - off));
    }
    if all != wide(priced.discount) {
        return Err(format!("lines were reduced by {all}, the basket by {}", priced.discount.0));
    }
    let taxes = oracle::taxes(&totals, rules);
    let ours: BTreeMap<u32, i128> = priced.taxes.iter().map(|row| (row.rate_bp, wide(row.tax))).collect();
    if taxes != ours {
        return Err(format!("tax is {taxes:?}, not {ours:?}"));
    }
    let added: i128 = if priced.taxes.iter().any(|row| row.added) { taxes.values().sum() } else { 0 };
    let total = totals.iter().map(|(_, total)| total).sum::<i128>() + added;
    if total != wide(priced.total) {
        return Err(format!("the total is {total}, not {}", priced.total.0));
    }
    if all < oracle::singles(lines, terms, rules, promotions) {
        return Err("one promotion alone would have been better".into());
    }
    Ok(())
}

/// As the shopper reads it, in both languages.
fn receipt(lines: &[Line], priced: &Priced, rules: &PriceRules, currency: &Currency) -> Vec<String> {
    let money = |amount: Money| currency.show(amount);
    let both = |name: &Name| format!("{} {}", name.zh, name.en);
    let mut rows = Vec::new();
    for line in lines {
        let many = match line.weight_g {
            Some(grams) => format!("{grams} g × {}/kg", money(line.unit_price)),
            None => format!("{} × {}", line.quantity, money(line.unit_price)),
        };
        rows.push(format!("{}  {many} = {}", both(&line.name), money(line.gross())));
        for saving in priced.savings.iter().filter(|saving| saving.line == line.no) {
            rows.push(format!("  {} {}", both(&saving.name), money(Money::ZERO.minus(saving.amount))));
        }
    }
    let tax = |row: &checkout::receipt::TaxLine| {
        let rate = format!("{}.{:02}%", row.rate_bp / 100, row.rate_bp % 100);
        let words = if row.added { "加税 Plus tax" } else { "含税 Tax" };
        format!("{words} {rate} {} ({})", money(row.tax), money(row.net))
    };
    let taxes: Vec<String> = priced.taxes.iter().filter(|row| row.rate_bp > 0).map(tax).collect();
    if priced.discount != Money::ZERO {
        rows.push(format!("已优惠 Saved {}", money(priced.discount)));
    }
    if priced.added_tax != Money::ZERO {
        rows.extend(taxes.iter().cloned());
    }
    rows.push(format!("合计 Total {}", money(priced.total)));
    let step = cash_rounding(priced.total, rules);
    if step != Money::ZERO {
        rows.push(format!("现金取整 Cash rounding {} → {}", money(step), money(priced.total.plus(step))));
    }
    if priced.added_tax == Money::ZERO {
        rows.extend(taxes);
    }
    rows
}

impl Shop {
    fn rules(&self) -> PriceRules {
        let preset = PriceRules::of(&self.country).unwrap_or_default();
        let mut fields = toml::Table::try_from(preset).expect("rules are a table");
        fields.extend(self.price.clone());
        fields.try_into().expect("rules of prices")
    }

    fn line(&self, no: u32, text: &str, case: &Case) -> Line {
        let (text, at) = match text.split_once('@') {
            Some((text, clock)) => (text.trim(), format!("{}T{clock}", &case.at[..10])),
            None => (text, case.at.clone()),
        };
        let at = checkout::calendar::read(&at).unwrap_or_else(|| panic!("{}: {at}", case.name.en));
        let (back, text) = text.strip_prefix("- ").map_or((false, text), |text| (true, text));
        let (many, what) = text.split_once(' ').unwrap_or(("1", text));
        let item = self.goods.get(what).unwrap_or_else(|| panic!("{}: no goods {what}", case.name.en));
        let mut row = item.clone();
        row.insert("key".into(), what.into());
        let item: Item = row.try_into().unwrap_or_else(|error| panic!("{what}: {error}"));
        let item = item.priced(at);
        let weight_g = many.strip_suffix('g').map(|grams| grams.parse().expect("grams"));
        let mut line = line_of(no, &item, at);
        line.weight_g = weight_g;
        line.quantity = if weight_g.is_some() { 1 } else { many.parse().expect("a number of pieces") };
        if back {
            line.kind = if item.kind.is_goods() { LineKind::Returned } else { LineKind::BottleReturn };
        }
        line
    }
}

/// A line as the box would make it.
pub fn line_of(no: u32, item: &Item, at: LocalMinute) -> Line {
    let fields = serde_json::json!({
        "no": no, "key": item.key, "name": item.name, "quantity": 1, "weight_g": null,
        "unit_price": item.price, "tax_bp": item.tax_bp, "price_book": "golden",
    });
    let mut line: Line = serde_json::from_value(fields).expect("a line");
    line.no = LineNo(no);
    line.kind = item.kind;
    line.offer.clone_from(&item.offer);
    line.member_price = item.member_price;
    line.levels.clone_from(&item.levels);
    line.breaks.clone_from(&item.breaks);
    line.group.clone_from(&item.group);
    line.priced_at = Some(at);
    line
}

fn shops() -> Vec<(String, Shop)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/promotions");
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "toml"));
    files.sort();
    let read = |file: PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).expect("readable");
        let shop = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, shop)
    };
    files.into_iter().map(read).collect()
}
