//! The disk of a box that sells: full, read-only, damaged, held up by a reader.

use aisled::client;
use anyhow::{Context as _, Result, ensure};
use e2e::mount::Mount;
use e2e::{COLA, NOODLES, Plan, Shop, finished, lines, program, until};
use serde_json::{Value, json};
use std::os::unix::fs::FileExt as _;

const BALLAST: &str = "[disk]\nballast_kb = 256\n";

fn is_full(view: &Value) -> bool {
    view["store"]["upkeep"]["disk_full"] == true
}

fn is_low(view: &Value) -> bool {
    view["store"]["upkeep"]["disk_low"] == true
}

/// Rows of that kind, such as `device_down`.
fn rows(shop: &Shop, kind: &str) -> Result<usize> {
    let rows = aisled::journal::Reader::open(&shop.journal())?.rows(1, usize::MAX, usize::MAX)?;
    Ok(rows.iter().filter(|row| row.body.contains(&format!("\"{kind}\""))).count())
}

fn alarms(shop: &Shop, kind: &str) -> Result<i64> {
    let db = rusqlite::Connection::open(shop.path("hq/hq.db"))?;
    Ok(db.query_row("SELECT count(*) FROM alarm WHERE kind = ?1", [kind], |row| row.get(0))?)
}

/// A shop whose box has two megabytes.
fn small() -> Result<Option<(tempfile::TempDir, Mount, Shop)>> {
    let folder = tempfile::tempdir()?;
    let Some(mount) = Mount::memory(&folder.path().join("box"), 2048)? else { return Ok(None) };
    let plan = Plan { data: Some(mount.at.clone()), more: BALLAST.into(), ..Plan::default() };
    Ok(Some((folder, mount, Shop::open(plan)?)))
}

fn pay(shop: &Shop) -> Result<Value> {
    shop.pressed(json!({"pay": {"method": "card"}}))?;
    Ok(shop.wait("the sale", |view| view["view"]["phase"] == "done")?["view"]["receipt"]["receipt"].clone())
}

/// R10: before the room kept for sales is touched, what no sale needs is not written: devices, codes nobody knows, snapshots.
/// Everything sells, also to the next shopper.
#[test]
fn as_room_runs_out_telemetry_stops_first_and_everything_sells() -> Result<()> {
    let Some((_folder, mount, shop)) = small()? else { return Ok(()) };
    shop.sell(&[COLA])?;
    // Its plug is out for a moment.
    let unplug = || {
        shop.hand(&shop.printer, json!({"unplug": 800}));
        shop.wait("the printer to go", |view| view["view"]["devices"][3]["up"] == false)?;
        shop.wait("the printer again", |view| view["view"]["devices"][3]["up"] == true)
    };
    let before = rows(&shop, "device_down")?;
    unplug()?;
    let told = rows(&shop, "device_down")?;
    ensure!(told > before, "a device that goes is told while there is room");
    let filler = mount.leave(100)?;
    let view = shop.wait("word of it", |view| is_low(view) || is_full(view))?;
    ensure!(is_low(&view) && !is_full(&view) && mount.at.join("ballast").exists(), "{}", view["store"]["upkeep"]);
    // What the WAL had taken is free again.
    mount.leave(100)?;
    unplug()?;
    shop.scan("6999999999994")?;
    shop.wait("word of a code nobody knows", |view| !view["view"]["notice"].is_null())?;
    ensure!(rows(&shop, "device_down")? == told && rows(&shop, "line_refused")? == 0, "telemetry is written still");
    let receipt = shop.sell(&[COLA, NOODLES])?;
    ensure!(receipt["number"] == 2, "{receipt}");
    ensure!(mount.at.join("ballast").exists(), "a sale took the room that is kept for a full disk");
    ensure!(alarms(&shop, "disk_low")? == 1, "headquarters does not know");
    std::fs::remove_file(filler)?;
    shop.wait("room again", |view| !is_low(view))?;
    unplug()?;
    until("telemetry again", || Ok(rows(&shop, "device_down")? > told))
}

