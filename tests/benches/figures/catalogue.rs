//! catalogue_load and catalogue_lookup: a million goods built the way they arrive, against `sqlite3 .import`; then looked up one by one.

use crate::place::Place;
use crate::progress;
use crate::report::{Budget, Figure, Sample, median};
use crate::store::{Assortment, arrive};
use aisled::catalog::{SqliteCatalog, file};
use anyhow::{Context, Result, ensure};
use checkout::catalog::Catalog as _;
use checkout::words::{ItemKey, Money};
use rusqlite::Connection;
use serde_json::json;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const GOODS: Assortment = Assortment { items: 1_000_000 };
const ROUNDS: usize = 3;
const LOOKUPS: u64 = 20_000;
const LOOKUP_US: f64 = 20.0;

pub fn measure(place: &Place) -> Result<[Figure; 2]> {
    progress(&format!("catalogue: {} goods built, each time beside sqlite3 .import", GOODS.items));
    let folder = place.folder("catalogue")?;
    let (rows, csv) = (GOODS.rows(), folder.join("goods.csv"));
    std::fs::write(&csv, GOODS.csv())?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let fetch = arrive(&folder, &rows)?;
        settled()?;
        let begun = Instant::now();
        fetch.build(&folder, None)?;
        ours.push(begun.elapsed().as_secs_f64() * 1e3);
        settled()?;
        theirs.push(import(&folder.join("import.db"), &csv)?.as_secs_f64() * 1e3);
    }
    let lookups = lookups(&folder)?;
    let bytes = std::fs::metadata(file(&folder, "catalogue"))?.len();
    let value = median(&ours);
    Ok([
        Figure {
            name: "catalogue_load",
            value,
            unit: "ms",
            ratio: value / median(&theirs),
            budget: Budget::AtMost(1.25),
            against: "sqlite3 .import of the same rows as CSV, both ending on disk".into(),
            more: json!({"items": GOODS.items, "import_ms": median(&theirs).round(), "rounds": ROUNDS, "bytes": bytes}),
        },
        Figure {
            name: "catalogue_lookup",
            value: lookups.at(50.0),
            unit: "µs",
            ratio: lookups.at(50.0) / LOOKUP_US,
            budget: Budget::AtMost(1.0),
            against: format!("{LOOKUP_US} µs, {} items, random keys, none twice", GOODS.items),
            more: json!({"p99": lookups.at(99.0), "lookups": lookups.len()}),
        },
    ])
}

/// What another program left to be written does not count as either's.
fn settled() -> Result<()> {
    ensure!(Command::new("sync").status()?.success(), "sync failed");
    Ok(())
}

/// The shell's own default journal and `synchronous = FULL`: it ends when the rows are on disk.
fn import(db: &Path, csv: &Path) -> Result<Duration> {
    let _ = std::fs::remove_file(db);
    let begun = Instant::now();
    let mut shell = Command::new("sqlite3")
        .args(["-bail", "-batch"])
        .arg(db)
        .stdin(Stdio::piped())
        .spawn()
        .context("there is no sqlite3: `make bench` installs it")?;
    let table = "CREATE TABLE item (key TEXT PRIMARY KEY, name_zh TEXT, name_en TEXT, price INTEGER, tax_bp INTEGER, grp TEXT) WITHOUT ROWID;";
    let mut stdin = shell.stdin.take().context("no input")?;
    writeln!(stdin, "{table}\n.import --csv {} item", csv.display())?;
    drop(stdin);
    ensure!(shell.wait()?.success(), "sqlite3 could not import");
    let took = begun.elapsed();
    let rows: u64 = Connection::open(db)?.query_row("SELECT count(*) FROM item", [], |row| row.get(0))?;
    ensure!(rows == GOODS.items, "sqlite3 imported {rows} rows");
    Ok(took)
}

/// Every key once and far from the one before: nothing kept from an earlier lookup helps.
fn lookups(data: &Path) -> Result<Sample> {
    let catalog = SqliteCatalog::open(data);
    let step = GOODS.items / LOOKUPS * 7 + 1;
    let mut took = Vec::new();
    for nth in (1..=LOOKUPS).map(|n| n * step * 2_654_435_761 % GOODS.items) {
        let key = ItemKey(GOODS.key(nth));
        let begun = Instant::now();
        let item = catalog.item(&key);
        took.push(begun.elapsed());
        let price = i64::try_from(Assortment::price(nth))?;
        ensure!(item.is_some_and(|item| item.price == Money(price)), "{key} has another price");
    }
    Ok(Sample::of(&took))
}
