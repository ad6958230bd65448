//! What the box signs, headquarters keeps; whoever cuts or rewrites a journal is told by it.

use anyhow::{Result, ensure};
use e2e::{COLA, NOODLES, Plan, Shop, finished, program, until};
use std::path::PathBuf;

/// Signed heads of the box as `aisle-hq heads` prints them, once there are so many.
fn heads(shop: &Shop, wanted: usize) -> Result<PathBuf> {
    let path = shop.path("heads");
    until("signed heads", || {
        let told = program("aisle-hq").args(["heads", "box-1", "--data"]).arg(shop.path("hq")).output()?;
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        std::fs::write(&path, &text)?;
        Ok(text.lines().count() > wanted)
    })?;
    Ok(path)
}

fn alarms(shop: &Shop, kind: &str) -> Result<i64> {
    let db = rusqlite::Connection::open(shop.path("hq/hq.db"))?;
    Ok(db.query_row("SELECT count(*) FROM alarm WHERE kind = ?1", [kind], |row| row.get(0))?)
}

/// A shop that sold cola and, after a copy of its journal was taken, noodles; each start signs a head.
fn signed() -> Result<(Shop, Vec<u8>)> {
    let mut shop = Shop::open(Plan::default())?;
    shop.sell(&[COLA])?;
    shop.sales_at_hq()?;
    heads(&shop, 1)?;
    shop.stop()?;
    let copy = std::fs::read(shop.journal())?;
    shop.start()?;
    shop.wait("the devices", |view| view["view"]["devices"][2]["up"] == true)?;
    shop.sell(&[NOODLES])?;
    heads(&shop, 2)?;
    shop.stop()?;
    shop.start()?;
    ensure!(shop.sales_at_hq()?.len() == 2);
    Ok((shop, copy))
}

/// P10, P11: the journal, its copy as text and what the box signed agree; a journal that was cut is told by the last.
#[test]
fn a_journal_agrees_with_what_its_box_signed_and_one_that_was_cut_does_not() -> Result<()> {
    let (mut shop, copy) = signed()?;
    let heads = heads(&shop, 3)?;
    shop.stop()?;
    let said = finished(program("aisled").arg("verify").arg(shop.journal()).arg("--heads").arg(&heads))?;
    ensure!(said.contains("signed heads agree") && !said.contains(" 0 signed"), "{said}");
    let text = shop.path("copy.ndjson");
    std::fs::write(&text, finished(program("aisled").arg("export").arg(shop.journal()))?)?;
    finished(program("aisled").arg("verify").arg(&text).arg("--heads").arg(&heads))?;
    ensure!(alarms(&shop, "head_mismatch")? == 0 && alarms(&shop, "head_refused")? == 0);

    std::fs::write(shop.journal(), copy)?;
    let cut = program("aisled").arg("verify").arg(shop.journal()).arg("--heads").arg(&heads).output()?;
    let said = String::from_utf8_lossy(&cut.stderr).into_owned();
    ensure!(cut.status.code() == Some(65) && said.contains("is missing: the box signed"), "{said}");
    finished(program("aisled").arg("verify").arg(shop.journal()))?;
    shop.start()?;
    until("headquarters' alarm", || Ok(alarms(&shop, "journal_cut")? > 0))
}

/// A box whose key is another is still served, and somebody is told.
#[test]
fn another_key_than_the_first_is_told_at_headquarters() -> Result<()> {
    let (mut shop, _) = signed()?;
    shop.stop()?;
    std::fs::remove_file(shop.data().join("box.key"))?;
    shop.start()?;
    until("headquarters' alarm", || Ok(alarms(&shop, "box_key_changed")? > 0))?;
    until("the head it signed to be refused", || Ok(alarms(&shop, "head_refused")? > 0))?;
    shop.wait("the devices", |view| view["view"]["devices"][2]["up"] == true)?;
    shop.sell(&[COLA])?;
    ensure!(shop.sales_at_hq()?.len() == 3);
    Ok(())
}
