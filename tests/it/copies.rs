//! A disk that was copied while a basket was open, and used after the original.

use aisled::client;
use anyhow::{Context as _, Result, ensure};
use e2e::{COLA, NOODLES, Plan, Shop, lines, until};
use serde_json::json;

/// The basket is paid on the original and, while nobody can say so, on the copy as well: same transaction, same receipt number,
/// same words. Headquarters keeps both and shows both.
#[test]
fn a_basket_paid_on_a_copied_disk_as_well_is_listed_with_both_receipts() -> Result<()> {
    let mut shop = Shop::open(Plan::default())?;
    shop.sell(&[COLA])?;
    shop.basket(&[NOODLES])?;
    shop.sales_at_hq()?;
    shop.stop()?;
    let copy = std::fs::read(shop.journal())?;
    shop.start()?;
    pay(&shop)?;
    ensure!(shop.sales_at_hq()?.len() == 2);
    shop.stop()?;
    shop.kill_hq();
    std::fs::write(shop.journal(), copy)?;
    shop.start()?;
    pay(&shop)?;
    shop.start_hq()?;
    shop.wait("headquarters' word on the copy", |view| {
        view["store"]["online"] == true
            && view["store"]["upkeep"]["unsettled"].is_null()
            && view["store"]["backlog"] == 0
    })?;
    let mut listed = json!([]);
    until("both receipts to be listed", || {
        listed = client::get(shop.hq_pages, "/api/sales-again")?.1;
        Ok(listed.as_array().is_some_and(|listed| !listed.is_empty()))
    })?;
    ensure!(listed.as_array().map(Vec::len) == Some(1), "{listed}");
    let (first, again) = (&listed[0]["first"], &listed[0]["again"]);
    ensure!(
        (&first["number"], &first["total"], &first["tenders"]) == (&json!(2), &json!(300), &json!("cash 300")),
        "{listed}"
    );
    ensure!(
        (&again["number"], &again["total"], &again["tenders"]) == (&json!(2), &json!(300), &json!("cash 300")),
        "{listed}"
    );
    ensure!(first["at"].as_i64() < again["at"].as_i64(), "{listed}");
    let db = rusqlite::Connection::open(shop.path("hq/hq.db"))?;
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0));
    ensure!(count("SELECT count(*) FROM alarm WHERE kind = 'sale_conflict'")? == 1, "nobody is told");
    let (_, page) = raw(&shop, "/payments")?;
    ensure!(page.contains(listed[0]["transaction"].as_str().context("no transaction")?), "the page does not show it");
    // What is sold on is one sale each, and everything sent once more changes nothing.
    shop.wait("the devices", |view| view["view"]["devices"][2]["up"] == true)?;
    shop.sell(&[COLA])?;
    shop.sales_at_hq()?;
    ensure!(count("SELECT count(*) FROM sale")? == 3 && count("SELECT count(*) FROM sale_again")? == 1);
    Ok(())
}

fn pay(shop: &Shop) -> Result<()> {
    shop.wait("the basket", |view| lines(view) == 1)?;
    shop.staff(json!({"take_cash": {"given": 300}}))?;
    shop.wait("the sale", |view| view["view"]["phase"] == "done")?;
    Ok(())
}

fn raw(shop: &Shop, path: &str) -> Result<(u16, String)> {
    use std::io::{Read as _, Write as _};
    let mut line = std::net::TcpStream::connect(shop.hq_pages)?;
    write!(line, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    line.read_to_string(&mut text)?;
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no answer")?;
    Ok((status, text))
}
