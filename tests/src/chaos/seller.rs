//! A cashier who sells whatever happens: scans again, types by hand, takes cash, asks nobody.

use super::faults::Dice;
use super::floor::{Floor, PEARS, goods, shelf};
use super::witness::Told;
use aisled::client;
use anyhow::Result;
use drivers::Kind;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const LINE: Duration = Duration::from_millis(1_500);
const WEIGHT: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(30);
const SHOWN: Duration = Duration::from_millis(500);
const PAPER: Duration = Duration::from_secs(2);
/// A shopper whose card does nothing presses cancel after so long.
const CARD: Duration = Duration::from_secs(6);
/// Longer than any doubt may last: a person decides after a minute.
const PAYMENT: Duration = Duration::from_secs(100);

/// One time somebody wanted something of a device.
#[derive(Clone, Debug)]
pub(crate) struct Use {
    pub(crate) device: String,
    pub(crate) begun: Instant,
    pub(crate) ended: Instant,
    pub(crate) good: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Scan {
    pub(crate) device: String,
    pub(crate) code: String,
    pub(crate) at: Instant,
    pub(crate) whole: bool,
}

/// What one cashier saw.
#[derive(Debug, Default)]
pub(crate) struct Shift {
    pub(crate) lane: u16,
    pub(crate) scans: Vec<Scan>,
    pub(crate) uses: Vec<Use>,
    pub(crate) lines: Vec<Instant>,
    /// When each receipt was done, and what it came to.
    pub(crate) sales: Vec<(Instant, i64)>,
    pub(crate) typed: usize,
    pub(crate) cash: usize,
    pub(crate) resolved: usize,
}

pub(crate) struct Seller<'a> {
    floor: &'a Floor,
    lane: u16,
    told: mpsc::Receiver<Told>,
    dice: Dice,
    goods: std::ops::Range<u32>,
    token: String,
    shift: Shift,
}

impl<'a> Seller<'a> {
    pub(crate) fn new(floor: &'a Floor, lane: u16, told: mpsc::Receiver<Told>, seed: u64) -> Result<Self> {
        Ok(Self {
            floor,
            lane,
            told,
            dice: Dice(seed | 1),
            goods: shelf(lane, floor.calm),
            token: floor.login()?,
            shift: Shift { lane, ..Shift::default() },
        })
    }

    /// Sells until `stop`, and finishes the basket it is at.
    pub(crate) fn sell(mut self, stop: &AtomicBool) -> Result<Shift> {
        while !stop.load(Ordering::Relaxed) {
            for at in 0..=self.dice.below(3) {
                self.item(at == 0)?;
            }
            if self.dice.below(3) == 0 {
                self.weigh()?;
            }
            self.pay()?;
        }
        Ok(self.shift)
    }

    fn lane(&self) -> String {
        format!("/api/lane/{}", self.lane)
    }

    fn press(&self, what: &Value) -> Result<u16> {
        Ok(client::post(self.floor.pages, &self.lane(), None, what)?.0)
    }

    fn staff(&self, what: &Value) -> Result<(u16, Value)> {
        client::post(self.floor.pages, &format!("/api/staff/lane/{}", self.lane), Some(&self.token), what)
    }

    /// The picture once it is as wanted, or what it was when patience ended.
    fn wait(&self, patience: Duration, wanted: impl Fn(&Value) -> bool) -> (bool, Value) {
        let until = Instant::now() + patience;
        loop {
            let view = self.floor.view(self.lane);
            if wanted(&view) {
                return (true, view);
            }
            if Instant::now() > until {
                return (false, view);
            }
            std::thread::sleep(LOOK);
        }
    }

    fn used(&mut self, kind: Kind, begun: Instant, good: bool) {
        if let Some(device) = self.floor.device(self.lane, kind) {
            let device = device.name.clone();
            self.shift.uses.push(Use { device, begun, ended: Instant::now(), good });
        }
    }

    /// One piece in the basket: scanned, scanned again, or typed.
    fn item(&mut self, first: bool) -> Result<()> {
        let before = lines(&self.floor.view(self.lane));
        let show = self.floor.device(self.lane, Kind::Display).map(|pole| pole.running.state());
        for _ in 0..3 {
            let Some(number) = self.goods.next() else { anyhow::bail!("the shelf is empty") };
            let (code, _) = goods(number);
            let begun = Instant::now();
            self.pull(&code);
            let (seen, _) = self.wait(LINE, |view| lines(view) > before);
            self.note_scans();
            self.used(Kind::Scanner, begun, seen);
            if seen {
                self.shift.lines.push(Instant::now());
                self.shown(begun, show.as_ref(), first);
                return Ok(());
            }
        }
        // The code on the shelf edge, by hand; a scan that came late may have been faster.
        let Some(number) = self.goods.next() else { anyhow::bail!("the shelf is empty") };
        self.press(&json!({"key": {"code": goods(number).0}}))?;
        self.shift.typed += 1;
        let (seen, view) = self.wait(WEIGHT, |view| lines(view) > before);
        anyhow::ensure!(seen, "lane {} does not take a code typed by hand: {view}", self.lane);
        self.shift.lines.push(Instant::now());
        Ok(())
    }

    fn pull(&mut self, code: &str) {
        let Some(scanner) = self.floor.device(self.lane, Kind::Scanner) else { return };
        self.floor.hand(scanner, json!({"scan": code}));
        let scan = Scan { device: scanner.name.clone(), code: code.into(), at: Instant::now(), whole: false };
        self.shift.scans.push(scan);
    }

