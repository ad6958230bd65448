//! Money in and out, and what is written down of a sale.

use super::books::{CARD, CASH, POINTS, Paid, Remembered, SoldRow, Tender, WALLET, half_away};
use super::goods::{EMPTY, PLATTER};
use super::{COIN, Day, KIOSK};
use checkout::Input;
use checkout::device::{CardOutcome, CardSlip, DeviceEvent, TerminalEvent};
use checkout::page::{Method, PageRequest, ReturnRequest, StaffRequest};
use checkout::points::Points;
use checkout::store::HqInput;
use checkout::view::{Phase, TenderKind};
use checkout::wire::{Answer, WalletOutcome};
use checkout::words::Money;
use std::collections::{BTreeMap, BTreeSet};

fn count(n: u64) -> i64 {
    i64::try_from(n).expect("small")
}

impl Day {
    pub fn settle(&mut self, lane: u16) {
        let due = self.basket.worth();
        let found = self.lane(lane).due.0;
        assert_eq!(found, due, "basket {} on lane {lane}: {:#?}", self.step, self.basket);
        match due {
            0 => {
                self.staff(lane, StaffRequest::Finish {});
                self.did("even exchange");
            }
            1.. => self.pay(lane, due),
            _ => self.give_back(lane, -due),
        }
        self.write_down(lane);
    }

    fn pay(&mut self, lane: u16, due: i64) {
        let mut rest = due - self.burn(lane, due);
        if rest > 300 && self.random.one_in(6) {
            let part = 100 + self.random.up_to(150);
            self.card(lane, part);
            rest -= part;
            self.did("split");
        }
        if rest > 300 && lane != KIOSK && self.random.one_in(8) {
            self.staff(lane, StaffRequest::TakeCash { given: Money(200), amount: Some(Money(100)) });
            self.paid.push(Paid { kind: CASH, amount: 100, points: 0 });
            rest -= 100;
            self.did("split");
        }
        match self.random.below(3) {
            _ if rest == 0 => {}
            0 if self.online => self.wallet(lane, rest),
            1 if lane != KIOSK => {
                let rounded = half_away(rest, COIN) * COIN;
                self.staff(lane, StaffRequest::TakeCash { given: Money(rounded + 500), amount: None });
                self.rounding = rounded - rest;
                self.paid.push(Paid { kind: CASH, amount: rounded, points: 0 });
            }
            _ => self.card(lane, rest),
        }
    }

    /// Points for a part of it, or all; offline no more than the lease has.
    pub fn burn(&mut self, lane: u16, due: i64) -> i64 {
        let Some(shopper) = self.basket.member.filter(|_| self.random.one_in(3)) else { return 0 };
        let account = self.accounts[shopper.index];
        let leased = if self.online { account.balance } else { account.lease - account.burnt };
        let most = account.balance.min(leased).min(due / 10).min(60);
        if most <= 0 {
            return 0;
        }
        let points = 1 + self.random.up_to(most);
        self.pay_by(lane, Method::Points, Some(10 * points));
        self.paid.push(Paid { kind: POINTS, amount: 10 * points, points });
        self.did(if self.online { "points burnt" } else { "points burnt offline" });
        10 * points
    }

    pub fn card(&mut self, lane: u16, amount: i64) {
        self.pay_by(lane, Method::Card, Some(amount));
        self.trace += 1;
        let tender = self.lane(lane).tender.and_then(|tender| tender.tender).expect("a tender");
        let slip = CardSlip {
            amount: Money(amount),
            trace: self.trace,
            receipt: self.trace,
            terminal: "52500038".into(),
            pan: None,
            scheme: "girocard".into(),
            reference: String::new(),
            text: Vec::new(),
            offline: false,
        };
        let answered = TerminalEvent::Answered { tender: tender.clone(), outcome: CardOutcome::Approved(slip) };
        for event in [answered, TerminalEvent::Finished { tender }] {
            self.device(format!("terminal-{lane}"), DeviceEvent::Terminal(event));
        }
        self.paid.push(Paid { kind: CARD, amount, points: 0 });
    }

    fn wallet(&mut self, lane: u16, amount: i64) {
        self.pay_by(lane, Method::Wallet, None);
        self.press(lane, PageRequest::Key { code: "135790246813579024".into() });
        let tender = self.lane(lane).tender.and_then(|tender| tender.tender).expect("a tender");
        let outcome = WalletOutcome::Approved { amount: Money(amount), reference: "w".into() };
        self.take(Input::Hq(HqInput::Answer(Answer::Wallet { tender, outcome })));
        self.paid.push(Paid { kind: WALLET, amount, points: 0 });
    }

