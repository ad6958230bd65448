//! cold_start and memory: from starting the process to the first scan sold, over a full journal and a large catalogue.

use crate::place::Place;
use crate::progress;
use crate::report::{Budget, Figure, median};
use crate::store::{self, Assortment, Daemon};
use aisled::client;
use aisled::clock::utc;
use aisled::config::Config;
use aisled::core_loop::replay;
use aisled::journal::Journal;
use anyhow::{Result, ensure};
use checkout::device::{DeviceEvent, Scan};
use checkout::page::{PageRequest, StaffRequest};
use checkout::words::{LaneId, Money, Mono, Now, RequestId, Role, StaffId};
use checkout::{Input, Step};
use serde_json::json;
use std::net::SocketAddr;
use std::path::Path;

const GOODS: Assortment = Assortment { items: 500_000 };
const ROWS: u64 = 1_000_000;
pub const LANES: u16 = 4;
/// Lines of one basket; then it is paid in cash.
const BASKET: u64 = 20;
const STARTS: usize = 5;
/// After the first scan, before memory is read.
const SCANS: u64 = 2_000;
const START_MS: f64 = 2000.0;
const MEMORY_MB: f64 = 40.0;

pub fn measure(place: &Place) -> Result<[Figure; 2]> {
    progress(&format!("cold_start: a journal of {ROWS} rows, a catalogue of {} goods", GOODS.items));
    let data = place.folder("start")?;
    store::arrive(&data, &GOODS.rows())?.build(&data, None)?;
    let listen = store::free()?;
    let text = store::config(&data, listen, &vec![Some("serial:/dev/null".to_owned()); LANES.into()])?;
    let rows = fill(&data, &Config::parse(&text)?, GOODS, ROWS)?;
    // The scanners were for the filling: a start is not to wait for lines that are not there.
    let text = store::config(&data, listen, &vec![None; LANES.into()])?;
    let (mut starts, mut peaks) = (Vec::new(), Vec::new());
    for round in 0..STARTS {
        let daemon = Daemon::start(place, &data, &text)?;
        scan(listen, 0)?;
        starts.push(daemon.begun.elapsed().as_secs_f64() * 1e3);
        for nth in 0..if round + 1 == STARTS { SCANS } else { 1 } {
            scan(listen, nth * 7_919 % GOODS.items)?;
        }
        peaks.push(daemon.peak_memory()? as f64 / (1024.0 * 1024.0));
    }
    let whole = without_snapshots(place, &data, &text, listen)?;
    let (value, peak) = (median(&starts), peaks.iter().copied().fold(0.0, f64::max));
    Ok([
        Figure {
            name: "cold_start",
            value,
            unit: "ms",
            ratio: value / START_MS,
            budget: Budget::AtMost(1.0),
            against: format!("{START_MS} ms to the first scan sold, {rows} rows and {} items", GOODS.items),
            more: json!({"rows": rows, "items": GOODS.items, "starts": STARTS, "without_a_snapshot_ms": whole.round()}),
        },
        Figure {
            name: "memory",
            value: peak,
            unit: "MB",
            ratio: peak / MEMORY_MB,
            budget: Budget::AtMost(1.0),
            against: format!("{MEMORY_MB} MB, the most the same process ever had (VmHWM)"),
            more: json!({"scans": SCANS, "starts": STARTS}),
        },
    ])
}

/// A scan on a page, answered when it is on disk; every basket is paid.
pub fn scan(address: SocketAddr, nth: u64) -> Result<()> {
    let (status, answer) = client::post(address, "/api/lane/1", None, &json!({"key": {"code": GOODS.key(nth)}}))?;
    ensure!(status == 200, "a scan was refused: {answer}");
    Ok(())
}

/// What the first start after an update takes: its code has never folded this journal.
fn without_snapshots(place: &Place, data: &Path, text: &str, listen: SocketAddr) -> Result<f64> {
    rusqlite::Connection::open(data.join("journal.db"))?.execute("DELETE FROM snapshot", [])?;
    let daemon = Daemon::start(place, data, text)?;
    scan(listen, 0)?;
    Ok(daemon.begun.elapsed().as_secs_f64() * 1e3)
}

/// Sells on four lanes until the journal has `rows`, with snapshots where the core loop keeps them; returns how many it has.
pub fn fill(data: &Path, config: &Config, goods: Assortment, rows: u64) -> Result<u64> {
    let mut journal = Journal::open(&data.join("journal.db"))?;
    let mut shop = replay(&mut journal, config.store()?)?;
    let catalog = aisled::catalog::SqliteCatalog::open(data);
    let (mut step, mut nth) = (Step::default(), 0);
    // The last snapshot is nearly as old as it gets: what comes after it is replayed.
    while journal.head() < rows || !journal.snapshot_due(3 * TURN) {
        for lane in 1..=LANES {
            let now = Now { mono: Mono(nth), utc: utc(), offset_min: 480 };
            shop.step(now, input(goods, lane, nth), &catalog, &mut step);
        }
        nth += 1;
        step.effects.clear();
        if step.events.len() >= TURN {
            let fold = journal.snapshot_due(step.events.len()).then(|| shop.facts());
            journal.commit(&step.events, None, fold)?;
            step.events.clear();
        }
    }
    Ok(journal.head())
}

/// Events of one commit: more than in a shop, so that filling does not take all day.
const TURN: usize = 1000;

fn input(goods: Assortment, lane: u16, nth: u64) -> Input {
    if nth % (BASKET + 1) == BASKET {
        let request = StaffRequest::TakeCash { given: Money(10_000_000), amount: None };
        let what = PageRequest::Staff { staff: StaffId("s-01".into()), role: Role::Manager, request };
        return Input::Page { lane: LaneId(lane), request: RequestId(0), what };
    }
    let data = goods.key((nth * 4 + u64::from(lane)) * 7_919 % goods.items).into_bytes();
    let event = DeviceEvent::Scan(Scan { aim: None, data });
    Input::Device { device: format!("scanner-{lane}").as_str().into(), event }
}
