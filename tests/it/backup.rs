//! Copies on a second medium, a box that gets one back, and a box that takes over from a dead one.

use anyhow::{Context as _, Result, ensure};
use e2e::{COLA, NOODLES, Plan, Shop, finished, program, until};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A shop with a second medium.
fn shop() -> Result<(tempfile::TempDir, Shop)> {
    let medium = tempfile::tempdir()?;
    let more = format!("[backup]\nfolder = {:?}\nkeep = 2\n", medium.path());
    Ok((medium, Shop::open(Plan { more, ..Plan::default() })?))
}

fn copies(medium: &Path) -> Result<Vec<PathBuf>> {
    let all = std::fs::read_dir(medium)?.flatten().map(|entry| entry.path());
    let mut copies: Vec<PathBuf> = all.filter(|path| path.extension().is_some_and(|end| end == "db")).collect();
    copies.sort();
    Ok(copies)
}

fn restore(shop: &Shop, arguments: &[&Path]) -> Command {
    let mut command = program("aisled");
    command.arg("restore").arg("--config").arg(shop.config()).args(arguments);
    command
}

fn settled(view: &Value) -> bool {
    view["store"]["online"] == true && view["store"]["upkeep"]["unsettled"].is_null()
}

fn totals(shop: &Shop) -> Result<Vec<i64>> {
    let mut totals: Vec<i64> = shop.sales_at_hq()?.iter().filter_map(|sale| sale["total"].as_i64()).collect();
    totals.sort_unstable();
    Ok(totals)
}

/// R9: made while the shop sells, read back, restored; what it lacks headquarters gives back, and no number comes twice.
#[test]
fn a_copy_made_while_the_shop_sells_is_restored_and_numbers_go_on_behind_headquarters() -> Result<()> {
    let (medium, mut shop) = shop()?;
    until("the first copy", || Ok(copies(medium.path())?.len() == 1))?;
    let view = shop.wait("word of the copy", |view| view["store"]["upkeep"]["backup"]["at"].is_i64())?;
    ensure!(view["store"]["upkeep"]["backup"]["failed"].is_null(), "{view}");
    let copy = copies(medium.path())?.pop().context("no copy")?;
    finished(program("aisled").arg("verify").arg(&copy))?;
    shop.sell(&[COLA])?;
    shop.sell(&[COLA, NOODLES])?;
    ensure!(totals(&shop)? == [350, 650]);
    let running = restore(&shop, &[]).output()?;
    ensure!(!running.status.success(), "a running box was restored");
    shop.stop()?;
    let kept = restore(&shop, &[]).output()?;
    let said = String::from_utf8_lossy(&kept.stderr).into_owned();
    ensure!(!kept.status.success() && said.contains("--replace"), "the journal was overwritten: {said}");
    let said = finished(&mut restore(&shop, &[Path::new("--replace")]))?;
    ensure!(said.contains("rows are back") && said.contains("kept as"), "{said}");
    shop.start()?;
    shop.wait("headquarters' word on what the copy lacks", settled)?;
    shop.wait("the devices", |view| view["view"]["devices"][2]["up"] == true)?;
    let receipt = shop.sell(&[NOODLES])?;
    ensure!(receipt["number"] == 3, "{receipt}");
    ensure!(totals(&shop)? == [300, 350, 650]);
    finished(program("aisled").arg("verify").arg(shop.journal()))?;
    Ok(())
}

/// R9: at the hour the configuration names a copy is made although there is a fresh one, the latest `keep` are kept, and at any
/// other hour none is.
#[test]
fn a_copy_is_made_at_its_hour_and_the_oldest_goes() -> Result<()> {
    let medium = tempfile::tempdir()?;
    let old: Vec<PathBuf> =
        (1..=3).map(|day| medium.path().join(format!("journal-2026010{day}-033000-7.db"))).collect();
    for copy in &old {
        let file = std::fs::File::create(copy)?;
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(300))?;
    }
    let open = |at: i64| {
        let minute =
            (i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed()?.as_secs())? / 60 + 480 + at) % (24 * 60);
        let at = format!("{:02}:{:02}", minute / 60, minute % 60);
        let more = format!("[backup]\nfolder = {:?}\nkeep = 2\nat = \"{at}\"\n", medium.path());
        Shop::open(Plan { more, ..Plan::default() })
    };
    let shop = open(120)?;
    shop.sell(&[COLA])?;
    ensure!(copies(medium.path())? == old, "a copy was made at another hour");
    drop(shop);
    // The minute may be over before the box looks: then it is the next one's.
    let made =
        |shop: &Shop| shop.wait("the copy of this hour", |view| view["store"]["upkeep"]["backup"]["at"].is_i64());
    let mut tried = 0;
    while let Err(error) = made(&open(0)?) {
        tried += 1;
        ensure!(tried < 4, "{error:#}");
    }
    let kept = copies(medium.path())?;
    ensure!(kept.len() == 2 && kept[0] == old[2], "{kept:?}");
    finished(program("aisled").arg("verify").arg(&kept[1]))?;
    Ok(())
}

