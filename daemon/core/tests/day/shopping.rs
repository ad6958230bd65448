//! What shoppers do before they pay: take goods, put some back, show coupons, bring things back, walk on to another lane.

use super::books::{Back, Basket, CARD, Row, half_away};
use super::goods::{
    BREAD, CHARGER, CHEESE, COLA, DEPOSIT, EMPTY, FORMULA, HAM, JUICE, MEMBERS, MILK, NOODLES, PEARS, PHONE, PLATTER,
    SPIRITS, TEA, WATER,
};
use super::{Day, EVENING, KIOSK, PHONES, TILLS};
use checkout::device::{DeviceEvent, Weight};
use checkout::page::{Method, PageRequest, ReturnRequest, ShiftRequest, StaffRequest};
use checkout::refusal::LineRefusal;
use checkout::scan::Printed;
use checkout::store::HqInput;
use checkout::wire::{Answer, Question};
use checkout::words::{Grams, LaneId, LineNo, Money};
use checkout::{Effect, Input};

impl Day {
    pub fn begin(&mut self) {
        self.basket = Basket { online: self.online, promotions: self.promotions, ..Basket::empty() };
        (self.paid, self.rounding, self.origin, self.pending) = (Vec::new(), 0, None, Vec::new());
    }

    pub fn shopper(&mut self) {
        self.begin();
        self.drawer();
        let till = TILLS[self.random.below(2)];
        if self.random.one_in(8) && self.bring_back(till) {
            return self.exchange(till);
        }
        if self.random.one_in(50) {
            self.bring_without_receipt(till);
            return self.exchange(till);
        }
        let mut lane = [KIOSK, TILLS[0], TILLS[1], PHONES][self.random.below(4)];
        if self.random.one_in(3) {
            let index = self.random.below(2);
            self.known(lane, index);
        }
        self.goods(lane);
        if self.random.one_in(10) {
            self.void_line(lane);
        }
        self.coupons(lane);
        if lane == PHONES || self.random.one_in(10) {
            let code = self.put_by(lane);
            lane = if self.random.one_in(2) { KIOSK } else { till };
            self.key(lane, &code);
            self.did("handed over");
        }
        if self.random.one_in(15) { self.void(lane) } else { self.settle(lane) }
    }

    fn exchange(&mut self, till: u16) {
        if self.random.one_in(2) {
            if self.random.one_in(3) {
                let index = self.random.below(2);
                self.known(till, index);
            }
            self.goods(till);
            self.did("exchange");
        }
        if self.random.one_in(20) { self.void(till) } else { self.settle(till) }
    }

    pub fn known(&mut self, lane: u16, index: usize) {
        self.key(lane, MEMBERS[index]);
        self.basket.member = Some(self.member(index));
        let points = self.lane(lane).member.and_then(|member| member.points).expect("the shop gives points");
        let balance = i64::try_from(points.balance).expect("small");
        assert_eq!(balance, self.accounts[index].balance, "basket {}: the points of {index}", self.step);
    }

    fn goods(&mut self, lane: u16) {
        for _ in 0..=self.random.below(5) {
            match self.random.below(18) {
                0..=2 => self.pick(lane, COLA),
                3 | 4 => self.noodles(lane),
                5 => self.pick(lane, WATER),
                6 => (0..6).for_each(|_| self.pick(lane, WATER)),
                7 | 8 if lane != PHONES => self.pears(lane),
                9 => self.pick(lane, TEA),
                10 => self.pick(lane, JUICE),
                11 => self.pick(lane, BREAD),
                12 => self.cheese(lane),
                13 => self.label(lane, HAM),
                14 => self.label(lane, PLATTER),
                15 => self.milk(lane),
                16 if self.random.one_in(2) => self.formula(lane),
                16 => self.pick(lane, SPIRITS),
                17 if self.random.one_in(3) => self.phone(lane),
                _ => (0..2).for_each(|_| self.pick(lane, TEA)),
            }
            self.answers(lane);
        }
        // A no may have left nothing.
        if self.basket.rows.iter().all(|row| row.back.is_some()) {
            self.pick(lane, BREAD);
        }
        if self.random.one_in(15) && self.basket.worth() > 100 {
            self.key(lane, EMPTY);
            self.count(EMPTY, 25);
            self.did("bottle return");
        }
    }

