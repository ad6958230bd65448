//! The books of a trial, and what follows from them.

use super::faults::{Fault, Look};
use super::floor::{Floor, goods};
use super::seller::{Shift, captured};
use aisled::journal::Reader;
use anyhow::{Context as _, Result};
use drivers::Kind;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// A device that is plugged in again is at work within five seconds.
pub(crate) const RECOVERY: Duration = Duration::from_secs(5);
/// Bytes on their way when the plug is pulled, and half a code before one that is whole.
const BEFORE: Duration = Duration::from_millis(150);

#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) rows: u64,
    /// How often each code became a line.
    pub(crate) lines: BTreeMap<String, usize>,
    pub(crate) refused: usize,
    pub(crate) sales: i64,
    pub(crate) total: i64,
    /// Taken by card, by lane.
    pub(crate) cards: BTreeMap<u16, Vec<i64>>,
}

#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) journal: Journal,
    /// What each terminal holds, by lane.
    pub(crate) terminals: BTreeMap<u16, Vec<i64>>,
    pub(crate) hq: (i64, i64),
    pub(crate) faults: Vec<Fault>,
    pub(crate) looks: Vec<Look>,
    pub(crate) shifts: Vec<Shift>,
    pub(crate) calm: u16,
}

pub(crate) fn terminals(floor: &Floor) -> BTreeMap<u16, Vec<i64>> {
    let terminals = floor.devices.iter().filter(|device| device.spec.kind == Kind::Terminal);
    terminals.map(|terminal| (terminal.lane, sorted(captured(&terminal.running.state())))).collect()
}

fn sorted(mut amounts: Vec<i64>) -> Vec<i64> {
    amounts.sort_unstable();
    amounts
}

pub(crate) fn read(path: &Path) -> Result<Journal> {
    let mut journal = Journal::default();
    let reader = Reader::open(path)?;
    journal.rows = reader.verify()?;
    for row in reader.rows(1, usize::MAX, usize::MAX)? {
        let row: Value = serde_json::from_str(&row.body)?;
        let basket = &row["event"]["basket"];
        if let Some(key) = basket["line_added"]["key"].as_str() {
            *journal.lines.entry(key.to_owned()).or_default() += 1;
        }
        journal.refused += usize::from(!basket["line_refused"].is_null());
        let sale = &basket["completed"];
        if sale.is_null() {
            continue;
        }
        let lane = row["lane"].as_u64().and_then(|lane| u16::try_from(lane).ok()).context("a sale without a lane")?;
        journal.sales += 1;
        journal.total += sale["total"].as_i64().context("a sale without a total")?;
        let tenders = sale["tenders"].as_array().map(Vec::as_slice).unwrap_or_default();
        let cards = tenders.iter().filter(|tender| tender["kind"] == "card").filter_map(|card| card["amount"].as_i64());
        journal.cards.entry(lane).or_default().extend(cards);
    }
    for amounts in journal.cards.values_mut() {
        amounts.sort_unstable();
    }
    Ok(journal)
}

impl Ledger {
    /// How long after its end each fault was over for the daemon, as far as it told. A payment that was under way is given
    /// the time its protocol gives it: there the clock starts when the terminal was given up.
    pub(crate) fn recoveries(&self) -> Vec<(&Fault, Duration)> {
        let over = |fault: &Fault| {
            let back = self.back(fault);
            let until = self.next(fault);
            let mut downs = self.looks.iter().rev().filter(|(at, device, up)| {
                !up && *device == fault.device
                    && *at > fault.start
                    && *at < back
                    && until.is_none_or(|until| *at < until)
            });
            let given_up = downs.next().map(|(at, ..)| *at).filter(|_| fault.device.starts_with("terminal"));
            back.saturating_duration_since(given_up.map_or(fault.end, |at| at.max(fault.end)))
        };
        self.faults.iter().map(|fault| (fault, over(fault))).collect()
    }

    /// When the device was seen at work for good, until its next fault.
    fn back(&self, fault: &Fault) -> Instant {
        let until = self.next(fault);
        let mut changes = self.looks.iter().rev().filter(|(at, device, _)| {
            *device == fault.device && *at > fault.start && until.is_none_or(|until| *at < until)
        });
        match changes.next() {
            // Down until the next fault: it never came back.
            Some((at, _, false)) => until.unwrap_or(*at + Duration::from_secs(3600)),
            Some((at, _, true)) => *at,
            None => fault.end,
        }
    }