    /// What the witness says of scans so far.
    fn note_scans(&mut self) {
        for told in self.told.try_iter().filter(|told| told.whole) {
            if let Some(scan) = self.shift.scans.iter_mut().rev().find(|scan| scan.code == told.code) {
                scan.whole = true;
            }
        }
    }

    /// Whether pole and light followed.
    fn shown(&mut self, begun: Instant, before: Option<&Value>, first: bool) {
        if let (Some(pole), Some(before)) = (self.floor.device(self.lane, Kind::Display), before) {
            let state = || pole.running.state();
            let good = soon(SHOWN, || state()["shown"] != before["shown"]);
            self.used(Kind::Display, begun, good);
        }
        if let Some(light) = self.floor.device(self.lane, Kind::Light).filter(|_| first) {
            let good = soon(SHOWN, || light.running.state()["yellow"] == "on");
            self.used(Kind::Light, begun, good);
        }
    }

    fn weigh(&mut self) -> Result<()> {
        let Some(scale) = self.floor.device(self.lane, Kind::Scale) else { return Ok(()) };
        let before = lines(&self.floor.view(self.lane));
        let grams = 200 + self.dice.below(1_800);
        let begun = Instant::now();
        self.floor.hand(scale, json!({"put": grams}));
        self.press(&json!({"key": {"code": PEARS}}))?;
        let (seen, view) = self.wait(WEIGHT, |view| lines(view) > before);
        self.used(Kind::Scale, begun, seen);
        self.floor.hand(scale, json!({"remove": true}));
        if seen {
            self.shift.lines.push(Instant::now());
            let weighed = view["lines"].as_array().and_then(|lines| lines.last()).map(|line| line["weight_g"].clone());
            anyhow::ensure!(
                weighed == Some(grams.into()),
                "{grams} g on the plate of lane {}, weighed {weighed:?}",
                self.lane
            );
        } else {
            self.press(&json!({"cancel_weighing": {}}))?;
        }
        Ok(())
    }

    fn pay(&mut self) -> Result<()> {
        let (_, view) = self.wait(WEIGHT, |view| view["phase"] == "scanning");
        let due = view["due"].as_i64().unwrap_or(0);
        let tries = if self.dice.below(5) == 0 { 0 } else { 2 };
        let mut done = false;
        for _ in 0..tries {
            if !done {
                done = self.card(due)?;
            }
        }
        if !done {
            let cash = json!({"pay": {"method": {"cash": {"given": due + 10_000}}}});
            let (status, answer) = self.staff(&cash)?;
            anyhow::ensure!(
                status == 200,
                "lane {} takes no cash: {answer}, {}",
                self.lane,
                self.floor.view(self.lane)
            );
            self.shift.cash += 1;
        }
        let begun = Instant::now();
        let (ended, view) = self.wait(WEIGHT, |view| view["phase"] == "done");
        anyhow::ensure!(ended, "lane {} does not end its sale: {view}", self.lane);
        let total = view["receipt"]["receipt"]["total"].as_i64().unwrap_or(-1);
        self.shift.sales.push((Instant::now(), total));
        let (printed, _) = self.wait(PAPER, |view| view["receipt"]["printed"] == true);
        self.used(Kind::Printer, begun, printed);
        self.press(&json!({"next": {}}))?;
        Ok(())
    }

    /// Whether the card paid. A shopper whose card does nothing cancels; staff look at a terminal that cannot say.
    fn card(&mut self, due: i64) -> Result<bool> {
        let captured = self.captured();
        let begun = Instant::now();
        if self.press(&json!({"pay": {"method": "card"}}))? != 200 {
            self.used(Kind::Terminal, begun, false);
            return Ok(false);
        }
        let mut cancelled = false;
        loop {
            let view = self.floor.view(self.lane);
            match view["phase"].as_str().unwrap_or_default() {
                "done" => {
                    self.used(Kind::Terminal, begun, !cancelled);
                    return Ok(true);
                }
                "scanning" => {
                    self.used(Kind::Terminal, begun, false);
                    return Ok(false);
                }
                "staff" => {
                    // What the person sees on the terminal itself.
                    let taken = self.captured() > captured;
                    let tender = &view["tender"]["tender"];
                    let verdict = json!({"resolve_tender": {"tender": tender, "taken": taken, "reason": "looked"}});
                    let (status, _) = self.staff(&verdict)?;
                    self.shift.resolved += usize::from(status == 200);
                }
                "paying" if begun.elapsed() > CARD && !cancelled => {
                    self.press(&json!({"cancel_payment": {}}))?;
                    cancelled = true;
                }
                _ => {}
            }
            anyhow::ensure!(begun.elapsed() < PAYMENT, "lane {}: {due} are still being paid: {view}", self.lane);
            std::thread::sleep(LOOK);
        }
    }

    fn captured(&self) -> usize {
        self.floor.device(self.lane, Kind::Terminal).map_or(0, |terminal| captured(&terminal.running.state()).len())
    }
}

/// Amounts a terminal holds as taken.
pub(crate) fn captured(state: &Value) -> Vec<i64> {
    let charges = state["charges"].as_array().map(Vec::as_slice).unwrap_or_default();
    charges
        .iter()
        .filter(|charge| charge["state"] == "captured")
        .filter_map(|charge| charge["amount"].as_i64())
        .collect()
}

fn soon(patience: Duration, so: impl Fn() -> bool) -> bool {
    let until = Instant::now() + patience;
    while !so() {
        if Instant::now() > until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

fn lines(view: &Value) -> usize {
    view["lines"].as_array().map_or(0, Vec::len)
}
