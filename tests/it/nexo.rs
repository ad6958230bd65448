//! A whole store whose terminal speaks nexo behind TLS: wherever the plug is pulled, what it charged is what was sold.

use anyhow::{Context as _, Result, ensure};
use e2e::{COLA, NOODLES, NexoTerminal, Plan, Shop, printed, until};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::{Value, json};
use std::path::Path;

const TOTAL: i64 = 650;

#[test]
fn killed_anywhere_in_a_nexo_payment_the_shopper_pays_once() -> Result<()> {
    type Moment = (&'static str, fn(&Shop) -> bool);
    let moments: [Moment; 3] = [
        ("the card is asked for", |shop| shop.terminal.state()["wants_card"] == true),
        ("the terminal has the money", |shop| !shop.captured().is_empty()),
        ("the receipt is coming out", |shop| !shop.paper().is_empty()),
    ];
    for (name, there) in moments {
        let folder = tempfile::tempdir()?;
        let mut shop = open(folder.path())?;
        cut(&mut shop, there).with_context(|| format!("plug pulled when {name}"))?;
    }
    Ok(())
}

#[test]
fn an_answer_that_never_comes_is_asked_for_and_a_refund_is_made_once() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let shop = open(folder.path())?;
    shop.hand(&shop.terminal, json!({"behaviour": "hang_up_after_answer"}));
    shop.basket(&[COLA])?;
    shop.pressed(json!({"pay": {"method": "card"}}))?;
    until("the charge", || Ok(!shop.captured().is_empty()))?;
    shop.hand(&shop.terminal, json!({"behaviour": "approve"}));
    let done = shop.wait("the sale", |view| view["view"]["phase"] == "done" && printed(view))?;
    let code = done["view"]["receipt"]["receipt"]["code"].as_str().context("no code")?.to_owned();
    shop.scan(&code)?;
    shop.wait("the sale that is brought back", |view| !view["view"]["found"].is_null())?;
    shop.staff(json!({"return": {"line": {"line": 1, "quantity": 1}}}))?;
    shop.staff(json!({"return": {"refund": {}}}))?;
    shop.wait("the return", |view| view["view"]["receipt"]["receipt"]["kind"] == "return")?;
    let state = shop.terminal.state();
    ensure!(shop.captured() == [350] && state["refunds"] == json!([350]), "the terminal has {state}");
    let sum: i64 = shop.sales_at_hq()?.iter().filter_map(|sale| sale["total"].as_i64()).sum();
    ensure!(sum == 0, "headquarters has {:?}", shop.sales_at_hq()?);
    Ok(())
}

#[test]
fn what_the_terminal_shows_reaches_the_lane_and_what_it_prints_the_receipt() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let shop = open(folder.path())?;
    shop.hand(&shop.terminal, json!({"wait_for_card": true}));
    shop.basket(&[COLA])?;
    shop.pressed(json!({"pay": {"method": "card"}}))?;
    until("the terminal to want the card", || Ok(shop.terminal.state()["wants_card"] == true))?;
    let shown = |text: &'static str| move |view: &Value| view["view"]["tender"]["text"]["en"] == text;
    shop.hand(&shop.terminal, json!({"show": "Please tap your card"}));
    shop.wait("the terminal's text", shown("Please tap your card"))?;
    for question in [
        json!({"ask": "DigitString", "text": "Enter your PIN on this screen"}),
        json!({"ask": "TextString", "text": "Loyalty number?"}),
    ] {
        shop.hand(&shop.terminal, question);
    }
    // The later question is on the page; of the one before nothing ever was.
    shop.wait("the question", shown("Loyalty number?"))?;
    shop.hand(&shop.terminal, json!({"print": ["** CARD COPY **"]}));
    until("all answers", || Ok(shop.terminal.state()["told"].as_array().is_some_and(|told| told.len() == 4)))?;
    let told = shop.terminal.state()["told"].clone();
    ensure!(told[1]["condition"] == "NotAllowed" && told[2]["condition"] == "UnavailableDevice", "{told}");
    shop.hand(&shop.terminal, json!({"tap": true}));
    shop.wait("the sale", |view| view["view"]["phase"] == "done" && printed(view))?;
    ensure!(shop.paper().iter().any(|paper| paper.contains("** CARD COPY **")), "{:?}", shop.paper());
    ensure!(shop.captured() == [350], "{:?}", shop.captured());
    Ok(())
}

fn cut(shop: &mut Shop, there: fn(&Shop) -> bool) -> Result<()> {
    shop.basket(&[COLA, NOODLES])?;
    shop.pressed(json!({"pay": {"method": "card"}}))?;
    until("the moment to pull the plug", || Ok(there(shop)))?;
    shop.kill();
    shop.start()?;
    let settled = |view: &Value| {
        let phase = view["view"]["phase"].as_str().unwrap_or_default();
        view["view"]["devices"][2]["up"] == true
            && (phase == "scanning" || phase == "done" || (phase == "idle" && printed(view)))
    };
    if shop.wait("the payment's end", settled)?["view"]["phase"] == "scanning" {
        ensure!(shop.captured().is_empty(), "the terminal has {:?} and the till asks again", shop.captured());
        shop.pressed(json!({"pay": {"method": "card"}}))?;
    }
    shop.wait("the receipt", |view| !view["view"]["receipt"].is_null() && printed(view))?;
    ensure!(shop.captured() == [TOTAL], "the terminal captured {:?}", shop.captured());
    let sales = shop.sales_at_hq()?;
    ensure!(sales.len() == 1 && sales[0]["total"] == TOTAL, "headquarters has {sales:?}");
    Ok(())
}

fn open(certificates: &Path) -> Result<Shop> {
    Shop::open(Plan { nexo: Some(terminal(certificates)?), ..Plan::default() })
}

fn terminal(folder: &Path) -> Result<NexoTerminal> {
    let name = "P400Plus-123456789.test.terminal.adyen.com";
    let mut maker = CertificateParams::new(Vec::<String>::new())?;
    maker.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let maker = CertifiedIssuer::self_signed(maker, KeyPair::generate()?)?;
    let mut own = CertificateParams::new(vec!["terminal.invalid".to_owned()])?;
    own.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate()?;
    let cert = own.signed_by(&key, &maker)?;
    let file = |name: &str, text: String| -> Result<_> {
        std::fs::write(folder.join(name), text)?;
        Ok(folder.join(name))
    };
    Ok(NexoTerminal {
        ca: file("ca.pem", maker.pem())?,
        cert: file("cert.pem", cert.pem())?,
        key: file("key.pem", key.serialize_pem())?,
        name: "*.test.terminal.adyen.com".into(),
    })
}