/// R6, R10: a reader that does not end takes all the room there is: as with a full disk the basket is finished.
#[test]
fn a_stuck_reader_on_a_small_disk_ends_as_a_full_disk_does() -> Result<()> {
    let Some((_folder, _mount, shop)) = small()? else { return Ok(()) };
    shop.sell(&[COLA])?;
    let stuck = rusqlite::Connection::open(shop.journal())?;
    stuck.execute_batch("BEGIN")?;
    let _: i64 = stuck.query_row("SELECT count(*) FROM event", [], |row| row.get(0))?;
    shop.basket(&[COLA])?;
    let mut quantity = 1;
    until("the disk to be full", || {
        quantity = quantity % 50 + 1;
        shop.pressed(json!({"set_quantity": {"line": 1, "quantity": quantity}}))?;
        Ok(is_full(&client::get(shop.pages, "/api/view/1")?.1))
    })
    .with_context(|| shop.said().unwrap_or_default())?;
    shop.pressed(json!({"set_quantity": {"line": 1, "quantity": 1}}))?;
    let receipt = pay(&shop)?;
    ensure!(receipt["number"] == 2 && receipt["total"] == 350, "{receipt}");
    stuck.execute_batch("COMMIT")?;
    drop(stuck);
    shop.wait("room again", |view| !is_full(view))?;
    ensure!(shop.sell(&[NOODLES])?["number"] == 3);
    ensure!(shop.sales_at_hq()?.len() == 3);
    Ok(())
}

/// R10: open basket completes, nothing new begins, pages say so, no false success, and all is well when there is room.
#[test]
fn on_a_full_disk_the_open_basket_is_paid_and_the_next_shopper_is_told() -> Result<()> {
    let Some((_folder, mount, shop)) = small()? else { return Ok(()) };
    shop.sell(&[COLA])?;
    shop.basket(&[COLA])?;
    let filler = mount.fill()?;
    // The WAL has room of its own left: the basket grows until it has none.
    let mut quantity = 1;
    until("the disk to be full", || {
        if mount.at.join("ballast").exists() {
            mount.fill()?;
        }
        quantity = quantity % 50 + 1;
        shop.pressed(json!({"set_quantity": {"line": 1, "quantity": quantity}}))?;
        Ok(is_full(&client::get(shop.pages, "/api/view/1")?.1))
    })
    .with_context(|| shop.said().unwrap_or_default())?;
    ensure!(!mount.at.join("ballast").exists(), "the room kept for this was not given up");
    shop.pressed(json!({"set_quantity": {"line": 1, "quantity": 1}}))?;
    shop.scan(NOODLES)?;
    shop.wait("a line more in the basket that was begun", |view| lines(view) == 2)?;
    let receipt = pay(&shop)?;
    ensure!(receipt["total"] == 650 && receipt["number"] == 2, "{receipt}");
    ensure!(shop.captured() == [350, 650], "the terminal captured {:?}", shop.captured());
    shop.scan(COLA)?;
    let told = shop.wait("the next shopper to be told", |view| {
        view["view"]["notice"]["text"]["en"].as_str().is_some_and(|text| text.contains("disk is full"))
    })?;
    ensure!(told["view"]["notice"]["text"]["zh"].as_str().is_some_and(|text| text.contains("存储空间已满")), "{told}");
    ensure!(told["view"]["transaction"].is_null() && lines(&told) == 0, "a basket was begun: {told}");
    std::fs::remove_file(filler)?;
    shop.wait("room again", |view| !is_full(view))?;
    ensure!(mount.at.join("ballast").exists(), "no room is kept for the next time");
    let receipt = shop.sell(&[COLA])?;
    ensure!(receipt["number"] == 3, "{receipt}");
    let totals: Vec<i64> = shop.sales_at_hq()?.iter().filter_map(|sale| sale["total"].as_i64()).collect();
    ensure!(totals.len() == 3 && totals.iter().sum::<i64>() == 1350, "headquarters has {totals:?}");
    finished(program("aisled").arg("verify").arg(shop.journal()))?;
    Ok(())
}

