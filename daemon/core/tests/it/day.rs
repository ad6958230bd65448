//! A day of 2,000 baskets over three lanes, by script. What the Z report says is compared, to the cent, with books kept here
//! in plain integers by whoever pressed the keys: they know what was done, and nothing of how the core adds it up.

use crate::common::{COLA, DEPOSIT, EMPTY, MEMBER, NOODLES, PEARS, Till, WATER, config};
use checkout::config::StoreConfig;
use checkout::device::{CardOutcome, CardSlip, DeviceEvent, TerminalEvent, Weight};
use checkout::page::{Method, PageRequest, ReturnRequest, ShiftRequest, StaffRequest};
use checkout::store::{HqInput, PortStatus};
use checkout::totals::Totals;
use checkout::view::{LaneKind, Phase};
use checkout::wire::{Answer, WalletOutcome};
use checkout::words::{Grams, LaneId, LineNo, Money, Role};
use checkout::{Input, Store};
use std::collections::BTreeMap;

const BASKETS: usize = 2_000;
const KIOSK: u16 = 1;
const TILL: u16 = 2;
const PHONE: u16 = 3;
/// Coins of five: cash is rounded.
const COIN: i64 = 5;

#[test]
fn the_z_report_of_two_thousand_baskets_is_what_independent_books_say() {
    let mut day = Day::open(20_260_921);
    for _ in 0..BASKETS {
        day.basket();
    }
    day.close_shift();
    day.close();
    println!("{}", day.books.story());
    assert!(day.books.busy(), "the day must have had everything in it: {}", day.books.story());
    let mut replayed = Store::new(day.till.store.config().clone());
    day.till.journal.iter().for_each(|record| replayed.apply(record));
    assert_eq!(replayed.facts(), day.till.store.facts(), "the journal gives the same facts");
}

#[test]
fn a_day_is_the_same_for_the_same_seed() {
    let journal = || {
        let mut day = Day::open(7);
        (0..60).for_each(|_| day.basket());
        day.till.journal
    };
    assert_eq!(journal(), journal());
}

// ---- The books: plain sums of what was done. ----

#[derive(Clone, Debug, Default, PartialEq)]
struct Books {
    sales: i64,
    total: i64,
    gross: i64,
    discount: i64,
    returned: i64,
    returns: i64,
    rounding: i64,
    members: i64,
    /// Rate → net and tax.
    taxes: BTreeMap<i64, (i64, i64)>,
    taken: [i64; 3],
    refunded: [i64; 3],
    voids: (i64, i64),
    line_voids: (i64, i64),
    paid_in: i64,
    paid_out: i64,
    dropped: i64,
    opened: i64,
    receipts: BTreeMap<u16, i64>,
    by_lane: BTreeMap<u16, i64>,
    drawer: i64,
    suspended: i64,
    splits: i64,
}

const CASH: usize = 0;
const CARD: usize = 1;
const WALLET: usize = 2;

impl Books {
    fn busy(&self) -> bool {
        let counts =
            [self.returns, self.voids.0, self.line_voids.0, self.suspended, self.splits, self.members, self.opened];
        counts.iter().all(|count| *count > 20)
            && self.refunded.iter().take(2).all(|amount| *amount > 0)
            && self.rounding != 0
    }

    fn story(&self) -> String {
        format!(
            "{} sales of {}, {} with returns, {} voids, {} line voids, {} suspended, {} split, {} members",
            self.sales,
            self.total,
            self.returns,
            self.voids.0,
            self.line_voids.0,
            self.suspended,
            self.splits,
            self.members
        )
    }

