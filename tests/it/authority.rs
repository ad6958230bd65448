//! P19: whoever is not signed in, or has not the role, moves no money back, whichever way the request comes.

use aisled::{client, http};
use anyhow::{Context as _, Result, ensure};
use e2e::{COLA, NOODLES, Plan, Shop, lines};
use serde_json::{Value, json};

const CASHIER: &str = "2468";

#[test]
fn without_a_person_a_role_and_a_reason_no_money_goes_back() -> Result<()> {
    let more = format!(
        "[[staff]]\nid = \"s-2\"\nname = \"Wu\"\npin = \"{}\"\nrole = \"cashier\"\n[floor.back]\ncashier = 300\n",
        http::pin::stored(CASHIER)?
    );
    let shop = Shop::open(Plan { more, ..Plan::default() })?;
    shop.sell(&[COLA, NOODLES])?;
    shop.pressed(json!({"next": {}}))?;
    let staff = |token: Option<&str>, what: &Value| client::post(shop.pages, "/api/staff/lane/1", token, what);
    let refund = json!({"return": {"refund": {"in_cash": true}}});
    let goods = json!({"return": {"goods": {"code": COLA, "quantity": 1, "reason": "no receipt"}}});
    let void = |reason: &str| json!({"void_transaction": {"reason": reason}});
    for what in [&refund, &goods, &void("x")] {
        for token in [None, Some("nobody.knows.it")] {
            ensure!(staff(token, what)?.0 == 401, "{what} was let through");
        }
        // A page pretends to be staff.
        let forged = json!({"staff": {"staff": "s-1", "role": "manager", "request": what}});
        ensure!(shop.press(forged)?.0 != 200, "a page is no member of staff: {what}");
        ensure!(shop.press(json!({"badged": {"request": what}}))?.0 != 200, "nobody showed a badge: {what}");
    }
    let (_, login) = client::post(shop.pages, "/api/staff/login", None, &json!({"pin": CASHIER}))?;
    let cashier = login["token"].as_str().context("the cashier is not known")?;
    let refused = |what: &Value, why: &str| -> Result<()> {
        let (status, answer) = staff(Some(cashier), what)?;
        ensure!(status == 409 && answer["refused"] == why, "{what}: {status} {answer}");
        Ok(())
    };
    refused(&goods, "role_too_low")?;
    ensure!(staff(Some(cashier), &json!({"return": {"find": {"code": "1-000001"}}}))?.0 == 200);
    ensure!(staff(Some(cashier), &json!({"return": {"line": {"line": 1, "quantity": 1}}}))?.0 == 200);
    shop.wait("the goods brought back", |view| lines(view) == 1 && view["view"]["due"] == -350)?;
    refused(&refund, "role_too_low")?;
    refused(&json!({"return": {"refund": {"in_cash": false}}}), "role_too_low")?;
    refused(&void(""), "needs_reason")?;
    shop.staff(refund)?;
    shop.wait("the money back", |view| view["view"]["phase"] == "done")?;
    let totals: i64 = shop.sales_at_hq()?.iter().filter_map(|sale| sale["total"].as_i64()).sum();
    ensure!(totals == 300, "what is left is {totals}");
    Ok(())
}
