//! Bad input: one clear message each, the lane keeps working, nothing is lost.

use anyhow::{Context as _, Result, ensure};
use e2e::{COLA, NOODLES, Plan, Shop, lines, program, until};
use serde_json::json;

#[test]
fn garbage_on_the_serial_line_is_refused_and_the_next_scan_sells() -> Result<()> {
    let shop = Shop::open(Plan::default())?;
    for garbage in ["\u{1}\u{2}\u{3}", "not a code", &"9".repeat(6000), "6901234567890", "<img src=x onerror=alert(1)>"]
    {
        shop.scan(garbage)?;
    }
    shop.wait("a word about it", |view| view["view"]["notice"]["good"] == false && lines(view) == 0)?;
    shop.sell(&[COLA])?;
    Ok(())
}

#[test]
fn a_terminal_that_hangs_up_mid_answer_is_asked_and_money_is_taken_once() -> Result<()> {
    let shop = Shop::open(Plan::default())?;
    for fault in ["hang_up_mid_answer", "hang_up_after_answer", "garbage"] {
        shop.hand(&shop.terminal, json!({"behaviour": fault}));
        let before = shop.captured().len();
        shop.basket(&[COLA, NOODLES])?;
        shop.pressed(json!({"pay": {"method": "card"}}))?;
        shop.wait("the doubt", |view| view["view"]["phase"] == "in_doubt" || view["view"]["phase"] == "done")
            .with_context(|| fault)?;
        shop.hand(&shop.terminal, json!({"behaviour": "approve"}));
        let end = shop
            .wait("certainty", |view| ["scanning", "done"].iter().any(|phase| view["view"]["phase"] == *phase))
            .with_context(|| fault)?;
        if end["view"]["phase"] == "scanning" {
            ensure!(shop.captured().len() == before, "{fault}: money was taken and the till asks again");
            shop.pressed(json!({"pay": {"method": "card"}}))?;
        }
        shop.wait("the sale", |view| view["view"]["phase"] == "done").with_context(|| fault)?;
        ensure!(shop.captured().len() == before + 1, "{fault}: captured {:?}", shop.captured());
        shop.pressed(json!({"next": {}}))?;
    }
    ensure!(shop.sales_at_hq()?.len() == 3);
    Ok(())
}

#[test]
fn a_broker_that_refuses_and_a_missing_catalogue_are_told_once_and_the_till_runs() -> Result<()> {
    let mut shop = Shop::closed(Plan { empty: true, ..Plan::default() })?;
    shop.start()?;
    shop.wait("the scanner", |view| view["view"]["devices"][0]["up"] == true)?;
    shop.scan(COLA)?;
    shop.wait("an unknown item", |view| {
        view["view"]["notice"]["text"]["en"].as_str().is_some_and(|text| text.contains("no goods yet"))
    })?;
    let told = |what: &str| -> Result<usize> {
        Ok(std::fs::read_to_string(shop.path("aisled.log"))?.lines().filter(|line| line.contains(what)).count())
    };
    until("the broker's refusal to be told", || Ok(told("headquarters is away: selling goes on")? > 0))?;
    ensure!(told("no catalogue yet")? == 1 && told("no members yet")? == 1, "a missing dataset is told once");
    Ok(())
}

#[test]
fn a_configuration_with_an_unknown_key_is_refused_with_its_line() -> Result<()> {
    let shop = Shop::closed(Plan::default())?;
    let text = std::fs::read_to_string(shop.config())?;
    std::fs::write(shop.config(), text.replacen("tenant =", "tennant =", 1))?;
    let output = program("aisled").args(["run", "--config"]).arg(shop.config()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(78), "ended with {}", output.status);
    ensure!(said.contains("tennant") && said.contains("line 2") && said.contains("aisled.toml"), "{said}");
    Ok(())
}

#[test]
fn every_shipped_configuration_passes_its_own_check() -> Result<()> {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../systemd/aisled.toml");
    e2e::finished(program("aisled").args(["check", "--config", shipped]))?;
    Ok(())
}

#[test]
fn an_age_check_blocks_paying_until_staff_answer_and_cash_is_for_staff() -> Result<()> {
    let shop = Shop::open(Plan::default())?;
    shop.basket(&[e2e::SPIRITS])?;
    let (status, answer) = shop.press(json!({"pay": {"method": "card"}}))?;
    ensure!(status == 409 && answer["refused"] == "intervention", "{answer}");
    let asked = shop.wait("the question", |view| !view["view"]["interventions"][0].is_null())?;
    shop.staff(json!({"answer": {"intervention": asked["view"]["interventions"][0]["id"], "approved": true}}))?;
    let (_, answer) = shop.press(json!({"pay": {"method": {"cash": {"given": 20000}}}}))?;
    ensure!(answer["refused"] == "cash_needs_staff", "{answer}");
    shop.staff(json!({"pay": {"method": {"cash": {"given": 20000}}}}))?;
    let done = shop.wait("the sale", |view| view["view"]["phase"] == "done")?;
    ensure!(done["view"]["receipt"]["receipt"]["change"] == 7200, "{done}");
    Ok(())
}

#[test]
fn a_wallet_is_charged_through_headquarters_and_refused_without_it() -> Result<()> {
    let mut shop = Shop::open(Plan::default())?;
    shop.basket(&[COLA])?;
    shop.pressed(json!({"pay": {"method": "wallet"}}))?;
    shop.scan("131234567890123456")?;
    shop.wait("the wallet sale", |view| view["view"]["phase"] == "done")?;
    shop.pressed(json!({"next": {}}))?;
    shop.kill_hq();
    shop.wait("the till to notice", |view| view["store"]["online"] == false)?;
    shop.basket(&[COLA])?;
    let (status, answer) = shop.press(json!({"pay": {"method": "wallet"}}))?;
    ensure!(status == 409 && answer["refused"] == "hq_offline", "{answer}");
    shop.pressed(json!({"pay": {"method": "card"}}))?;
    shop.wait("the card sale", |view| view["view"]["phase"] == "done")?;
    Ok(())
}