    fn agrees(&self, z: &Totals) {
        let of = |money: Money| money.0;
        let count = |n: u64| i64::try_from(n).expect("small");
        assert_eq!((count(z.sales), of(z.total)), (self.sales, self.total), "sales");
        assert_eq!((of(z.gross), of(z.discount)), (self.gross, self.discount), "gross and discounts");
        assert_eq!((of(z.returned), count(z.returns)), (self.returned, self.returns), "returns");
        assert_eq!((of(z.rounding), count(z.members)), (self.rounding, self.members), "rounding and members");
        let net = |kind: usize| self.taken[kind] - self.refunded[kind];
        assert_eq!([of(z.cash), of(z.card), of(z.wallet)], [net(CASH), net(CARD), net(WALLET)], "tenders");
        let refunded = [of(z.refunded.cash), of(z.refunded.card), of(z.refunded.wallet)];
        assert_eq!(refunded, self.refunded, "refunds");
        let taxes: BTreeMap<i64, (i64, i64)> =
            z.taxes.iter().map(|tax| (i64::from(tax.rate_bp), (of(tax.net), of(tax.tax)))).collect();
        assert_eq!(taxes, self.taxes, "taxes");
        assert_eq!((count(z.voids.baskets), of(z.voids.baskets_worth)), self.voids, "voids");
        assert_eq!((count(z.voids.lines), of(z.voids.lines_worth)), self.line_voids, "line voids");
        let drawer = (of(z.drawer.paid_in), of(z.drawer.paid_out), of(z.drawer.dropped), count(z.drawer.opened));
        assert_eq!(drawer, (self.paid_in, self.paid_out, self.dropped, self.opened), "drawer");
        assert_eq!(of(z.cash) + of(z.card) + of(z.wallet), self.total + self.rounding, "what was sold was paid");
    }
}

/// One row of somebody's basket, as they would write it down.
#[derive(Clone, Debug)]
struct Row {
    what: &'static str,
    pieces: i64,
    grams: i64,
    /// Of goods brought back: what the shopper gets.
    back: Option<i64>,
}

impl Row {
    fn rate(&self) -> i64 {
        if self.what == PEARS { 900 } else { 1_300 }
    }

    fn gross(&self) -> i64 {
        if let Some(back) = self.back {
            return -back;
        }
        match self.what {
            COLA => 350 * self.pieces,
            NOODLES => 300 * self.pieces,
            WATER => 200 * self.pieces,
            DEPOSIT => 25 * self.pieces,
            EMPTY => -25 * self.pieces,
            // 7.98 a kilogram, half a cent goes up.
            PEARS => (798 * self.grams + 500) / 1_000,
            other => unreachable!("{other} is not on the shelf"),
        }
    }

    /// Three packets for eight; members never take more than two in this story, at 2.80 each.
    fn discount(&self, member: bool) -> i64 {
        match self.what {
            NOODLES if self.back.is_none() && member => 20 * self.pieces,
            NOODLES if self.back.is_none() => 100 * (self.pieces / 3),
            _ => 0,
        }
    }
}

fn worth(rows: &[Row], member: bool) -> i64 {
    rows.iter().map(|row| row.gross() - row.discount(member)).sum()
}

fn half_away(numerator: i64, denominator: i64) -> i64 {
    let whole = (2 * numerator.abs() + denominator) / (2 * denominator);
    if numerator < 0 { -whole } else { whole }
}

/// A sale as remembered for whoever comes back with its receipt.
struct Remembered {
    code: String,
    rows: Vec<(LineNo, Row, i64)>,
    /// Pieces and money that came back, by line.
    back: BTreeMap<LineNo, (i64, i64)>,
    /// Kind, what is left to give back.
    tenders: Vec<(usize, i64)>,
}

// ---- The script. ----

struct Day {
    till: Till,
    books: Books,
    random: Random,
    trace: u32,
    member: bool,
    rows: Vec<Row>,
    paid: Vec<(usize, i64)>,
    sold: Vec<Remembered>,
    float: i64,
    step: usize,
}

fn three_lanes() -> StoreConfig {
    let mut config = config();
    let mut phone = config.lanes[0].clone();
    phone.lane = LaneId(PHONE);
    phone.kind = LaneKind::Phone;
    phone.terminal = None;
    phone.scanners.clear();
    phone.scale = None;
    phone.printer = None;
    phone.display = None;
    phone.light = None;
    config.lanes.push(phone);
    config.till.shifts = true;
    config.price.cash.step = 5;
    config
}