    fn next(&self, fault: &Fault) -> Option<Instant> {
        let later = self.faults.iter().filter(|other| other.device == fault.device && other.start > fault.start);
        later.map(|other| other.start).min()
    }

    /// Uses begun when the device had had its five seconds, ended before its next fault, and that still came to nothing.
    pub(crate) fn failed_uses(&self) -> Vec<String> {
        let mut failed = Vec::new();
        for used in self.shifts.iter().flat_map(|shift| &shift.uses).filter(|used| !used.good) {
            let of = self.faults.iter().filter(|fault| fault.device == used.device);
            let during = of.clone().find(|fault| used.ended > fault.start && used.begun < fault.end + RECOVERY);
            if during.is_none() {
                let last = of.filter(|fault| fault.end < used.begun).max_by_key(|fault| fault.end);
                let since = last.map(|fault| (fault.what, used.begun - fault.end, used.ended - used.begun));
                let at = self.faults.first().map(|first| used.begun.saturating_duration_since(first.start));
                failed.push(format!("{}: {since:?} at {at:?}", used.device));
            }
        }
        failed
    }

    /// How long after each fault's end the device first did what was asked of it, where somebody asked in time.
    pub(crate) fn first_uses(&self) -> Vec<Duration> {
        let first = |fault: &Fault| {
            let until = self.next(fault);
            let uses = self.shifts.iter().flat_map(|shift| &shift.uses);
            let good = uses.filter(|used| used.device == fault.device && used.good && used.ended > fault.end);
            let first = good.map(|used| used.ended).min()?;
            until.is_none_or(|until| first < until).then(|| first - fault.end)
        };
        self.faults.iter().filter_map(first).collect()
    }

    /// Scans that went out whole over a line that was well, and are not one line in the journal; and codes that became
    /// more than one line, whatever happened to them.
    pub(crate) fn lost_and_doubled(&self) -> (Vec<String>, Vec<String>) {
        let of = |code: &str| self.journal.lines.get(code).copied().unwrap_or(0);
        let scans = || self.shifts.iter().flat_map(|shift| &shift.scans);
        let well = |device: &str, at: Instant| {
            let mut faults = self.faults.iter().filter(|fault| fault.device == device);
            !faults.any(|fault| at + BEFORE > fault.start && at < self.back(fault).max(fault.end + BEFORE * 10))
        };
        let lost = scans().filter(|scan| scan.whole && well(&scan.device, scan.at) && of(&scan.code) == 0);
        let lost = lost.map(|scan| format!("{} on {}", scan.code, scan.device)).collect();
        let doubled = self.journal.lines.iter().filter(|(code, count)| code.starts_with("690") && **count > 1);
        (lost, doubled.map(|(code, count)| format!("{code} {count} times")).collect())
    }

    /// Lines of goods that nobody scanned or typed: a misread that passed for another code.
    pub(crate) fn invented(&self) -> Vec<String> {
        let known: std::collections::BTreeSet<String> = (0..60_000).map(|number| goods(number).0).collect();
        let scanned: std::collections::BTreeSet<&str> =
            self.shifts.iter().flat_map(|shift| &shift.scans).map(|scan| scan.code.as_str()).collect();
        let typed: usize = self.shifts.iter().map(|shift| shift.typed).sum();
        let goods = self.journal.lines.keys().filter(|key| known.contains(*key) && !scanned.contains(key.as_str()));
        let surplus: Vec<String> = goods.cloned().collect();
        if surplus.len() > typed { surplus } else { Vec::new() }
    }

    /// Scans that went out whole.
    pub(crate) fn whole(&self) -> usize {
        self.shifts.iter().flat_map(|shift| &shift.scans).filter(|scan| scan.whole).count()
    }

    /// The longest time between two lines on the lanes chosen.
    pub(crate) fn longest_gap(&self, of: impl Fn(u16) -> bool) -> Duration {
        let lanes = self.shifts.iter().filter(|shift| of(shift.lane));
        let gaps = lanes.flat_map(|shift| shift.lines.windows(2).map(|pair| pair[1] - pair[0]));
        gaps.max().unwrap_or_default()
    }
}
