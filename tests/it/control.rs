//! Headquarters' hand on a box: prices within bounds, commands, configuration, over real processes.

use anyhow::{Context as _, Result, ensure};
use e2e::{COLA, NOODLES, Plan, Shop, finished, program, until};
use serde_json::{Value, json};
use std::process::Command;

const CHEAP: &str = r#"{"key":"6901234567892","name":{"zh":"可乐","en":"Cola"},"price":35,"tax_bp":1300}
{"key":"6920000000005","name":{"zh":"方便面","en":"Noodles"},"price":300,"tax_bp":1300}"#;
const RENAMED: &str = r#"[store]
name = { zh = "新店", en = "Renamed" }
currency = "CNY"
utc_offset_min = 480
codes = ["21IIIIIWWWWWC"]
"#;

#[test]
fn a_price_a_tenth_of_what_it_was_stays_out_of_the_till_until_two_operators_have_agreed() -> Result<()> {
    let shop = Shop::open(Plan { more: "[hq.bounds]\nprice_percent = 30\n".into(), ..Plan::default() })?;
    std::fs::write(shop.path("cheap.ndjson"), CHEAP)?;
    let import = |name: &str| {
        let mut import = hq(&shop, &["import", "catalogue"]);
        import.arg(shop.path("cheap.ndjson")).args(["--name", name]);
        import
    };
    // A headquarters with fewer than two operators, or one that was taken over, holds nothing back. The box does.
    finished(&mut import("pb-2"))?;
    until("the box to refuse it", || alarmed(&shop, "dataset_refused"))?;
    let told = alarms(&shop)?;
    ensure!(told.contains("price 350 -> 35 (90 %)") && !told.contains("head_mismatch"), "{told}");
    shop.sell(&[COLA])?;

    operators(&shop)?;
    let back = signed(&shop, hq(&shop, &["data", "rollback", "catalogue"]), "li").output()?;
    ensure!(back.status.code() == Some(65), "the way back is as far as the way there");
    agree(&shop, "chen")?;
    shop.wait("the way back", |view| view["store"]["price_book"] == "pb-1+3")?;
    ensure!(!signed(&shop, import("pb-4"), "li").status()?.success(), "it waits");
    std::thread::sleep(std::time::Duration::from_secs(3));
    shop.wait("nothing", |view| view["store"]["price_book"] == "pb-1+3")?;
    agree(&shop, "chen")?;
    shop.wait("the cheap book", |view| view["store"]["price_book"] == "pb-4")?;
    shop.sell(&[COLA])?;
    let sales = shop.sales_at_hq()?;
    let mut totals: Vec<i64> = sales.iter().filter_map(|sale| sale["total"].as_i64()).collect();
    totals.sort_unstable();
    ensure!(totals == [35, 350], "{totals:?}");
    Ok(())
}

#[test]
fn commands_come_to_their_end_and_a_restart_wants_two_operators_and_no_basket() -> Result<()> {
    let mut shop = Shop::open(Plan::default())?;
    operators(&shop)?;
    let nobody = hq(&shop, &["fleet", "command", "box-1", "summary"]).output()?;
    ensure!(!nobody.status.success(), "somebody has to ask");
    for (verb, end, told) in [
        (&["verify_journal"][..], "done", "every one follows"),
        (&["summary"], "done", "errors"),
        (&["identify"], "done", ""),
        (&["restart_device", "scanner"], "done", ""),
        (&["restart_device", "no-such"], "failed", "no device"),
        (&["backup_now"], "failed", "no [backup]"),
    ] {
        let id = command(&shop, verb)?;
        let order = comes_to(&shop, &id, end)?;
        ensure!(order["said"].as_str().is_some_and(|said| said.contains(told)), "{order}");
    }
    shop.wait("the scanner to be back", |view| view["view"]["devices"][0]["up"] == true)?;

    let id = command(&shop, &["restart"])?;
    comes_to(&shop, &id, "waiting")?;
    shop.basket(&[COLA, NOODLES])?;
    agree(&shop, "chen")?;
    comes_to(&shop, &id, "received")?;
    shop.pressed(json!({"pay": {"method": "card"}}))?;
    ensure!(shop.ended()? == Some(75), "the service manager starts it again");
    shop.start()?;
    comes_to(&shop, &id, "done")?;
    ensure!(shop.sales_at_hq()?.len() == 1, "the basket was paid first");
    Ok(())
}

