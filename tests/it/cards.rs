//! Money back and strange terminals, over real processes: what the terminal gave is what the books say, once.

use anyhow::{Context as _, Result, ensure};
use e2e::{COLA, NOODLES, Plan, Shop, printed, until};
use serde_json::{Value, json};

const PRICE: i64 = 350;

#[test]
fn goods_brought_back_are_refunded_to_the_card_once() -> Result<()> {
    let shop = Shop::open(Plan::default())?;
    bring_back(&shop)?;
    given_back_once(&shop)
}

#[test]
fn a_payment_given_up_is_cancelled_by_the_terminal_that_took_it() -> Result<()> {
    let shop = Shop::open(Plan::default())?;
    shop.basket(&[COLA, NOODLES])?;
    shop.pressed(json!({"pay": {"method": "card", "amount": 300}}))?;
    shop.wait("the part", |view| view["view"]["paid"] == 300 && view["view"]["phase"] == "scanning")?;
    shop.staff(json!({"void_transaction": {"reason": "wrong goods"}}))?;
    shop.wait("the basket's end", |view| view["view"]["phase"] == "idle")?;
    let state = shop.terminal.state();
    ensure!(state["charges"][0]["state"] == "reversed" && state["refunds"] == json!([]), "{state}");
    ensure!(shop.sales_at_hq()?.is_empty(), "nothing was sold");
    Ok(())
}

#[test]
fn a_refund_that_is_declined_waits_for_a_person_and_is_not_asked_for_again() -> Result<()> {
    let shop = Shop::open(Plan::default())?;
    shop.sell(&[COLA])?;
    shop.hand(&shop.terminal, json!({"decline_once": 5}));
    ask_back(&shop)?;
    let waits = staff_wanted(&shop)?;
    std::thread::sleep(std::time::Duration::from_secs(2));
    ensure!(shop.terminal.state()["refunds"] == json!([]), "it was asked again: {}", shop.terminal.state());
    by_hand(&shop, &waits, true)?;
    shop.wait("the return", returned)?;
    ensure!(sum_at_hq(&shop)? == 0, "headquarters has {:?}", shop.sales_at_hq()?);
    Ok(())
}

#[test]
fn a_terminal_unplugged_in_the_middle_of_a_refund_is_asked_and_a_person_decides() -> Result<()> {
    let shop = Shop::open(Plan::default())?;
    shop.sell(&[COLA])?;
    shop.hand(&shop.terminal, json!({"wait_for_card": true}));
    ask_back(&shop)?;
    until("the terminal to want the card", || Ok(shop.terminal.state()["wants_card"] == true))?;
    shop.hand(&shop.terminal, json!({"unplug": 1500}));
    shop.hand(&shop.terminal, json!({"wait_for_card": false}));
    let waits = staff_wanted(&shop)?;
    ensure!(shop.terminal.state()["refunds"] == json!([]));
    by_hand(&shop, &waits, false)?;
    shop.staff(json!({"return": {"refund": {}}}))?;
    shop.wait("the return", returned)?;
    given_back_once(&shop)
}