impl Day {
    fn open(seed: u64) -> Self {
        let mut till = Till::with(three_lanes());
        till.take(Input::Hq(HqInput::Online(true)));
        till.take(Input::Port { device: "scale-2".into(), status: PortStatus::Up });
        let mut day = Self {
            till,
            books: Books::default(),
            random: Random(seed),
            trace: 0,
            member: false,
            rows: Vec::new(),
            paid: Vec::new(),
            sold: Vec::new(),
            float: 20_000,
            step: 0,
        };
        day.open_shift();
        day
    }

    fn basket(&mut self) {
        self.step += 1;
        if self.step.is_multiple_of(400) {
            self.close_shift();
            self.open_shift();
        }
        (self.member, self.rows, self.paid) = (false, Vec::new(), Vec::new());
        self.drawer();
        if self.random.one_in(8) && !self.sold.is_empty() && self.bring_back() {
            if self.random.one_in(2) {
                self.goods(TILL);
            }
            return self.settle(TILL);
        }
        let mut lane = [KIOSK, TILL, TILL, PHONE][self.random.below(4)];
        if self.random.one_in(5) {
            self.press(lane, PageRequest::Key { code: MEMBER.into() });
            self.member = true;
        }
        self.goods(lane);
        if self.random.one_in(12) {
            self.void_cola(lane);
        }
        if lane == PHONE || self.random.one_in(10) {
            lane = self.hand_over(lane);
        }
        if self.random.one_in(15) {
            return self.void(lane);
        }
        self.settle(lane);
    }

    fn press(&mut self, lane: u16, what: PageRequest) {
        let told = format!("{what:?}");
        self.till.press(lane, what).unwrap_or_else(|refused| panic!("basket {}: {told}: {refused:?}", self.step));
    }

    fn staff(&mut self, lane: u16, request: StaffRequest) {
        let told = format!("{request:?}");
        let done = self.till.staff_as(Role::Supervisor, lane, request);
        done.unwrap_or_else(|refused| panic!("basket {}: {told}: {refused:?}", self.step));
    }

    fn goods(&mut self, lane: u16) {
        for _ in 0..=self.random.below(5) {
            let most = if lane == PHONE { 4 } else { 5 };
            match self.random.below(most) {
                0 | 1 => self.scan(lane, COLA),
                2 => self.noodles(lane),
                3 => {
                    self.scan(lane, WATER);
                    self.count(DEPOSIT);
                }
                _ => self.pears(lane),
            }
        }
        if self.random.one_in(20) && worth(&self.rows, self.member) > 100 {
            self.scan(lane, EMPTY);
        }
    }

    fn noodles(&mut self, lane: u16) {
        let have: i64 =
            self.rows.iter().filter(|row| row.what == NOODLES && row.back.is_none()).map(|row| row.pieces).sum();
        if !self.member || have < 2 {
            self.scan(lane, NOODLES);
        }
    }

    fn scan(&mut self, lane: u16, code: &'static str) {
        self.press(lane, PageRequest::Key { code: code.into() });
        self.count(code);
    }

    fn count(&mut self, what: &'static str) {
        match self.rows.iter_mut().find(|row| row.what == what && row.back.is_none()) {
            Some(row) => row.pieces += 1,
            None => self.rows.push(Row { what, pieces: 1, grams: 0, back: None }),
        }
    }

    fn pears(&mut self, lane: u16) {
        let grams = 50 + i64::try_from(self.random.below(2_000)).expect("small");
        self.press(lane, PageRequest::Key { code: PEARS.into() });
        let weight = DeviceEvent::Weight(Weight::Stable(Grams(u32::try_from(grams).expect("small"))));
        self.till.take(Input::Device { device: format!("scale-{lane}").as_str().into(), event: weight });
        self.rows.push(Row { what: PEARS, pieces: 1, grams, back: None });
    }

    fn void_cola(&mut self, lane: u16) {
        let Some(at) = self.rows.iter().position(|row| row.what == COLA) else { return };
        if self.rows.len() < 2 || worth(&self.rows, self.member) <= self.rows[at].gross() {
            return;
        }
        let line = self.till.lane(lane).lines.iter().find(|line| line.name.en == "Cola").expect("it was scanned").no;
        self.press(lane, PageRequest::VoidLine { line });
        self.books.line_voids.0 += 1;
        self.books.line_voids.1 += self.rows.remove(at).gross();
    }

