//! R13: headquarters is away for a week of busy days, and then takes them all in.

use aisled::client;
use aisled::journal::{Journal, Reader};
use anyhow::{Context as _, Result, ensure};
use checkout::event::Record;
use e2e::{COLA, NOODLES, Plan, Shop};
use std::time::{Duration, Instant};

const BASKETS: u64 = 7 * 2_000;
/// What the box may need for it, whatever waits: a debug build's, with the fold of the week.
const MEMORY_KB: u64 = 96 * 1024;

#[test]
fn a_week_of_two_thousand_baskets_a_day_arrives_whole_and_in_bounded_memory() -> Result<()> {
    let mut shop = Shop::open(Plan::default())?;
    shop.sell(&[COLA, NOODLES])?;
    ensure!(shop.sales_at_hq()?.len() == 1);
    shop.stop()?;
    shop.kill_hq();
    let rows = a_week(&shop)?;
    shop.start_hq()?;
    let begun = Instant::now();
    shop.start()?;
    loop {
        let (_, view) = client::get(shop.pages, "/api/view/1")?;
        if view["store"]["online"] == true && view["store"]["backlog"] == 0 {
            break;
        }
        ensure!(begun.elapsed() < Duration::from_secs(180), "still waiting: {}", view["store"]);
        std::thread::sleep(Duration::from_millis(100));
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", shop.pid()))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let peak: u64 = peak.trim().trim_end_matches("kB").trim().parse()?;
    eprintln!("{rows} rows of {BASKETS} baskets in {:.1?}, the box at {peak} kB at most", begun.elapsed());
    ensure!(peak <= MEMORY_KB, "the box took {peak} kB");
    let db = rusqlite::Connection::open(shop.path("hq/hq.db"))?;
    let counted = "SELECT count(*), count(DISTINCT receipt_no), sum(total) FROM sale";
    let (sales, numbers, total): (u64, u64, u64) =
        db.query_row(counted, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    ensure!((sales, numbers, total) == (BASKETS + 1, BASKETS + 1, 650 * (BASKETS + 1)), "{sales} {numbers} {total}");
    Ok(())
}

/// Sells the basket that was sold again and again, on a box nobody hears; how many rows that are.
fn a_week(shop: &Shop) -> Result<u64> {
    let reader = Reader::open(&shop.journal())?;
    let bodies: Vec<String> = reader.rows(1, usize::MAX, usize::MAX)?.into_iter().map(|row| row.body).collect();
    drop(reader);
    let first = bodies.iter().position(|body| body.contains("\"basket\":{\"started\"")).context("no basket")?;
    let last = bodies.iter().rposition(|body| body.contains("receipt_printed")).context("no receipt")?;
    let sale: Vec<&String> = bodies[first..=last].iter().filter(|body| !body.contains("\"store\":")).collect();
    let id = sale[0].split('"').rev().nth(1).context("no transaction")?.to_owned();
    let mut journal = Journal::open(&shop.journal())?;
    let before = journal.head();
    let mut records = Vec::new();
    for nth in 0..BASKETS {
        for body in &sale {
            let body = body
                .replace(&id, &format!("{id}-{nth}"))
                .replace("\"receipt\":1,", &format!("\"receipt\":{},", nth + 2));
            records.push(serde_json::from_str::<Record>(&body)?);
        }
        if records.len() >= 2_000 || nth + 1 == BASKETS {
            journal.commit(&std::mem::take(&mut records), None, None)?;
        }
    }
    Ok(journal.head() - before)
}
