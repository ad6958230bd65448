//! `aisled demo --once`: one sale on real lines without a person, told in one line of JSON.

use super::desk::Desk;
use super::programs::Programs;
use super::{Addresses, Options};
use crate::client;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(12);
const LANE: &str = "/api/lane/1";
const VIEW: &str = "/api/view/1";
/// Three by the piece, one by weight over the scale, one nobody knows.
const GOODS: [&str; 3] = ["6901234567892", "6920000000005", "6940000000003"];
const PEARS: &str = "2112345000008";
const PEARS_G: u32 = 450;
const UNKNOWN: &str = "4006381333931";
const MEMBER: &str = "M1234567897";

pub(crate) async fn sale(options: &Options, desk: &Desk, programs: &Programs) -> Result<()> {
    let addresses = programs.addresses;
    wait(addresses, "the devices, the price book and the promotions", |view| {
        let up = |kind: &str| lane_device(view, kind).is_some_and(|device| device["up"] == true);
        ["scanner", "scale", "terminal", "printer"].into_iter().all(up)
            && view["store"]["online"] == true
            && view["store"]["price_book"] == "pb-1"
            && !view["store"]["datasets"]["promotions"].is_null()
    })
    .await?;
    shop(desk, addresses).await?;
    let face = recognise(desk, programs).await?;
    press(addresses, json!({"pay": {"method": "card"}})).await?;
    let done = wait(addresses, "the card payment and the receipt", |view| {
        view["view"]["phase"] == "done" && view["view"]["receipt"]["printed"] == true
    })
    .await?;
    let receipt = &done["view"]["receipt"]["receipt"];
    let paper = keep_receipt(options, desk)?;
    let acked = headquarters(addresses, receipt).await?;
    let terminal = desk.device("terminal-1").map(|device| device.running.state()).unwrap_or_default();
    let captured: i64 = terminal["charges"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|charge| charge["state"] == "captured")
        .filter_map(|charge| charge["amount"].as_i64())
        .sum();
    ensure!(receipt["total"] == captured, "the terminal took {captured} and the receipt says {}", receipt["total"]);
    tell(&json!({
        "sale": receipt["transaction"],
        "total": receipt["total"],
        "receipt": receipt["number"],
        "receipt_file": paper,
        "hq_acked_seq": acked,
        "face": face,
        "member": receipt["member"],
        "card_captured": captured,
        "lines": receipt["lines"].as_array().map(Vec::len),
    }));
    Ok(())
}

async fn shop(desk: &Desk, addresses: Addresses) -> Result<()> {
    for (at, code) in GOODS.iter().enumerate() {
        scan(desk, code).await?;
        wait(addresses, "a scanned line", |view| lines(view) == at + 1).await?;
    }
    desk.control("scale-1", &json!({"put": PEARS_G})).await?;
    scan(desk, PEARS).await?;
    wait(addresses, "the weighed line", |view| view["view"]["lines"][GOODS.len()]["weight_g"] == PEARS_G).await?;
    scan(desk, UNKNOWN).await?;
    wait(addresses, "the refusal of an unknown code", |view| view["view"]["notice"]["good"] == false).await?;
    identify(desk, addresses).await
}

/// Members arrive a moment after the goods, and a person would scan again too.
async fn identify(desk: &Desk, addresses: Addresses) -> Result<()> {
    for _ in 0..20 {
        scan(desk, MEMBER).await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let (_, view) = ask(move || client::get(addresses.pages, VIEW)).await?;
        if view["view"]["member"]["by_face"] == false {
            return Ok(());
        }
    }
    bail!("the member's code {MEMBER} is not known to the store")
}

/// `match` where models and photographs are there, `skipped` where they are not; anything else fails the demo.
async fn recognise(desk: &Desk, programs: &Programs) -> Result<&'static str> {
    if !programs.faces {
        return Ok("skipped");
    }
    let addresses = programs.addresses;
    wait(addresses, "the vision process", |view| view["store"]["vision"] == "ready").await?;
    desk.show("member").await?;
    // A face adds nothing to a code that was scanned: here it has to find the member by itself.
    press(addresses, json!({"remove_member": {}})).await?;
    press(addresses, json!({"recognise": {"consent": "face-consent-1"}})).await?;
    let seen = wait(addresses, "the camera", |view| !view["view"]["face"]["outcome"].is_null()).await?;
    let outcome = &seen["view"]["face"]["outcome"];
    ensure!(outcome == "match" && seen["view"]["member"]["by_face"] == true, "the member's face gave {outcome}");
    Ok("match")
}

/// The receipt as it came out of the printer, as text and as a picture.
fn keep_receipt(options: &Options, desk: &Desk) -> Result<String> {
    let state = desk.device("printer-1").context("there is a printer")?.running.state();
    let text = state["receipts"].as_array().and_then(|receipts| receipts.last()).and_then(Value::as_str);
    let file = options.folder.join("receipt.txt");
    std::fs::write(&file, text.context("nothing came out of the printer")?)?;
    if let Some(svg) = state["svgs"].as_array().and_then(|svgs| svgs.last()).and_then(Value::as_str) {
        std::fs::write(options.folder.join("receipt.svg"), svg)?;
    }
    Ok(file.display().to_string())
}

/// What headquarters acknowledged, once it has the sale itself.
async fn headquarters(addresses: Addresses, receipt: &Value) -> Result<u64> {
    wait(addresses, "headquarters' acknowledgement", |view| view["store"]["backlog"] == 0).await?;
    let transaction = receipt["transaction"].as_str().unwrap_or_default();
    let path = format!("/api/sales?transaction={transaction}");
    let (_, sales) = ask(move || client::get(addresses.hq, &path)).await?;
    let sales = sales["sales"].as_array().or_else(|| sales.as_array()).cloned().unwrap_or_default();
    ensure!(
        sales.len() == 1 && sales[0]["total"] == receipt["total"],
        "headquarters has {} such sales: {sales:?}",
        sales.len()
    );
    let (_, boxes) = ask(move || client::get(addresses.hq, "/api/boxes")).await?;
    let acked = boxes.pointer("/boxes/0/acked").or_else(|| boxes.pointer("/0/acked")).and_then(Value::as_u64);
    acked.context("headquarters does not say how far it is")
}

async fn scan(desk: &Desk, code: &str) -> Result<()> {
    desk.control("scanner-1", &json!({"scan": code})).await
}

async fn press(addresses: Addresses, what: Value) -> Result<()> {
    let (status, answer) = ask({
        let what = what.clone();
        move || client::post(addresses.pages, LANE, None, &what)
    })
    .await?;
    ensure!(status == 200, "{what} was refused: {answer}");
    Ok(())
}

/// Looks until the picture is as wanted; fails with what was waited for and what was seen.
async fn wait(addresses: Addresses, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    let until = Instant::now() + PATIENCE;
    loop {
        let (_, view) = ask(move || client::get(addresses.pages, VIEW)).await?;
        if wanted(&view) {
            return Ok(view);
        }
        if Instant::now() > until {
            bail!("waited {PATIENCE:?} for {what}; the lane shows {view}");
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

async fn ask<T: Send + 'static>(question: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(question).await?
}

fn lines(view: &Value) -> usize {
    view["view"]["lines"].as_array().map_or(0, Vec::len)
}

fn lane_device<'a>(view: &'a Value, kind: &str) -> Option<&'a Value> {
    view["view"]["devices"].as_array()?.iter().find(|device| device["kind"] == kind)
}

#[expect(clippy::print_stdout, reason = "the one line another program reads")]
fn tell(result: &Value) {
    println!("{result}");
}