/// R10: what a killed process left in its WAL needs room in the file before anything else can happen.
#[test]
fn a_box_killed_before_its_disk_filled_up_starts_and_finishes_the_basket() -> Result<()> {
    let Some((_folder, mount, mut shop)) = small()? else { return Ok(()) };
    shop.sell(&[COLA])?;
    shop.basket(&[COLA, NOODLES])?;
    shop.kill();
    ensure!(mount.at.join("journal.db-wal").metadata()?.len() > 0, "nothing was left in the WAL");
    let filler = mount.fill()?;
    shop.start()?;
    shop.wait("the devices", |view| view["view"]["devices"][2]["up"] == true)?;
    let view = shop.wait("the basket", |view| lines(view) == 2)?;
    ensure!(is_full(&view), "nobody is told: {view}");
    let receipt = pay(&shop)?;
    ensure!(receipt["total"] == 650 && receipt["number"] == 2, "{receipt}");
    std::fs::remove_file(filler)?;
    shop.wait("room again", |view| !is_full(view))?;
    ensure!(shop.sales_at_hq()?.len() == 2, "headquarters misses a sale");
    Ok(())
}

/// A card that turns read-only under the box: nothing is told as done, the exit says why, and after the repair all is there.
#[test]
fn a_card_that_turns_read_only_ends_the_sale_without_a_false_word() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let Some(mount) = Mount::card(&folder.path().join("box"), 64)? else { return Ok(()) };
    let device = mount.device().context("no device")?;
    let trigger = std::path::Path::new("/sys/fs/ext4").join(device).join("trigger_fs_error");
    let mut shop = Shop::open(Plan { data: Some(mount.at.clone()), ..Plan::default() })?;
    shop.sell(&[COLA])?;
    shop.basket(&[NOODLES])?;
    if let Err(error) = std::fs::write(&trigger, "1") {
        eprintln!("skipped: {}: {error}", trigger.display());
        return Ok(());
    }
    let pressed = shop.press(json!({"set_quantity": {"line": 1, "quantity": 7}}));
    ensure!(!matches!(pressed, Ok((200, _))), "a press on a read-only disk was told as done");
    ensure!(shop.ended()? == Some(74), "{}", shop.said()?);
    ensure!(shop.said()?.contains("cannot be written"), "the log does not say why: {}", shop.said()?);
    let (code, said) = shop.refuses()?;
    ensure!(code == Some(74) && said.contains("box"), "{code:?}: {said}");
    mount.again()?;
    shop.start()?;
    shop.wait("the basket as it was", |view| lines(view) == 1 && view["view"]["total"] == 300)?;
    shop.wait("the devices", |view| view["view"]["devices"][2]["up"] == true)?;
    ensure!(pay(&shop)?["number"] == 2);
    ensure!(shop.sales_at_hq()?.len() == 2, "headquarters misses a sale");
    Ok(())
}