    /// One more of it at the price of the moment.
    pub fn pick(&mut self, lane: u16, what: &'static str) {
        self.key(lane, what);
        self.count(what, self.shelved.price(what));
        if what == WATER {
            self.count(DEPOSIT, self.shelved.price(DEPOSIT));
        }
    }

    fn count(&mut self, what: &'static str, unit: i64) {
        let same = |row: &&mut Row| row.what == what && row.unit == unit && row.back.is_none() && !row.by_hand;
        match self.basket.rows.iter_mut().find(same) {
            Some(row) => row.pieces += 1,
            None => self.basket.rows.push(Row::of(what, unit)),
        }
    }

    fn noodles(&mut self, lane: u16) {
        let have =
            self.basket.rows.iter().filter(|row| row.what == NOODLES && row.back.is_none()).map(|row| row.pieces);
        if self.basket.member.is_none() || have.sum::<i64>() < 2 {
            self.pick(lane, NOODLES);
        }
    }

    /// Weighed here: less the packing that the catalogue or staff says, or as a scale that computes prices says.
    fn pears(&mut self, lane: u16) {
        let net = 50 + self.random.up_to(2_000);
        self.key(lane, PEARS);
        let grams = |grams: i64| Grams(u32::try_from(grams).expect("small"));
        let mut row = Row { grams: net, ..Row::of(PEARS, 798) };
        let weight = match self.random.below(3) {
            0 => {
                // Its own rounding is the legal one, also where ours would come to a little less.
                let total = half_away(798 * net, 1_000) + 1;
                row.legal = Some(total);
                self.did("priced by the scale");
                Weight::Priced { net: grams(net), unit_price: Money(798), total: Money(total) }
            }
            1 => {
                self.staff(lane, StaffRequest::SetTare { tare_g: 20 });
                self.did("tare by staff");
                Weight::Stable(grams(net + 20))
            }
            _ => {
                self.did("tare by the catalogue");
                Weight::Stable(grams(net + 5))
            }
        };
        self.device(format!("scale-{lane}"), DeviceEvent::Weight(weight));
        self.basket.rows.push(row);
    }

    fn label(&mut self, lane: u16, what: &'static str) {
        let number = 100 + self.random.up_to(3_000);
        let body = format!("{what}{number:05}");
        let sum: u32 = body.bytes().rev().zip([3, 1].into_iter().cycle()).map(|(c, by)| u32::from(c - b'0') * by).sum();
        self.key(lane, &format!("{body}{}", (10 - sum % 10) % 10));
        if what == HAM {
            self.basket.rows.push(Row { grams: number, ..Row::of(HAM, 2_590) });
        } else {
            self.count(PLATTER, number);
        }
        self.did("label");
    }

    fn cheese(&mut self, lane: u16) {
        self.pick(lane, CHEESE);
        if !self.random.one_in(2) {
            return;
        }
        let line = self.line_of(lane, |line| line.key.0 == CHEESE && line.overridden.is_none());
        let reason = "dented".into();
        self.staff(lane, StaffRequest::OverridePrice { line, unit_price: Money(1_200), reason });
        let row = self.basket.rows.iter_mut().find(|row| row.what == CHEESE && row.back.is_none() && !row.by_hand);
        let row = row.expect("it was picked");
        (row.unit, row.by_hand) = (1_200, true);
        self.did("price by hand");
    }

    /// Two are sold without a question; who takes a third is asked.
    fn formula(&mut self, lane: u16) {
        for _ in 0..=self.random.below(3) {
            self.pick(lane, FORMULA);
            self.answers(lane);
        }
    }