    fn hand_over(&mut self, lane: u16) -> u16 {
        self.press(lane, PageRequest::Suspend {});
        self.books.suspended += 1;
        let code = self.till.lane(lane).handed.expect("a code is shown");
        self.press(lane, PageRequest::Next {});
        let to = if self.random.one_in(2) { KIOSK } else { TILL };
        self.press(to, PageRequest::Key { code });
        to
    }

    fn void(&mut self, lane: u16) {
        let worth = worth(&self.rows, self.member);
        if lane == TILL && worth > 200 && self.random.one_in(2) {
            self.staff(lane, StaffRequest::TakeCash { given: Money(100), amount: Some(Money(100)) });
        }
        self.staff(lane, StaffRequest::VoidTransaction { reason: "changed their mind".into() });
        self.books.voids.0 += 1;
        self.books.voids.1 += worth;
    }

    /// Somebody comes with a receipt and brings a part of it back.
    fn bring_back(&mut self) -> bool {
        let at = self.random.below(self.sold.len());
        let sale = &self.sold[at];
        let left = |(no, row, _): &&(LineNo, Row, i64)| row.pieces > sale.back.get(no).map_or(0, |back| back.0);
        let Some((no, row, paid)) = sale.rows.iter().find(left).cloned() else { return false };
        let (pieces, money) = sale.back.get(&no).copied().unwrap_or_default();
        let code = sale.code.clone();
        let many = 1 + i64::try_from(self.random.below(usize::try_from(row.pieces - pieces).expect("positive")))
            .expect("small");
        let amount = half_away(paid * (pieces + many), row.pieces) - money;
        self.press(TILL, PageRequest::Key { code });
        let quantity = u32::try_from(many).expect("small");
        self.staff(TILL, StaffRequest::Return(ReturnRequest::Line { line: no, quantity }));
        self.sold[at].back.insert(no, (pieces + many, money + amount));
        self.rows.push(Row { what: row.what, pieces: many, grams: 0, back: Some(amount) });
        self.paid = vec![(usize::MAX, i64::try_from(at).expect("small"))];
        true
    }

    fn settle(&mut self, lane: u16) {
        let origin = match self.paid.first() {
            Some((usize::MAX, at)) => usize::try_from(*at).ok(),
            _ => None,
        };
        self.paid.clear();
        let due = worth(&self.rows, self.member);
        assert_eq!(self.till.lane(lane).due.0, due, "basket {} on lane {lane}: {:?}", self.step, self.rows);
        match due {
            0 => self.staff(lane, StaffRequest::Finish {}),
            1.. => self.pay(lane, due),
            _ => self.give_back(lane, -due, origin.expect("only returns owe the shopper")),
        }
        self.write_down(lane);
    }

    fn pay(&mut self, lane: u16, due: i64) {
        let mut rest = due;
        if due > 300 && self.random.one_in(6) {
            let part = 100 + i64::try_from(self.random.below(150)).expect("small");
            self.card(lane, part);
            rest -= part;
            self.books.splits += 1;
        }
        if rest > 300 && lane == TILL && self.random.one_in(8) {
            self.staff(lane, StaffRequest::TakeCash { given: Money(200), amount: Some(Money(100)) });
            self.paid.push((CASH, 100));
            rest -= 100;
        }
        match self.random.below(3) {
            0 => self.wallet(lane, rest),
            1 if lane == TILL => {
                let rounded = half_away(rest, COIN) * COIN;
                self.staff(lane, StaffRequest::TakeCash { given: Money(rounded + 500), amount: None });
                self.books.rounding += rounded - rest;
                self.paid.push((CASH, rounded));
            }
            _ => self.card(lane, rest),
        }
    }