    /// A person gave it back at the terminal and says so, or headquarters has done it.
    pub fn resolve(&mut self, lane: u16) {
        let view = self.lane(lane).tender.expect("it waits for staff, or for headquarters");
        let tender = view.tender.expect("it has a name");
        if view.kind == TenderKind::Wallet {
            let outcome = WalletOutcome::Approved { amount: Money(-view.amount.0), reference: "w".into() };
            return self.take(Input::Hq(HqInput::Answer(Answer::Wallet { tender, outcome })));
        }
        let reason = "done by hand".into();
        self.staff(lane, StaffRequest::ResolveTender { tender, taken: true, reason, amount: None });
    }

    /// Points first, in the proportion they paid in; then the way it was paid: card and wallet by hand, cash last, rounded
    /// where it is all that is left. Or all the rest in cash, where a supervisor says so.
    fn give_back(&mut self, lane: u16, owed: i64) {
        let in_cash = self.random.one_in(6);
        self.staff(lane, StaffRequest::Return(ReturnRequest::Refund { in_cash }));
        let mut tenders = self.origin.map(|at| std::mem::take(&mut self.sold[at].tenders)).unwrap_or_default();
        let mut owed = owed;
        let whole: i64 = tenders.iter().map(|tender| tender.left).sum();
        if let Some(points) = tenders.iter_mut().find(|tender| tender.kind == POINTS)
            && whole > 0
        {
            let now = owed.min(whole);
            let part = half_away(points.left * now, whole).min(now);
            owed -= self.points_go_back(points, part);
        }
        for kinds in [[CARD, WALLET], [CASH, CASH], [POINTS, POINTS]] {
            for tender in tenders.iter_mut().filter(|tender| kinds.contains(&tender.kind) && !in_cash) {
                let part = tender.left.min(owed);
                if part <= 0 {
                    continue;
                }
                match tender.kind {
                    POINTS => {
                        self.points_go_back(tender, part);
                    }
                    CASH => {
                        let given = if part == owed { half_away(part, COIN) * COIN } else { part };
                        self.rounding -= given - part;
                        tender.left -= given;
                        self.paid.push(Paid { kind: CASH, amount: -given, points: 0 });
                    }
                    kind => {
                        self.resolve(lane);
                        tender.left -= part;
                        self.paid.push(Paid { kind, amount: -part, points: 0 });
                        self.did("refund by hand");
                    }
                }
                owed -= part;
            }
        }
        if owed > 0 {
            let given = half_away(owed, COIN) * COIN;
            self.rounding -= given - owed;
            self.paid.push(Paid { kind: CASH, amount: -given, points: 0 });
            if let Some(cash) = tenders.iter_mut().find(|tender| tender.kind == CASH) {
                cash.left -= given;
            }
            self.did("refund in cash");
        }
        if let Some(at) = self.origin {
            self.sold[at].tenders = tenders;
        }
    }

    fn points_go_back(&mut self, tender: &mut Tender, part: i64) -> i64 {
        if part > 0 {
            let points = tender.points_of(part);
            tender.left -= part;
            self.paid.push(Paid { kind: POINTS, amount: -part, points });
            self.did("points given back");
        }
        part.max(0)
    }

    fn write_down(&mut self, lane: u16) {
        let view = self.lane(lane);
        assert_eq!(view.phase, Phase::Done, "basket {} on lane {lane}: due {:?}", self.step, view.due);
        let (basket, paid, rounding) = (self.basket.clone(), self.paid.clone(), self.rounding);
        self.book(lane, |books| books.sold(&basket, &paid, rounding));
        *self.receipts.entry(lane).or_default() += 1;
        let receipt = view.receipt.expect("a receipt").receipt;
        let sale = self.shelf.sales[&receipt.transaction.0].sale.clone();
        self.points_move(&sale);
        let mut redeemed: BTreeSet<String> = self.basket.colas.iter().map(|serial| format!("cola.{serial}")).collect();
        redeemed.extend(self.basket.next.iter().map(|code| code[2..].split('.').take(2).collect::<Vec<_>>().join(".")));
        let said = sale.coupons.iter().map(|coupon| format!("{}.{}", coupon.campaign, coupon.serial)).collect();
        assert_eq!(redeemed, said, "basket {}: coupons", self.step);
        for _ in &self.basket.colas {
            *self.leased.entry("cola").or_default() += usize::from(!self.basket.online);
        }
        *self.leased.entry("next").or_default() += usize::from(self.basket.next.is_some() && !self.basket.online);
        self.used_colas.append(&mut self.basket.colas.clone());
        let earned = self.basket.member.is_some() && self.basket.worth() >= 8_000;
        assert_eq!(receipt.coupons.len(), usize::from(earned), "basket {}: a coupon for the next visit", self.step);
        self.vouchers.extend(receipt.coupons.iter().map(|coupon| coupon.code.clone()));
        self.kinds(&sale);
        self.remember(&receipt.code, &sale);
    }