    fn milk(&mut self, lane: u16) {
        let bad = self.random.one_in(3);
        self.key(lane, &format!("010{MILK}10{}", if bad { "BAD" } else { "L1" }));
        if bad {
            assert_eq!(self.refused(), Some(LineRefusal::Recalled));
            self.did("recalled lot");
        } else {
            self.count(MILK, 890);
        }
    }

    /// Each has a number of its own and a charger; one a basket.
    fn phone(&mut self, lane: u16) {
        if self.basket.rows.iter().any(|row| row.what == PHONE && row.back.is_none()) {
            return;
        }
        self.serials += 1;
        self.key(lane, &format!("010{PHONE}21A{}", self.serials));
        self.count(PHONE, 99_900);
        self.count(CHARGER, 5_900);
        self.did("serialised");
        if self.serials > 1 && self.random.one_in(3) {
            self.key(lane, &format!("010{PHONE}21A{}", self.serials));
            assert_eq!(self.refused(), Some(LineRefusal::SerialSold), "one piece is sold once");
            self.did("serial sold already");
        }
    }

    fn line_of(&self, lane: u16, is: impl Fn(&checkout::line::Line) -> bool) -> LineNo {
        let open = self.store.facts().lanes[&LaneId(lane)].open.as_ref().expect("a basket");
        open.live_lines().find(|line| line.returned.is_none() && is(line)).expect("such a line").no
    }

    /// Leaves the basket with what came with it.
    fn void_line(&mut self, lane: u16) {
        let mut leaves: Vec<usize> = vec![self.random.below(self.basket.rows.len())];
        let row = self.basket.rows[leaves[0]].clone();
        if matches!(row.what, DEPOSIT | CHARGER | EMPTY) || row.by_hand {
            return;
        }
        let child = match row.what {
            WATER => Some(DEPOSIT),
            PHONE => Some(CHARGER),
            _ => None,
        };
        leaves.extend(child.and_then(|child| self.basket.rows.iter().position(|row| row.what == child)));
        let rest = Basket {
            rows: (0..self.basket.rows.len())
                .filter(|index| !leaves.contains(index))
                .map(|index| self.basket.rows[index].clone())
                .collect(),
            ..self.basket.clone()
        };
        if rest.worth() <= 0 {
            return;
        }
        let same = |line: &checkout::line::Line| {
            let grams = line.weight_g.map_or(0, i64::from);
            line.key.0 == row.what && grams == row.grams && line.unit_price.0 == row.unit && line.overridden.is_none()
        };
        let line = self.line_of(lane, same);
        self.press(lane, PageRequest::VoidLine { line });
        let off = self.basket.discounts();
        let worth: i64 = leaves.iter().map(|index| self.basket.rows[*index].gross() - off[*index]).sum();
        let many = i64::try_from(leaves.len()).expect("two at most");
        self.book(lane, |books| books.line_voids = (books.line_voids.0 + many, books.line_voids.1 + worth));
        self.basket.rows = rest.rows;
        self.did("line void");
    }

    fn coupons(&mut self, lane: u16) {
        let colas = self.basket.rows.iter().filter(|row| row.what == COLA).map(|row| row.pieces).sum::<i64>();
        if colas > 0 && self.random.one_in(2) {
            for _ in 0..colas.min(1 + self.random.up_to(2)) {
                self.cola_coupon(lane);
            }
        }
        if self.basket.spent() >= 3_000 && self.random.one_in(2) {
            self.voucher(lane);
        }
    }

    pub fn cola_coupon(&mut self, lane: u16) {
        let again = self.random.one_in(10).then(|| self.used_colas.last().cloned()).flatten();
        let used_before = again.is_some();
        let Some(serial) = again.or_else(|| self.free_colas.pop()) else { return };
        let code = Printed::Coupon.code(&format!("cola.{serial}")).expect("a code");
        let over = self.utc >= EVENING;
        let expected = match () {
            () if over => Some(LineRefusal::CouponExpired),
            () if used_before => Some(LineRefusal::CouponUsed),
            () => None,
        };
        let shown = self.show(lane, "cola", &code, expected);
        if shown == Some(true) {
            self.basket.colas.push(serial);
        } else if shown.is_none() && !used_before {
            self.free_colas.push(serial);
        }
    }

