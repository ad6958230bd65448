//! The plug is pulled between card approval and receipt: the sale completes once, HQ has it once, the terminal charged once.

use anyhow::{Context as _, Result, ensure};
use e2e::{COLA, NOODLES, Plan, Shop, printed, until};
use serde_json::{Value, json};

const TOTAL: i64 = 650;

/// Starts paying, pulls the plug as soon as the terminal or printer is `there`, plugs in again, and lets the shopper finish.
fn cut_when(shop: &mut Shop, there: impl Fn(&Shop) -> bool) -> Result<Value> {
    shop.hand(&shop.terminal, json!({"slow": 60}));
    shop.basket(&[COLA, NOODLES])?;
    shop.pressed(json!({"pay": {"method": "card"}}))?;
    until("the moment to pull the plug", || Ok(there(shop)))?;
    shop.kill();
    shop.start()?;
    let view = shop.wait("the payment's end", |view| {
        let phase = view["view"]["phase"].as_str().unwrap_or_default();
        let terminal_up = view["view"]["devices"][2]["up"] == true;
        terminal_up && (phase == "scanning" || (phase == "idle" && printed(view)) || phase == "done")
    })?;
    if view["view"]["phase"] == "scanning" {
        ensure!(shop.captured().is_empty(), "the terminal has {:?} and the till asks to pay again", shop.captured());
        shop.pressed(json!({"pay": {"method": "card"}}))?;
    }
    let done = shop.wait("the receipt", |view| !view["view"]["receipt"].is_null() && printed(view))?;
    Ok(done["view"]["receipt"]["receipt"].clone())
}

fn sold_once(shop: &Shop, receipt: &Value) -> Result<()> {
    ensure!(receipt["total"] == TOTAL && receipt["number"] == 1, "{receipt}");
    ensure!(shop.captured() == [TOTAL], "the terminal captured {:?}", shop.captured());
    let sales = shop.sales_at_hq()?;
    ensure!(sales.len() == 1 && sales[0]["total"] == TOTAL, "headquarters has {sales:?}");
    let originals = shop.paper().iter().filter(|text| !text.contains("补打") && !text.contains("COPY")).count();
    ensure!(originals <= 1, "{originals} receipts pretend to be the original");
    Ok(())
}

#[test]
fn killed_between_card_approval_and_receipt_the_sale_completes_once() -> Result<()> {
    type Moment = (&'static str, fn(&Shop) -> bool);
    let moments: [Moment; 4] = [
        ("the card is asked for", |shop| shop.terminal.state()["wants_card"] == true),
        ("the terminal has answered", |shop| {
            shop.terminal.state()["charges"].as_array().is_some_and(|all| !all.is_empty())
        }),
        ("the terminal has captured", |shop| !shop.captured().is_empty()),
        ("the receipt is coming out", |shop| !shop.paper().is_empty()),
    ];
    for (name, moment) in moments {
        let mut shop = Shop::open(Plan::default())?;
        let receipt = cut_when(&mut shop, moment).with_context(|| format!("plug pulled when {name}"))?;
        sold_once(&shop, &receipt).with_context(|| format!("plug pulled when {name}"))?;
    }
    Ok(())
}

#[test]
fn killed_with_headquarters_away_for_the_whole_sale_it_arrives_once_later() -> Result<()> {
    let mut shop = Shop::open(Plan::default())?;
    shop.kill_hq();
    shop.wait("the till to notice", |view| view["store"]["online"] == false)?;
    let receipt = cut_when(&mut shop, |shop| !shop.captured().is_empty())?;
    shop.start_hq()?;
    sold_once(&shop, &receipt)
}

#[test]
fn a_closed_day_starts_from_its_snapshot_and_receipts_go_on_without_a_gap() -> Result<()> {
    let mut shop = Shop::open(Plan::default())?;
    shop.sell(&[COLA])?;
    shop.staff(json!({"day_close": {}}))?;
    shop.stop()?;
    shop.start()?;
    shop.wait("the devices", |view| {
        view["view"]["devices"].as_array().is_some_and(|all| all.iter().all(|one| one["up"] == true))
    })?;
    let log = std::fs::read_to_string(shop.path("aisled.log"))?;
    let replayed = log.lines().rfind(|line| line.contains("journal replayed")).context("no word of the replay")?;
    ensure!(!replayed.contains("after=0"), "the start replayed everything: {replayed}");
    let receipt = shop.sell(&[NOODLES])?;
    ensure!(receipt["number"] == 2, "{receipt}");
    ensure!(shop.sales_at_hq()?.len() == 2, "headquarters misses a sale");
    Ok(())
}