/// R8: the damaged file is put aside, what can be read is kept, the shop sells, headquarters gives back what it has.
#[test]
fn a_journal_with_a_destroyed_page_is_salvaged_the_shop_sells_and_headquarters_fills_the_gap() -> Result<()> {
    let mut shop = Shop::open(Plan::default())?;
    for _ in 0..4 {
        shop.sell(&[COLA, NOODLES])?;
    }
    ensure!(shop.sales_at_hq()?.len() == 4);
    shop.stop()?;
    destroy(&shop)?;
    let before = std::fs::read(shop.journal())?;
    shop.start()?;
    shop.wait("the devices", |view| view["view"]["devices"][2]["up"] == true)?;
    ensure!(shop.said()?.contains("salvaged"), "nobody noticed: {}", shop.said()?);
    let aside = std::fs::read_dir(shop.data().join("quarantine"))?.next().context("nothing was put aside")??;
    ensure!(std::fs::read(aside.path())? == before, "the damaged file was changed");
    shop.wait("headquarters' word on what was lost", |view| {
        view["store"]["online"] == true && view["store"]["upkeep"]["unsettled"].is_null()
    })?;
    let receipt = shop.sell(&[COLA])?;
    ensure!(receipt["number"] == 5, "a number was given twice or left out: {receipt}");
    let mut totals: Vec<i64> = shop.sales_at_hq()?.iter().filter_map(|sale| sale["total"].as_i64()).collect();
    totals.sort_unstable();
    ensure!(totals == [350, 650, 650, 650, 650], "headquarters has {totals:?}");
    let (_, login) = client::post(shop.pages, "/api/staff/login", None, &json!({"pin": e2e::PIN}))?;
    ensure!(login["ok"] == true);
    finished(program("aisled").arg("verify").arg(shop.journal()))?;
    // The perpetual total is that of all five sales: what was lost came back.
    shop.staff(json!({"day_close": {}}))?;
    let rows = finished(program("aisled").arg("export").arg(shop.journal()))?;
    ensure!(rows.contains(r#"\"perpetual\":2950"#), "the sum of all sales is another");
    Ok(())
}

/// R8: a bit that turned in a row older than the latest snapshot is none a start looks at. The weekly look finds it, the process
/// ends, and the next start salvages.
#[test]
fn a_bit_that_turned_in_an_old_row_is_found_by_the_weekly_look_and_the_row_comes_back_from_headquarters() -> Result<()>
{
    let mut shop = Shop::open(Plan::default())?;
    shop.sell(&[COLA, NOODLES])?;
    shop.sell(&[COLA])?;
    shop.pressed(json!({"next": {}}))?;
    // The end of the day leaves a snapshot.
    shop.staff(json!({"day_close": {}}))?;
    shop.sell(&[NOODLES])?;
    ensure!(shop.sales_at_hq()?.len() == 3);
    shop.stop()?;
    turn_a_bit(&shop)?;
    let seen = std::fs::File::create(shop.data().join("journal.seen"))?;
    shop.start()?;
    shop.wait("the devices", |view| view["view"]["devices"][2]["up"] == true)?;
    ensure!(shop.sell(&[COLA])?["number"] == 4, "a start looks at what came after the snapshot only");
    ensure!(shop.sales_at_hq()?.len() == 4);
    shop.stop()?;
    seen.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(8 * 24 * 3600))?;
    let started = shop.start();
    ensure!(shop.ended()? != Some(0), "the weekly look found nothing: {started:?}");
    ensure!(shop.said()?.contains("the journal is damaged"), "{}", shop.said()?);
    shop.start()?;
    shop.wait("headquarters' word on what was lost", |view| {
        view["store"]["online"] == true && view["store"]["upkeep"]["unsettled"].is_null()
    })?;
    ensure!(shop.data().join("quarantine").is_dir(), "nothing was put aside");
    shop.wait("the devices", |view| view["view"]["devices"][2]["up"] == true)?;
    ensure!(shop.sell(&[COLA])?["number"] == 5);
    ensure!(shop.sales_at_hq()?.len() == 5);
    finished(program("aisled").arg("verify").arg(shop.journal()))?;
    ensure!(rows(&shop, "refilled")? >= 1, "the row that was lost did not come back");
    Ok(())
}

/// In the first row of a sale there is; what pages keep of rows that were moved does not count.
fn turn_a_bit(shop: &Shop) -> Result<()> {
    let bytes = std::fs::read(shop.journal())?;
    let needle = br#""basket":{"completed":{"transaction":"#;
    let file = std::fs::File::options().write(true).open(shop.journal())?;
    for at in (0..bytes.len()).filter(|at| bytes[*at..].starts_with(needle)).map(|at| at + needle.len() + 3) {
        file.write_all_at(&[bytes[at] ^ 1], u64::try_from(at)?)?;
        if finished(program("aisled").arg("verify").arg(shop.journal())).is_err() {
            return Ok(());
        }
        file.write_all_at(&[bytes[at]], u64::try_from(at)?)?;
    }
    anyhow::bail!("no row of the journal was hit")
}

/// Overwrites a page of rows in the middle of the journal.
fn destroy(shop: &Shop) -> Result<()> {
    let path = shop.journal();
    let bytes = std::fs::read(&path)?;
    let page = 4096;
    let needle = br#""event":{"basket":{"completed""#;
    let pages = (1..bytes.len() / page).filter(|nth| {
        let page = &bytes[nth * page..(nth + 1) * page];
        page[0] == 13 && page.windows(needle.len()).any(|window| window == needle)
    });
    let pages: Vec<usize> = pages.collect();
    let at = pages[pages.len() / 2] * page;
    std::fs::File::options().write(true).open(&path)?.write_all_at(&[0xA5; 4096], u64::try_from(at)?)?;
    Ok(())
}

/// R8: nothing of the file can be read, and the shop opens all the same.
#[test]
fn a_journal_that_is_no_database_any_more_is_put_aside_and_numbers_go_on_behind_headquarters() -> Result<()> {
    let mut shop = Shop::open(Plan::default())?;
    shop.sell(&[COLA])?;
    shop.sell(&[NOODLES])?;
    ensure!(shop.sales_at_hq()?.len() == 2);
    shop.stop()?;
    std::fs::write(shop.journal(), vec![0xA5; 64 * 1024])?;
    shop.start()?;
    shop.wait("headquarters' word", |view| {
        view["store"]["online"] == true && view["store"]["upkeep"]["unsettled"].is_null()
    })?;
    shop.wait("the devices", |view| view["view"]["devices"][2]["up"] == true)?;
    let receipt = shop.sell(&[COLA])?;
    ensure!(receipt["number"] == 3, "{receipt}");
    ensure!(shop.sales_at_hq()?.len() == 3);
    Ok(())
}

/// R6: a reader that does not end keeps the WAL from beginning anew. Past a bound the desk and headquarters are told, and only
/// what sales need is written; everybody is served; it stays within what is sold meanwhile, and is cut back after.
#[test]
fn a_stuck_reader_is_told_costs_what_is_sold_meanwhile_and_nothing_after() -> Result<()> {
    let shop = Shop::open(Plan { more: "[disk]\nwal_kb = 5120\n".into(), ..Plan::default() })?;
    shop.sell(&[COLA])?;
    let stuck = rusqlite::Connection::open(shop.journal())?;
    stuck.execute_batch("BEGIN")?;
    let seen: i64 = stuck.query_row("SELECT count(*) FROM event", [], |row| row.get(0))?;
    let wal = || Ok::<_, std::io::Error>(shop.data().join("journal.db-wal").metadata()?.len());
    shop.basket(&[COLA])?;
    let (first, mut presses) = (wal()?, 0_u64);
    // Past the point where the WAL would have begun anew, at a thousand pages.
    while wal()? < 6 * 1024 * 1024 {
        presses += 1;
        shop.pressed(json!({"set_quantity": {"line": 1, "quantity": presses % 50 + 1}}))?;
        ensure!(presses < 4_000, "the WAL does not grow: is the reader stuck?");
    }
    ensure!((wal()? - first) / presses < 32 * 1024, "{} bytes for each press", (wal()? - first) / presses);
    let held = |view: &Value| view["store"]["upkeep"]["wal_held"].is_u64();
    shop.wait("word of the reader", held)?;
    ensure!(shop.said()?.contains("does not end"), "the log does not say what to close");
    pay(&shop)?;
    ensure!(shop.sell(&[NOODLES])?["number"] == 3, "the next shopper is served");
    shop.basket(&[COLA])?;
    until("headquarters' alarm", || Ok(alarms(&shop, "wal_held")? == 1))?;
    let still: i64 = stuck.query_row("SELECT count(*) FROM event", [], |row| row.get(0))?;
    ensure!(still == seen, "the reader was not stuck");
    stuck.execute_batch("COMMIT")?;
    drop(stuck);
    shop.wait("the WAL to be let go", |view| !held(view))?;
    let ended = wal()?;
    ensure!(ended < 2 * 1024 * 1024, "the WAL is not cut back: {ended} bytes");
    for press in 0..1_500 {
        shop.pressed(json!({"set_quantity": {"line": 1, "quantity": press % 50 + 1}}))?;
    }
    ensure!(wal()? <= ended.max(8 * 1024 * 1024), "the WAL grows on though nobody holds it up: {} bytes", wal()?);
    Ok(())
}