    /// Handed out with an earlier receipt, and signed.
    fn voucher(&mut self, lane: u16) {
        let Some(code) = self.vouchers.pop() else { return };
        if self.random.one_in(10) {
            let forged = Printed::Coupon.code("next.b9-1-1-7.2026-09-23.forged").expect("a code");
            self.key(lane, &forged);
            assert_eq!(self.refused(), Some(LineRefusal::UnknownCoupon));
            self.did("forged coupon");
        }
        match self.show(lane, "next", &code, None) {
            Some(true) => self.basket.next = Some(code),
            Some(false) => {}
            None => self.vouchers.insert(0, code),
        }
    }

    /// Whether it is with the basket now; nothing: it was refused and stays the shopper's, `false`: somebody else used it.
    fn show(&mut self, lane: u16, campaign: &'static str, code: &str, wrong: Option<LineRefusal>) -> Option<bool> {
        let (most, gone) = (if campaign == "cola" { 12 } else { 5 }, self.leased.get(campaign).copied().unwrap_or(0));
        let held = if campaign == "cola" { self.basket.colas.len() } else { 0 };
        self.key(lane, code);
        if wrong.is_some() {
            assert_eq!(self.refused(), wrong, "basket {}: {code}", self.step);
            self.did(if wrong == Some(LineRefusal::CouponUsed) { "coupon used" } else { "coupon over" });
            return None;
        }
        if !self.online {
            let enough = gone + held >= most;
            assert_eq!(self.refused(), enough.then_some(LineRefusal::CouponOffline), "basket {}: {code}", self.step);
            self.did(if enough { "lease exhausted" } else { "coupon under a lease" });
            return (!enough).then_some(true);
        }
        let asked = self.last.effects.iter().find_map(|effect| match effect {
            Effect::Ask { what: Question::ClaimCoupon { campaign, serial }, .. } => {
                Some((campaign.clone(), serial.clone()))
            }
            Effect::Ask { .. } | Effect::Device { .. } | Effect::Reply { .. } | Effect::Control(_) => None,
        });
        let (campaign, serial) = asked.unwrap_or_else(|| panic!("basket {}: {code} is not claimed", self.step));
        let used = self.random.one_in(12).then(|| "box-2".to_owned());
        let elsewhere = used.is_some();
        self.take(Input::Hq(HqInput::Answer(Answer::Coupon { campaign, serial, used })));
        assert_eq!(self.refused(), elsewhere.then_some(LineRefusal::CouponUsed));
        self.did(if elsewhere { "coupon used elsewhere" } else { "coupon claimed" });
        Some(!elsewhere)
    }

    pub fn put_by(&mut self, lane: u16) -> String {
        self.press(lane, PageRequest::Suspend {});
        let code = self.lane(lane).handed.expect("a code is shown");
        self.press(lane, PageRequest::Next {});
        code
    }

    /// Nobody buys; many of those at a till have paid a part, which goes back.
    fn void(&mut self, lane: u16) {
        let worth = self.basket.worth();
        if lane != KIOSK && worth > 300 {
            match self.random.below(3) {
                0 => {
                    self.staff(lane, StaffRequest::TakeCash { given: Money(100), amount: Some(Money(100)) });
                    self.did("void after cash");
                }
                1 => {
                    self.card(lane, 100);
                    self.did("void after card");
                }
                _ if self.burn(lane, 200) > 0 => self.did("void after points"),
                _ => {}
            }
        }
        self.staff(lane, StaffRequest::VoidTransaction { reason: "changed their mind".into() });
        if self.paid.iter().any(|paid| paid.kind == CARD) {
            self.resolve(lane);
        }
        self.book(lane, |books| books.voids = (books.voids.0 + 1, books.voids.1 + worth));
        self.free_colas.append(&mut self.basket.colas);
        self.vouchers.extend(self.basket.next.take());
        self.did("void");
    }