    fn card(&mut self, lane: u16, amount: i64) {
        self.press(lane, PageRequest::Pay { method: Method::Card, amount: Some(Money(amount)) });
        self.trace += 1;
        let tender = self.till.lane(lane).tender.and_then(|tender| tender.tender).expect("a tender");
        let slip = CardSlip {
            amount: Money(amount),
            trace: self.trace,
            receipt: self.trace,
            terminal: "52500038".into(),
            pan: None,
            scheme: "girocard".into(),
            reference: String::new(),
            text: Vec::new(),
        };
        let answered = TerminalEvent::Answered { tender: tender.clone(), outcome: CardOutcome::Approved(slip) };
        for event in [answered, TerminalEvent::Finished { tender }] {
            let device = format!("terminal-{lane}").as_str().into();
            self.till.take(Input::Device { device, event: DeviceEvent::Terminal(event) });
        }
        self.paid.push((CARD, amount));
    }

    fn wallet(&mut self, lane: u16, amount: i64) {
        self.press(lane, PageRequest::Pay { method: Method::Wallet, amount: None });
        self.press(lane, PageRequest::Key { code: "135790246813579024".into() });
        let tender = self.till.lane(lane).tender.and_then(|tender| tender.tender).expect("a tender");
        let outcome = WalletOutcome::Approved { amount: Money(amount), reference: "w".into() };
        self.till.take(Input::Hq(HqInput::Answer(Answer::Wallet { tender, outcome })));
        self.paid.push((WALLET, amount));
    }

    /// The way it was paid: card and wallet first, by hand; cash last, rounded where it is all that is left.
    fn give_back(&mut self, lane: u16, owed: i64, origin: usize) {
        self.staff(lane, StaffRequest::Return(ReturnRequest::Refund { in_cash: false }));
        let mut owed = owed;
        for cash in [false, true] {
            for at in 0..self.sold[origin].tenders.len() {
                let (of, left) = self.sold[origin].tenders[at];
                if owed == 0 || left <= 0 || (of == CASH) != cash {
                    continue;
                }
                let part = left.min(owed);
                let mut given = part;
                if cash && part == owed {
                    given = half_away(part, COIN) * COIN;
                    self.books.rounding -= given - part;
                }
                self.sold[origin].tenders[at].1 -= given;
                self.paid.push((of, -given));
                owed -= part;
                if of != CASH {
                    let tender =
                        self.till.lane(lane).tender.and_then(|tender| tender.tender).expect("it waits for staff");
                    let done = StaffRequest::ResolveTender {
                        tender,
                        taken: true,
                        reason: "done by hand".into(),
                        amount: None,
                    };
                    self.staff(lane, done);
                }
            }
        }
        if owed > 0 {
            // More than was paid by now (rounding): the rest in cash.
            let given = half_away(owed, COIN) * COIN;
            self.books.rounding -= given - owed;
            self.paid.push((CASH, -given));
        }
    }

    fn write_down(&mut self, lane: u16) {
        let view = self.till.lane(lane);
        assert_eq!(view.phase, Phase::Done, "basket {} on lane {lane}: due {:?}", self.step, view.due);
        let books = &mut self.books;
        books.sales += 1;
        books.total += worth(&self.rows, self.member);
        books.members += i64::from(self.member);
        *books.receipts.entry(lane).or_default() += 1;
        *books.by_lane.entry(lane).or_default() += worth(&self.rows, self.member);
        books.returns += i64::from(self.rows.iter().any(|row| row.gross() < 0));
        let mut rates: BTreeMap<i64, i64> = BTreeMap::new();
        for row in &self.rows {
            let discount = row.discount(self.member);
            *rates.entry(row.rate()).or_default() += row.gross() - discount;
            if row.gross() < 0 {
                books.returned -= row.gross();
            } else {
                books.gross += row.gross();
                books.discount += discount;
            }
        }
        for (rate, gross) in rates {
            let tax = half_away(gross * rate, 10_000 + rate);
            let sum = books.taxes.entry(rate).or_default();
            *sum = (sum.0 + gross - tax, sum.1 + tax);
        }
        for (kind, amount) in &self.paid {
            if *amount < 0 {
                books.refunded[*kind] -= amount
            } else {
                books.taken[*kind] += amount
            }
            if *kind == CASH {
                books.drawer += amount;
            }
        }
        self.remember(lane);
    }