#[test]
fn killed_in_the_middle_of_a_refund_it_is_made_once() -> Result<()> {
    type Moment = (&'static str, fn(&Shop) -> bool);
    let moments: [Moment; 2] = [
        ("the card is asked for", |shop| shop.terminal.state()["wants_card"] == true),
        ("the money has gone back", |shop| shop.terminal.state()["refunds"] == json!([PRICE])),
    ];
    for (name, there) in moments {
        let mut shop = Shop::open(Plan::default())?;
        shop.sell(&[COLA])?;
        shop.hand(&shop.terminal, json!({"slow": 60}));
        ask_back(&shop)?;
        until("the moment to pull the plug", || Ok(there(&shop)))?;
        shop.kill();
        shop.start()?;
        let settled = |view: &Value| returned(view) || view["view"]["phase"] == "staff";
        let view = shop.wait("the refund's end", settled).with_context(|| format!("plug pulled when {name}"))?;
        if view["view"]["phase"] == "staff" {
            let made = shop.terminal.state()["refunds"] == json!([PRICE]);
            by_hand(&shop, &view["view"]["tender"]["tender"], made)?;
            if !made {
                shop.staff(json!({"return": {"refund": {}}}))?;
            }
        }
        shop.wait("the return", returned).with_context(|| format!("plug pulled when {name}"))?;
        given_back_once(&shop).with_context(|| format!("plug pulled when {name}"))?;
    }
    Ok(())
}

#[test]
fn another_terminal_in_the_place_of_ours_takes_no_card_until_it_is_accepted() -> Result<()> {
    let mut shop = Shop::open(Plan::default())?;
    shop.sell(&[COLA])?;
    shop.hand(&shop.terminal, json!({"terminal": 66_600_066}));
    shop.pressed(json!({"next": {}}))?;
    shop.basket(&[COLA])?;
    shop.pressed(json!({"pay": {"method": "card"}}))?;
    let waits = staff_wanted(&shop)?;
    // What is not acknowledged the terminal takes back.
    until("the stranger to let go", || Ok(shop.terminal.state()["charges"][1]["state"] == "reversed"))?;
    by_hand(&shop, &waits, false)?;
    // A restart accepts nobody.
    shop.kill();
    shop.start()?;
    let up = |view: &Value| view["view"]["devices"][2]["up"] == true && view["view"]["phase"] == "scanning";
    shop.wait("the terminal", up)?;
    let (status, refused) = shop.press(json!({"pay": {"method": "card"}}))?;
    ensure!(status != 200 && refused.to_string().contains("terminal_changed"), "{status} {refused}");
    ensure!(shop.captured() == [PRICE], "{:?}", shop.captured());
    shop.staff(json!({"accept_terminal": {}}))?;
    asked_anew();
    shop.pressed(json!({"pay": {"method": "card"}}))?;
    shop.wait("the sale", |view| view["view"]["phase"] == "done" && printed(view))?;
    ensure!(shop.captured() == [PRICE, PRICE], "{:?}", shop.captured());
    Ok(())
}

fn bring_back(shop: &Shop) -> Result<()> {
    shop.sell(&[COLA])?;
    ask_back(shop)?;
    shop.wait("the return", returned)?;
    Ok(())
}

/// The cola of the sale on the page comes back, to be paid back as it was paid.
fn ask_back(shop: &Shop) -> Result<()> {
    let view = shop.wait("the receipt", |view| !view["view"]["receipt"].is_null())?;
    let code = view["view"]["receipt"]["receipt"]["code"].as_str().context("a receipt without a code")?.to_owned();
    shop.scan(&code)?;
    shop.wait("the sale that is brought back", |view| !view["view"]["found"].is_null())?;
    shop.staff(json!({"return": {"line": {"line": 1, "quantity": 1}}}))?;
    shop.staff(json!({"return": {"refund": {}}}))
}

fn returned(view: &Value) -> bool {
    view["view"]["receipt"]["receipt"]["kind"] == "return"
}

/// The tender that waits for a person.
fn staff_wanted(shop: &Shop) -> Result<Value> {
    let view = shop.wait("a person to be wanted", |view| view["view"]["phase"] == "staff")?;
    Ok(view["view"]["tender"]["tender"].clone())
}

fn by_hand(shop: &Shop, tender: &Value, taken: bool) -> Result<()> {
    shop.staff(json!({"resolve_tender": {"tender": tender, "taken": taken, "reason": "its journal"}}))?;
    asked_anew();
    Ok(())
}

/// A terminal that a person has worked at is asked for its last payment before it is asked for money.
fn asked_anew() {
    std::thread::sleep(std::time::Duration::from_secs(1));
}

fn given_back_once(shop: &Shop) -> Result<()> {
    let state = shop.terminal.state();
    ensure!(shop.captured() == [PRICE] && state["refunds"] == json!([PRICE]), "the terminal has {state}");
    ensure!(sum_at_hq(shop)? == 0, "headquarters has {:?}", shop.sales_at_hq()?);
    Ok(())
}

fn sum_at_hq(shop: &Shop) -> Result<i64> {
    Ok(shop.sales_at_hq()?.iter().filter_map(|sale| sale["total"].as_i64()).sum())
}
