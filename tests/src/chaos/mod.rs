//! Minutes of unplugging, hanging and garbage on every simulated device at once, while the shop sells.

mod faults;
mod floor;
mod ledger;
mod seller;
mod table;
mod witness;

use anyhow::{Context as _, Result, ensure};
use faults::{disturb, look};
use floor::Floor;
use ledger::Ledger;
use seller::Seller;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// After the last fault: everything is back, and the last baskets are sold without disturbance.
const SETTLE: Duration = Duration::from_secs(8);
/// Time for every device to be seen back when the selling ends.
const BACK: Duration = Duration::from_secs(5);
const MEMORY_EVERY: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Of faults.
    pub minutes: f64,
    /// Of nobody doing anything, at the end.
    pub quiet: Duration,
    pub seed: u64,
    /// Times count as promises: on a machine that does nothing else. Without it they are told, and only that all came back counts.
    pub timed: bool,
}

/// Runs the trial, prints its table, and fails where a promise was broken.
///
/// # Errors
/// The first promise that was broken, with what was seen.
pub fn run(plan: Plan) -> Result<()> {
    let begun = Instant::now();
    let (mut floor, ears) = Floor::open()?;
    let sellers: Vec<Seller<'_>> = ears
        .into_iter()
        .map(|(lane, told)| Seller::new(&floor, lane, told, plan.seed + u64::from(lane)))
        .collect::<Result<_>>()?;
    let descriptors = floor.descriptors()?;
    let (faulting, selling, looking) = (AtomicBool::new(false), AtomicBool::new(false), AtomicBool::new(false));
    let seen = std::thread::scope(|scope| -> Result<_> {
        let faults = scope.spawn(|| disturb(&floor, plan.seed, &faulting));
        let looks = scope.spawn(|| look(&floor, &looking));
        let shifts: Vec<_> = sellers.into_iter().map(|seller| scope.spawn(|| seller.sell(&selling))).collect();
        let memory = memory(&floor, Duration::from_secs_f64(plan.minutes * 60.0), || {
            shifts.iter().any(std::thread::ScopedJoinHandle::is_finished)
        });
        faulting.store(true, Ordering::Relaxed);
        let faults = faults.join().ok().context("the hand on the plugs")?;
        std::thread::sleep(SETTLE);
        selling.store(true, Ordering::Relaxed);
        let shifts: Result<Vec<_>> = shifts.into_iter().map(|shift| shift.join().ok().context("a cashier")?).collect();
        // The last payment may have ended by asking a terminal that is only just back.
        let until = Instant::now() + BACK;
        while Instant::now() < until && !floor.up()?.iter().all(|(_, up)| *up) {
            std::thread::sleep(Duration::from_millis(200));
        }
        looking.store(true, Ordering::Relaxed);
        let looks = looks.join().ok().context("the eye on the devices")?;
        Ok((faults, looks, shifts?, memory?))
    });
    let (faults, looks, shifts, memory) = match seen {
        Ok(seen) => seen,
        Err(broken) => {
            let log = floor.stop().unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"));
            return Err(broken);
        }
    };
    let after = floor.descriptors()?;
    let idle = idle(&floor, plan.quiet)?;
    let peak_kb = floor.memory_kb("VmHWM")?;
    let hq = floor.headquarters_has()?;
    let terminals = ledger::terminals(&floor);
    let calm = floor.calm;
    let log = floor.stop()?;
    let books = Ledger { journal: ledger::read(&floor.journal())?, terminals, hq, faults, looks, shifts, calm };
    let figures = table::Figures { memory, peak_kb, idle, descriptors: (descriptors, after), took: begun.elapsed() };
    table::tell(&books, &figures, &plan);
    table::keeps_its_promises(&books, &figures, &log, plan.timed)
}

/// Resident memory while the trial runs, in kB; ends early when a cashier gives up.
fn memory(floor: &Floor, lasts: Duration, ended: impl Fn() -> bool) -> Result<Vec<u64>> {
    let begun = Instant::now();
    let mut seen = Vec::new();
    while begun.elapsed() < lasts && !ended() {
        seen.push(floor.memory_kb("VmRSS")?);
        std::thread::sleep(MEMORY_EVERY);
    }
    Ok(seen)
}

/// Share of one processor the daemon takes while nobody does anything.
fn idle(floor: &Floor, quiet: Duration) -> Result<f64> {
    ensure!(floor.up()?.iter().all(|(_, up)| *up), "not every device is back: {:?}", floor.up());
    // What the last press set in motion comes to rest.
    std::thread::sleep(Duration::from_secs(2));
    let (ticks, begun) = (floor.ticks()?, Instant::now());
    std::thread::sleep(quiet);
    Ok((floor.ticks()? - ticks) as f64 / 100.0 / begun.elapsed().as_secs_f64())
}