    /// Keeps the receipt for a later return; those of one kind of row per name are easy to tell apart by their line.
    fn remember(&mut self, lane: u16) {
        let receipt = self.till.lane(lane).receipt.expect("a receipt").receipt;
        let sale = self.till.shelf.sales.last().expect("it was sold").sale.clone();
        assert_eq!(sale.transaction, receipt.transaction);
        let mut rows = Vec::new();
        for row in self.rows.iter().filter(|row| row.back.is_none() && row.what != EMPTY) {
            let mut lines = sale.lines.iter().filter(|line| line.key.0 == row.what && !line.kind.is_negative());
            let line = match row.what {
                PEARS => lines.find(|line| line.weight_g.map(i64::from) == Some(row.grams)),
                _ => lines.next(),
            };
            rows.push((line.expect("each row is a line").no, row.clone(), row.gross() - row.discount(self.member)));
        }
        let tenders = self.paid.iter().filter(|(_, amount)| *amount > 0).copied().collect();
        self.sold.push(Remembered { code: receipt.code, rows, back: BTreeMap::new(), tenders });
    }

    fn drawer(&mut self) {
        let amount = 100 + i64::try_from(self.random.below(900)).expect("small");
        let request = match self.random.below(60) {
            0 => ShiftRequest::PaidIn { amount: Money(amount), reason: "change".into() },
            1 => ShiftRequest::PaidOut { amount: Money(amount), reason: "postage".into() },
            2 => ShiftRequest::Drop { amount: Money(amount) },
            3 => ShiftRequest::NoSale { reason: "change for a shopper".into() },
            _ => return,
        };
        let books = &mut self.books;
        match &request {
            ShiftRequest::PaidIn { .. } => {
                (books.paid_in, books.drawer) = (books.paid_in + amount, books.drawer + amount)
            }
            ShiftRequest::PaidOut { .. } => {
                (books.paid_out, books.drawer) = (books.paid_out + amount, books.drawer - amount)
            }
            ShiftRequest::Drop { .. } => {
                (books.dropped, books.drawer) = (books.dropped + amount, books.drawer - amount)
            }
            ShiftRequest::NoSale { .. } => books.opened += 1,
            ShiftRequest::Open { .. }
            | ShiftRequest::Close { .. }
            | ShiftRequest::PrintX {}
            | ShiftRequest::PrintZ {} => {}
        }
        self.staff(TILL, StaffRequest::Shift(request));
    }

    fn open_shift(&mut self) {
        self.books.drawer = self.float;
        self.staff(TILL, StaffRequest::Shift(ShiftRequest::Open { float: Money(self.float) }));
    }

    fn close_shift(&mut self) {
        let wrong = i64::try_from(self.random.below(7)).expect("small") - 3;
        let counted = Money(self.books.drawer + wrong);
        self.staff(TILL, StaffRequest::Shift(ShiftRequest::Close { counted }));
        let (_, report) = self.till.lane(TILL).last_shift.expect("a report");
        assert_eq!((report.expected.0, report.difference.0), (self.books.drawer, wrong), "the shift's drawer");
    }

    fn close(&mut self) {
        self.goods_left_behind();
        let perpetual = self.books.total;
        self.staff(TILL, StaffRequest::DayClose {});
        let report = self.till.store.view(&self.till.shelf).last_day.expect("the day's report");
        self.books.agrees(&report.totals);
        assert_eq!(report.perpetual.0, perpetual);
        for (lane, receipts) in &self.books.receipts {
            let z = &report.lanes[&LaneId(*lane)];
            assert_eq!(z.total.0, self.books.by_lane[lane], "lane {lane}");
            let (first, last) = z.receipts.expect("it sold");
            assert_eq!((first.0, last.0), (1, u64::try_from(*receipts).expect("positive")), "receipts of lane {lane}");
        }
    }

    /// A basket that waits for somebody who does not come back.
    fn goods_left_behind(&mut self) {
        (self.member, self.rows) = (false, Vec::new());
        self.scan(PHONE, COLA);
        self.press(PHONE, PageRequest::Suspend {});
        self.books.voids.0 += 1;
        self.books.voids.1 += worth(&self.rows, false);
    }
}

/// SplitMix64: one seed, one day.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % n as u64).expect("small")
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}