    /// Somebody comes with a receipt and brings a part of it back.
    fn bring_back(&mut self, till: u16) -> bool {
        if self.sold.is_empty() {
            return false;
        }
        let at = self.random.below(self.sold.len());
        let sale = &self.sold[at];
        let left = |line: &u32, pieces: i64| pieces - sale.back.get(line).map_or(0, |back| back.0);
        let lines: Vec<_> =
            sale.rows.iter().filter(|sold| left(&sold.line, sold.row.pieces) > 0).take(2).cloned().collect();
        if lines.is_empty() {
            return false;
        }
        let code = sale.code.clone();
        self.key(till, &code);
        for sold in lines {
            let (pieces, money) = self.sold[at].back.get(&sold.line).copied().unwrap_or_default();
            let many = 1 + self.random.up_to(sold.row.pieces - pieces);
            let amount = half_away(sold.paid * (pieces + many), sold.row.pieces) - money;
            let quantity = u32::try_from(many).expect("small");
            self.staff(till, StaffRequest::Return(ReturnRequest::Line { line: LineNo(sold.line), quantity }));
            self.pending.push((sold.line, many, amount));
            let back = Some(Back { amount, receipt: true });
            self.basket.rows.push(Row { pieces: many, back, ..sold.row });
        }
        self.origin = Some(at);
        self.did("return");
        true
    }

    /// What it costs today, on a supervisor's word.
    fn bring_without_receipt(&mut self, till: u16) {
        let pieces = 1 + self.random.up_to(2);
        let amount = pieces * self.shelved.price(TEA);
        let quantity = u32::try_from(pieces).expect("small");
        let request =
            ReturnRequest::Goods { code: TEA.into(), quantity, weight_g: None, reason: "a gift, no receipt".into() };
        self.staff(till, StaffRequest::Return(request));
        let back = Some(Back { amount, receipt: false });
        self.basket.rows.push(Row { pieces, back, ..Row::of(TEA, self.shelved.price(TEA)) });
        self.did("return without receipt");
    }

    fn drawer(&mut self) {
        let amount = 100 + self.random.up_to(900);
        let till = TILLS[self.random.below(2)];
        let request = match self.random.below(60) {
            0 => ShiftRequest::PaidIn { amount: Money(amount), reason: "change".into() },
            1 => ShiftRequest::PaidOut { amount: Money(amount), reason: "postage".into() },
            2 => ShiftRequest::Drop { amount: Money(amount) },
            3 => ShiftRequest::NoSale { reason: "change for a shopper".into() },
            _ => return,
        };
        self.staff(till, StaffRequest::Shift(request.clone()));
        let (what, write): (_, fn(&mut super::Books, i64)) = match request {
            ShiftRequest::PaidIn { .. } => ("paid in", |books, amount| books.paid_in += amount),
            ShiftRequest::PaidOut { .. } => ("paid out", |books, amount| books.paid_out += amount),
            ShiftRequest::Drop { .. } => ("drop", |books, amount| books.dropped += amount),
            ShiftRequest::NoSale { .. }
            | ShiftRequest::Open { .. }
            | ShiftRequest::Close { .. }
            | ShiftRequest::PrintX {}
            | ShiftRequest::PrintZ {} => ("no sale", |books, _| books.opened += 1),
        };
        self.book(till, |books| write(books, amount));
        self.did(what);
    }

    /// Pays by card, wallet or points; where the draw wants a look first, staff looks.
    pub fn pay_by(&mut self, lane: u16, method: Method, amount: Option<i64>) {
        let what = || PageRequest::Pay { method, amount: amount.map(Money) };
        if self.asked(lane, what()).is_err() {
            self.look(lane);
            self.press(lane, what());
        }
    }
}