#[test]
fn a_second_medium_that_is_not_there_is_told_and_nothing_is_written_in_its_place() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let gone = folder.path().join("stick");
    let more = format!("[backup]\nfolder = {gone:?}\n");
    let shop = Shop::open(Plan { more, ..Plan::default() })?;
    let told = |view: &Value| {
        view["store"]["upkeep"]["backup"]["failed"]
            .as_str()
            .is_some_and(|why| why.contains("second medium is not there"))
    };
    shop.wait("word of it", told)?;
    ensure!(!gone.exists());
    shop.sell(&[COLA])?;
    Ok(())
}

/// A dead box's sales that headquarters never heard of come along from its disk, WAL and all, and reach it once.
#[test]
fn a_new_box_takes_over_from_a_dead_ones_disk_and_its_unsent_sales_arrive_once() -> Result<()> {
    let (_medium, mut shop) = shop()?;
    shop.sell(&[COLA])?;
    ensure!(totals(&shop)? == [350]);
    shop.kill_hq();
    shop.wait("the box to notice", |view| view["store"]["online"] == false)?;
    shop.sell(&[NOODLES])?;
    shop.basket(&[COLA])?;
    shop.kill();
    let dead = shop.path("dead");
    std::fs::rename(shop.data(), &dead)?;
    let said = finished(&mut restore(&shop, &[Path::new("--from-disk"), &dead]))?;
    ensure!(said.contains("rows are back"), "{said}");
    let key = std::fs::read(dead.join("box.key"))?;
    ensure!(std::fs::read(shop.data().join("box.key"))? == key, "the new box signs as another");
    shop.start()?;
    shop.wait("the devices", |view| view["view"]["devices"][2]["up"] == true)?;
    let view = shop.wait("the basket that was open", |view| e2e::lines(view) == 1)?;
    ensure!(view["view"]["total"] == 350, "{view}");
    // Goods came along: headquarters is still away, and the shop sells.
    ensure!(view["store"]["price_book"] == "pb-1", "{}", view["store"]);
    shop.scan(NOODLES)?;
    shop.wait("goods of the old disk", |view| view["view"]["total"] == 650)?;
    shop.start_hq()?;
    shop.pressed(serde_json::json!({"pay": {"method": "card"}}))?;
    let done = shop.wait("the sale", |view| view["view"]["phase"] == "done")?;
    ensure!(done["view"]["receipt"]["receipt"]["number"] == 3, "{done}");
    ensure!(totals(&shop)? == [300, 350, 650], "headquarters has {:?}", totals(&shop)?);
    Ok(())
}

/// The same where the dead box's disk is damaged as well.
#[test]
fn a_dead_disk_with_a_hole_gives_what_can_be_read() -> Result<()> {
    let (_medium, mut shop) = shop()?;
    shop.sell(&[COLA])?;
    shop.sell(&[NOODLES])?;
    ensure!(totals(&shop)? == [300, 350]);
    shop.stop()?;
    let dead = shop.path("dead");
    std::fs::rename(shop.data(), &dead)?;
    let journal = dead.join("journal.db");
    let mut bytes = std::fs::read(&journal)?;
    let last = bytes.windows(11).rposition(|window| window == b"\"completed\"").context("no sale in the file")?;
    bytes[last + 3] ^= 1;
    std::fs::write(&journal, bytes)?;
    let said = finished(&mut restore(&shop, &[Path::new("--from-disk"), &dead]))?;
    ensure!(said.contains("1 rows could not be read"), "{said}");
    shop.start()?;
    shop.wait("headquarters' word", settled)?;
    shop.wait("the devices", |view| view["view"]["devices"][2]["up"] == true)?;
    ensure!(shop.data().join("catalog.db").exists(), "goods that can be read come along");
    ensure!(shop.sell(&[COLA])?["number"] == 3);
    ensure!(totals(&shop)? == [300, 350, 350]);
    Ok(())
}