    fn kinds(&mut self, sale: &checkout::sale::Sale) {
        let all = [
            ("sale", true),
            ("member", sale.member.is_some()),
            ("coupon redeemed", !sale.coupons.is_empty()),
            ("coupon for the next visit redeemed", self.basket.next.is_some()),
            ("coupon handed out", !sale.issued.is_empty()),
            ("points earned", sale.points.is_some_and(|points| points.earned > 0)),
            ("points taken back", sale.points_back.iter().any(|back| back.taken > 0)),
            ("limited per member", !sale.uses.is_empty()),
            ("refund", sale.total < Money::ZERO),
            ("refund rounded", sale.total < Money::ZERO && sale.rounding != Money::ZERO),
            ("rounded", sale.rounding != Money::ZERO),
            ("deposit", self.basket.rows.iter().any(|row| row.what == super::goods::DEPOSIT && row.back.is_none())),
            ("labelled price", self.basket.rows.iter().any(|row| row.what == PLATTER)),
            ("wallet", self.paid.iter().any(|paid| paid.kind == WALLET)),
        ];
        all.into_iter().filter(|(_, done)| *done).for_each(|(what, _)| self.did(what));
    }

    /// Of who bought, and of whoever bought what came back.
    fn points_move(&mut self, sale: &checkout::sale::Sale) {
        let burnt: i64 = self.paid.iter().filter(|paid| paid.amount > 0).map(|paid| paid.points).sum();
        let given: i64 = self.paid.iter().filter(|paid| paid.amount < 0).map(|paid| paid.points).sum();
        let said = sale.points.map(|Points { earned, burnt, .. }| (count(earned), count(burnt)));
        let earned = self.basket.earns(&self.paid);
        let shopper = self.basket.member.map(|shopper| shopper.index);
        assert_eq!(said, shopper.map(|_| (earned, burnt)), "basket {}: points", self.step);
        if let Some(index) = shopper {
            self.accounts[index].balance += earned - burnt;
            self.accounts[index].burnt += burnt;
            self.juice_used[index] += self.basket.juice();
        }
        let said: Vec<(i64, i64)> =
            sale.points_back.iter().map(|back| (count(back.taken), count(back.given))).collect();
        let Some(origin) = self.origin.map(|at| &mut self.sold[at]) else { return assert_eq!(said, []) };
        let goods: BTreeSet<u32> =
            origin.rows.iter().filter(|sold| sold.row.is_goods()).map(|sold| sold.line).collect();
        let now = self.pending.iter().filter(|(line, _, _)| goods.contains(line)).map(|(_, _, amount)| amount).sum();
        let taken = if origin.member.is_some() { origin.taken_back(now) } else { 0 };
        for (line, many, amount) in &self.pending {
            let back = origin.back.entry(*line).or_default();
            *back = (back.0 + many, back.1 + amount);
        }
        let moved = (taken, given);
        assert_eq!(said, Vec::from_iter((moved != (0, 0)).then_some(moved)), "basket {}: points back", self.step);
        if let Some(index) = origin.member {
            self.accounts[index].balance += given - taken;
        }
    }

    /// Keeps the receipt for a later return.
    fn remember(&mut self, code: &str, sale: &checkout::sale::Sale) {
        let mut rows: Vec<SoldRow> = Vec::new();
        let mut used = BTreeSet::new();
        for (row, off) in self.basket.rows.iter().zip(self.basket.discounts()) {
            if row.back.is_some() || row.what == EMPTY {
                continue;
            }
            let is = |line: &&checkout::sale::SaleLine| {
                line.key.0 == row.what
                    && !line.kind.is_negative()
                    && (i64::from(line.quantity), line.unit_price.0) == (row.pieces, row.unit)
                    && line.weight_g.map_or(0, i64::from) == row.grams
                    && !used.contains(&line.no.0)
            };
            let line = sale.lines.iter().find(is);
            let line = line.unwrap_or_else(|| panic!("basket {}: {row:?} is a line of {sale:#?}", self.step));
            let paid = row.gross() - off;
            assert_eq!(line.total.0, paid, "basket {}: {row:?}", self.step);
            used.insert(line.no.0);
            rows.push(SoldRow { line: line.no.0, row: row.clone(), paid });
        }
        let taken = self.paid.iter().filter(|paid| paid.amount > 0);
        let tender =
            |paid: &Paid| Tender { kind: paid.kind, amount: paid.amount, points: paid.points, left: paid.amount };
        self.sold.push(Remembered {
            code: code.into(),
            rows,
            back: BTreeMap::new(),
            tenders: taken.map(tender).collect(),
            member: self.basket.member.map(|shopper| shopper.index),
            earned: self.basket.earns(&self.paid),
        });
    }
}