#[test]
fn what_headquarters_wants_is_applied_and_the_third_start_drops_what_a_box_does_not_get_going_with() -> Result<()> {
    let mut shop = patient(3)?;
    desire(&shop, RENAMED)?;
    ensure!(shop.ended()? == Some(75), "it comes into force with a start");
    shop.start()?;
    until("it to be applied", || Ok(reported(&shop)?["state"] == "applied"))?;
    shop.wait("the name", |view| view["store"]["store"]["en"] == "Renamed")?;
    desire(&shop, "[hq]\nbroker = \"mqtt://elsewhere:1883\"\n")?;
    until("it to be refused", || Ok(reported(&shop)?["state"] == "refused"))?;
    until("an alarm", || alarmed(&shop, "config_refused"))?;

    desire(&shop, &RENAMED.replace("Renamed", "Poisoned"))?;
    ensure!(shop.ended()? == Some(75));
    for _ in 0..2 {
        shop.start()?;
        shop.kill();
    }
    shop.start()?;
    shop.wait("the last good name", |view| view["store"]["store"]["en"] == "Renamed")?;
    until("it to be dropped", || Ok(reported(&shop)?["state"] == "dropped"))?;
    until("an alarm", || alarmed(&shop, "config_dropped"))?;
    shop.wait("the devices", |view| view["view"]["devices"][2]["up"] == true)?;
    shop.sell(&[COLA])?;
    Ok(())
}

/// An open store where a start has gone well after so many seconds.
fn patient(settle_s: u32) -> Result<Shop> {
    let mut shop = Shop::closed(Plan::default())?;
    let text = std::fs::read_to_string(shop.config())?;
    std::fs::write(shop.config(), text.replacen("[hq]\n", &format!("[hq]\nsettle_s = {settle_s}\n"), 1))?;
    shop.start_hq()?;
    shop.start()?;
    shop.wait("headquarters", |view| view["store"]["online"] == true)?;
    Ok(shop)
}

fn hq(shop: &Shop, words: &[&str]) -> Command {
    let mut command = program("aisle-hq");
    command.args(words).arg("--data").arg(shop.path("hq"));
    command
}

fn signed(shop: &Shop, mut command: Command, name: &str) -> Command {
    command.args(["--as", name]).arg("--key").arg(shop.path(name));
    command
}

/// An admin named chen, an operator named li.
fn operators(shop: &Shop) -> Result<()> {
    let add = |name: &str, role: &str| {
        let mut add = hq(shop, &["users", "add", name, "--role", role]);
        add.arg("--new-key").arg(shop.path(name));
        add
    };
    finished(&mut add("chen", "admin"))?;
    finished(&mut signed(shop, add("li", "operator"), "chen"))?;
    Ok(())
}

/// The other operator's word for what waits.
fn agree(shop: &Shop, name: &str) -> Result<()> {
    let waits = finished(&mut hq(shop, &["approvals", "list"]))?;
    let waits: Value = serde_json::from_str(waits.lines().next().context("nothing waits")?)?;
    finished(&mut signed(shop, hq(shop, &["approve", &waits["id"].to_string()]), name))?;
    Ok(())
}

fn command(shop: &Shop, verb: &[&str]) -> Result<String> {
    let mut words = vec!["fleet", "command", "box-1"];
    words.extend(verb);
    let said = finished(&mut signed(shop, hq(shop, &words), "li"))?;
    Ok(serde_json::from_str::<Value>(&said)?["id"].as_str().context("no id")?.to_owned())
}

fn comes_to(shop: &Shop, id: &str, state: &str) -> Result<Value> {
    let mut found = Value::Null;
    until(state, || {
        let said = finished(&mut hq(shop, &["fleet", "commands", "--box", "box-1"]))?;
        let orders: Vec<Value> = said.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        found = orders.into_iter().find(|order| order["id"] == id).unwrap_or_default();
        Ok(found["state"] == state)
    })
    .with_context(|| found.to_string())?;
    Ok(found)
}

fn desire(shop: &Shop, document: &str) -> Result<()> {
    std::fs::write(shop.path("wanted.toml"), document)?;
    let mut desired = hq(shop, &["fleet", "desired", "box-1"]);
    finished(desired.arg("--file").arg(shop.path("wanted.toml")))?;
    Ok(())
}

fn reported(shop: &Shop) -> Result<Value> {
    let said = finished(&mut hq(shop, &["fleet", "desired", "--list"]))?;
    let row: Value = serde_json::from_str(said.lines().next().unwrap_or("null"))?;
    Ok(row["reported"].clone())
}

fn alarms(shop: &Shop) -> Result<String> {
    finished(&mut hq(shop, &["fleet", "alarms"]))
}

fn alarmed(shop: &Shop, kind: &str) -> Result<bool> {
    Ok(alarms(shop)?.contains(kind))
}
