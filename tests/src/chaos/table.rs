//! What the trial says, and what it insists on.

use super::Plan;
use super::faults::What;
use super::ledger::{Ledger, RECOVERY};
use anyhow::{Result, ensure};
use std::collections::BTreeMap;
use std::time::Duration;

/// A lane nobody disturbs sells a line at least this often, payments and paper included.
const GAP: Duration = Duration::from_secs(6);
/// On a machine with other work a device may take longer to come back, but not for ever.
const BACK: Duration = Duration::from_secs(60);
const IDLE: f64 = 0.01;
/// What a journal and its pages may add in such a trial.
const GROWTH_KB: u64 = 16 * 1024;

#[derive(Debug)]
pub(crate) struct Figures {
    /// Resident, in kB, from start to end.
    pub(crate) memory: Vec<u64>,
    pub(crate) peak_kb: u64,
    pub(crate) idle: f64,
    pub(crate) descriptors: (usize, usize),
    pub(crate) took: Duration,
}

impl Figures {
    /// Medians of the second and the last fifth: the first fills caches.
    fn memory_kb(&self) -> (u64, u64) {
        let fifth = (self.memory.len() / 5).max(1);
        let median = |part: &[u64]| {
            let mut part = part.to_vec();
            part.sort_unstable();
            part.get(part.len() / 2).copied().unwrap_or(0)
        };
        (
            median(self.memory.get(fifth..2 * fifth).unwrap_or_default()),
            median(self.memory.rchunks(fifth).next().unwrap_or_default()),
        )
    }
}

#[expect(clippy::print_stdout, reason = "the table is what the person at the terminal asked for")]
pub(crate) fn tell(books: &Ledger, figures: &Figures, plan: &Plan) {
    let sum = |of: fn(&super::seller::Shift) -> usize| books.shifts.iter().map(of).sum::<usize>();
    let (lost, doubled) = books.lost_and_doubled();
    let (early, late) = figures.memory_kb();
    let mut kinds: BTreeMap<What, Vec<Duration>> = BTreeMap::new();
    for (fault, took) in books.recoveries() {
        kinds.entry(fault.what).or_default().push(took);
    }
    let lanes = books.shifts.len();
    println!("\n  {:.1} minutes of faults, {lanes} lanes, seed {}", plan.minutes, plan.seed);
    println!("  faults             {:>7}   of {} devices", books.faults.len(), disturbed(books));
    for (what, took) in kinds {
        println!("    {:<16} {:>7}   seen back after {}", format!("{what:?}").to_lowercase(), took.len(), spread(took));
    }
    println!("    first good use           after {}", spread(books.first_uses()));
    println!(
        "  uses 5 s after a fault that failed {:>4} of {}",
        books.failed_uses().len(),
        sum(|shift| shift.uses.len())
    );
    println!(
        "  scans              {:>7}   whole {}, lost {}, doubled {}",
        sum(|shift| shift.scans.len()),
        books.whole(),
        lost.len(),
        doubled.len()
    );
    println!(
        "  typed by hand      {:>7}   resolved by staff {}",
        sum(|shift| shift.typed),
        sum(|shift| shift.resolved)
    );
    println!(
        "  sales              {:>7}   in cash {}, rows in the journal {}",
        books.journal.sales,
        sum(|shift| shift.cash),
        books.journal.rows
    );
    println!("  sum of sales       {:>7}   headquarters {} in {}", books.journal.total, books.hq.1, books.hq.0);
    println!(
        "  taken by card      {:>7}   by the terminals' memory {}",
        total(&books.journal.cards),
        total(&books.terminals)
    );
    println!(
        "  longest gap        {:>6.1} s on the calm lane, {:.1} s elsewhere",
        books.longest_gap(|lane| lane == books.calm).as_secs_f64(),
        books.longest_gap(|lane| lane != books.calm).as_secs_f64()
    );
    println!("  memory             {early:>7} kB early, {late} kB late, {} kB at most", figures.peak_kb);
    println!("  open descriptors   {:>7}   before, {} after", figures.descriptors.0, figures.descriptors.1);
    println!("  idle               {:>6.2} % of a processor, all devices connected", figures.idle * 100.0);
    println!("  in all             {:>7} s\n", figures.took.as_secs());
}

fn disturbed(books: &Ledger) -> usize {
    books.faults.iter().map(|fault| &fault.device).collect::<std::collections::BTreeSet<_>>().len()
}

fn total(by_lane: &BTreeMap<u16, Vec<i64>>) -> i64 {
    by_lane.values().flatten().sum()
}

fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |percent: usize| {
        times
            .get((times.len() * percent / 100).min(times.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
            .as_secs_f64()
    };
    format!("p50 {:.1} s, p90 {:.1} s, p99 {:.1} s, max {:.1} s", at(50), at(90), at(99), at(100))
}

/// # Errors
/// Every promise that was broken.
pub(crate) fn keeps_its_promises(books: &Ledger, figures: &Figures, log: &str, timed: bool) -> Result<()> {
    let mut broken = sums(books);
    let mut insist = |holds: bool, otherwise: String| {
        if !holds {
            broken.push(otherwise);
        }
    };
    let (lost, doubled) = books.lost_and_doubled();
    insist(lost.is_empty(), format!("scans were lost: {lost:?}"));
    insist(doubled.is_empty(), format!("scans were doubled: {doubled:?}"));
    insist(books.invented().is_empty(), format!("nobody scanned {:?}", books.invented()));
    let patience = if timed { RECOVERY } else { BACK };
    for (fault, took) in books.recoveries() {
        insist(took <= patience, format!("{} needed {took:?} after {:?}", fault.device, fault.what));
    }
    if timed {
        let failed = books.failed_uses();
        insist(failed.is_empty(), format!("not at work 5 s after a fault: {failed:#?}"));
        let gap = books.longest_gap(|lane| lane == books.calm);
        insist(gap <= GAP, format!("the calm lane stood still for {gap:?}"));
        insist(figures.idle <= IDLE, format!("{:.2} % of a processor for nothing", figures.idle * 100.0));
    }
    let (early, late) = figures.memory_kb();
    insist(late <= early + GROWTH_KB, format!("memory grew from {early} to {late} kB"));
    let (before, after) = figures.descriptors;
    insist(after <= before + 2, format!("{before} descriptors were open, then {after}"));
    let bugs: Vec<&str> = log.lines().filter(|line| line.contains("ERROR") || line.contains("panicked")).collect();
    insist(bugs.is_empty(), format!("the log tells of bugs: {bugs:#?}"));
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
    ensure!(broken.is_empty(), "{}\n{}", warnings.join("\n"), broken.join("\n"));
    Ok(())
}

/// Where terminals, journal, headquarters and cashiers disagree.
fn sums(books: &Ledger) -> Vec<String> {
    let mut broken = Vec::new();
    for (lane, cards) in &books.terminals {
        let sold = books.journal.cards.get(lane).cloned().unwrap_or_default();
        if *cards != sold {
            broken.push(format!("lane {lane}: the terminal took {cards:?}, the journal says {sold:?}"));
        }
    }
    if books.hq != (books.journal.sales, books.journal.total) {
        broken.push(format!(
            "headquarters has {:?}, the journal {:?}",
            books.hq,
            (books.journal.sales, books.journal.total)
        ));
    }
    let told: i64 = books.shifts.iter().flat_map(|shift| &shift.sales).map(|(_, total)| total).sum();
    if told != books.journal.total {
        broken.push(format!("cashiers sold {told}, the journal says {}", books.journal.total));
    }
    broken
}
