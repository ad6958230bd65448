//! Money that arrives late, over real processes: it is taken after the payment was given up, and goes back once.

use anyhow::{Result, ensure};
use e2e::{COLA, Plan, Shop, until};
use rusqlite::{Connection, OpenFlags};
use serde_json::json;

/// The sandbox answers nothing, and takes the money three seconds after the payment was given up.
const LATE: &str = "131234567890123417";

#[test]
fn a_wallet_payment_taken_after_it_was_given_up_goes_back_once_and_the_sale_is_paid_otherwise() -> Result<()> {
    let mut shop = Shop::open(Plan::default())?;
    shop.basket(&[COLA])?;
    shop.pressed(json!({"pay": {"method": "wallet"}}))?;
    shop.scan(LATE)?;
    shop.wait("the provider's silence", |view| view["view"]["tender"]["tender"].is_string())?;
    shop.pressed(json!({"cancel_payment": {}}))?;
    // Headquarters dies in the moment the provider tells of the money: it tells again until somebody has written it down.
    let sandbox = Connection::open(shop.path("hq").join("sandbox.db"))?;
    // Not before fifteen seconds, and asked first.
    shop.wait("the payment to be given up", |view| view["view"]["phase"] == "scanning")?;
    ensure!(one(&shop, "SELECT count(*) FROM payment WHERE state = 'reversed'")? == 1);
    shop.pressed(json!({"pay": {"method": "card"}}))?;
    shop.wait("the card sale", |view| view["view"]["phase"] == "done")?;

    let taken = "SELECT count(*) FROM trade WHERE state = 'taken' AND ends = '17'";
    until("the late money", || Ok(sandbox.query_row(taken, [], |row| row.get::<_, i64>(0))? == 1))?;
    shop.kill_hq();
    drop(sandbox);
    shop.start_hq()?;
    until("the late money to go back", || {
        Ok(one(&shop, "SELECT count(*) FROM payment_refund WHERE state = 'approved' AND amount = 350")? == 1)
    })?;
    until("headquarters to hear of it", || {
        Ok(one(&shop, "SELECT count(*) FROM journal_event WHERE kind = 'tender.late_refunded'")? == 1)
    })?;
    // Both ends begin again: nothing moves a second time.
    shop.kill();
    shop.kill_hq();
    shop.start_hq()?;
    shop.start()?;
    ensure!(shop.sales_at_hq()?.len() == 1);
    ensure!(one(&shop, "SELECT count(*) FROM journal_event WHERE kind = 'tender.late_approved'")? == 1);
    ensure!(one(&shop, "SELECT count(*) FROM payment_refund")? == 1);
    ensure!(one(&shop, "SELECT sum(taken) FROM tender_money WHERE kind = 'wallet'")? == 0);
    ensure!(shop.captured() == [350], "{:?}", shop.captured());
    Ok(())
}

fn one(shop: &Shop, sql: &str) -> Result<i64> {
    let db = Connection::open_with_flags(shop.path("hq").join("hq.db"), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    Ok(db.query_row(sql, [], |row| row.get(0))?)
}
