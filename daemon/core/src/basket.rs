//! Transactions and their lines, from the first scan to the receipt number.

use crate::bagging::Bag;
use crate::catalog::Item;
use crate::coupon::{Coupon, CouponEvent};
use crate::device::{Beep, DeviceCommand};
use crate::event::Event;
use crate::intervention::Intervention;
use crate::line::{Line, LineSaving, Piece};
use crate::member::Identified;
use crate::page::Refused;
use crate::price::{self, PromotionUse, Terms};
use crate::refusal::LineRefusal;
use crate::rescan::Rescan;
use crate::sale::Sale;
use crate::scan::ItemCode;
use crate::scan::freshness::unsaleable;
use crate::tender::{Tender, TenderState};
use crate::turn::{Effect, Turn};
use crate::words::{ItemKey, LaneId, LineNo, Money, Name, Role, StaffId, TransactionId};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

pub const QUANTITY_MAX: u32 = 999;
pub const LINES_MAX: usize = 500;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BasketEvent {
    Started {
        transaction: TransactionId,
    },
    LineAdded(Box<Line>),
    Coupon(CouponEvent),
    /// An unknown code is not an error. `key` only where the code was one of goods.
    LineRefused {
        reason: LineRefusal,
        key: Option<ItemKey>,
    },
    QuantityChanged {
        line: LineNo,
        quantity: u32,
    },
    LineVoided {
        line: LineNo,
    },
    /// Staff set another price for the line; the catalogue's stands in [`Line::overridden`] from then on.
    PriceOverridden {
        line: LineNo,
        unit_price: Money,
        staff: StaffId,
        role: Role,
        reason: String,
    },
    /// A remark of staff on a line or, without one, on the basket; an empty one takes it back.
    Noted {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        line: Option<LineNo>,
        text: String,
        staff: StaffId,
    },
    /// What promotions and tax rules make of the basket; replaces the earlier ones.
    SavingsSet {
        savings: Vec<LineSaving>,
        /// How often promotions with a limit per member were used.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        uses: Vec<PromotionUse>,
        /// What the shopper brought to it, so that headquarters can work out the same.
        #[serde(default, skip_serializing_if = "Terms::is_nothing")]
        terms: Terms,
        /// Tax that comes on top of the prices.
        #[serde(default, skip_serializing_if = "Money::is_zero")]
        added_tax: Money,
        /// Campaigns whose coupons saved something.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        redeems: Vec<String>,
    },
    Voided {
        transaction: TransactionId,
        /// Where it was staff, and why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<VoidedBy>,
        /// Where it was nobody.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<VoidReason>,
    },
    /// Staff give up a basket that is partly paid: the money goes back first, then it is `Voided`.
    VoidBegun {
        by: VoidedBy,
    },
    /// Waits under its own id for another lane, or for the shopper to come back.
    Suspended {
        transaction: TransactionId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        staff: Option<StaffId>,
    },
    /// Goes on at this lane with everything it had.
    Resumed {
        transaction: TransactionId,
        from: LaneId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        staff: Option<StaffId>,
    },
    Completed(Box<Sale>),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoidedBy {
    pub staff: StaffId,
    pub reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VoidReason {
    /// Nobody touched the lane for so long.
    Idle { seconds: u32 },
    /// Suspended, and not asked for before the day was closed.
    DayClosed,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    pub id: TransactionId,
    pub lines: Vec<Line>,
    /// Under what the savings were worked out.
    #[serde(default, skip_serializing_if = "Terms::is_nothing")]
    pub terms: Terms,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<PromotionUse>,
    #[serde(default, skip_serializing_if = "Money::is_zero")]
    pub added_tax: Money,
    /// Campaigns whose coupons saved something.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redeems: Vec<String>,
    pub member: Option<Identified>,
    pub tenders: Vec<Tender>,
    pub interventions: Vec<Intervention>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// What coins that exist made of the total; its own line.
    pub rounding: Money,
    /// Being given up: what was paid is on its way back.
    pub voiding: Option<VoidedBy>,
    #[serde(default)]
    pub bag: Bag,
    #[serde(default)]
    pub rescan: Rescan,
    #[serde(default)]
    pub coupons: Vec<Coupon>,
}

impl Transaction {
    pub(crate) fn new(id: TransactionId) -> Self {
        Self {
            id,
            lines: Vec::new(),
            terms: Terms::default(),
            uses: Vec::new(),
            added_tax: Money::ZERO,
            redeems: Vec::new(),
            member: None,
            tenders: Vec::new(),
            interventions: Vec::new(),
            note: String::new(),
            rounding: Money::ZERO,
            voiding: None,
            bag: Bag { base_g: 0, lines: BTreeMap::new(), muted: false },
            coupons: Vec::new(),
            rescan: Rescan { decided: false, why: Vec::new(), matched: BTreeMap::new(), missed: 0 },
        }
    }

    /// Lines that count.
    pub fn live_lines(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| !line.voided)
    }

    #[must_use]
    pub fn pieces(&self) -> u32 {
        self.live_lines().map(|line| line.quantity).fold(0, u32::saturating_add)
    }

    #[must_use]
    pub fn subtotal(&self) -> Money {
        self.live_lines().map(Line::gross).sum()
    }

    #[must_use]
    pub fn discount(&self) -> Money {
        self.live_lines().map(Line::discount).sum()
    }

    #[must_use]
    pub fn total(&self) -> Money {
        self.subtotal().minus(self.discount()).plus(self.added_tax)
    }

    #[must_use]
    pub fn paid(&self) -> Money {
        self.tenders.iter().filter(|tender| tender.state == TenderState::Approved).map(|tender| tender.amount).sum()
    }

    /// Still to be paid; negative: to be given back.
    #[must_use]
    pub fn due(&self) -> Money {
        let owed = if self.voiding.is_some() { Money::ZERO } else { self.total().plus(self.rounding) };
        owed.minus(self.paid())
    }

    pub(crate) fn apply(&mut self, event: &BasketEvent) {
        match event {
            BasketEvent::LineAdded(line) => self.lines.push(Line::clone(line)),
            BasketEvent::QuantityChanged { line, quantity } => {
                if let Some(line) = self.line_mut(*line) {
                    line.quantity = *quantity;
                }
            }
            BasketEvent::LineVoided { line } => {
                if let Some(line) = self.line_mut(*line) {
                    line.voided = true;
                }
            }
            BasketEvent::PriceOverridden { line, unit_price, staff, role, reason } => {
                if let Some(line) = self.line_mut(*line) {
                    line.set_price(*unit_price, staff, *role, reason);
                }
            }
            BasketEvent::Coupon(event) => self.apply_coupon(event),
            BasketEvent::Noted { line: Some(line), text, .. } => {
                if let Some(line) = self.line_mut(*line) {
                    line.note.clone_from(text);
                }
            }
            BasketEvent::Noted { line: None, text, .. } => self.note.clone_from(text),
            BasketEvent::SavingsSet { savings, uses, terms, added_tax, redeems } => {
                self.lines.iter_mut().for_each(|line| line.savings.clear());
                for of_line in savings.chunk_by(|a, b| a.line == b.line) {
                    if let Some(line) = of_line.first().and_then(|first| self.line_mut(first.line)) {
                        line.savings.extend_from_slice(of_line);
                    }
                }
                self.uses.clone_from(uses);
                self.redeems.clone_from(redeems);
                self.terms = terms.clone();
                self.added_tax = *added_tax;
            }
            BasketEvent::VoidBegun { by } => self.voiding = Some(by.clone()),
            BasketEvent::Started { .. }
            | BasketEvent::LineRefused { .. }
            | BasketEvent::Suspended { .. }
            | BasketEvent::Resumed { .. }
            | BasketEvent::Voided { .. }
            | BasketEvent::Completed(_) => {}
        }
    }

    fn line_mut(&mut self, no: LineNo) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.no == no)
    }
}

/// Scanning.
impl Turn<'_> {
    /// Goods were scanned on `lane`.
    pub(crate) fn item(&mut self, lane: LaneId, code: &ItemCode) {
        if self.money_moves(lane) {
            return self.refuse_line(lane, LineRefusal::Paying, Some(code.key.clone()));
        }
        if self.looks_at(lane, code) {
            return;
        }
        let Some(item) = self.catalog.item(&code.key) else {
            let nothing = self.catalog.price_book().0.is_empty();
            let reason = if nothing { LineRefusal::NoGoods } else { LineRefusal::UnknownItem };
            return self.refuse_line(lane, reason, Some(code.key.clone()));
        };
        let unsaleable = unsaleable(code, self.config.scan.freshness, self.now.local(), self.catalog);
        if let Some((reason, told)) = unsaleable {
            return self.refuse_lot(lane, reason, told, &code.key);
        }
        if self.open(lane).is_some_and(|open| open.lines.len() >= LINES_MAX) {
            return self.refuse_line(lane, LineRefusal::Full, Some(code.key.clone()));
        }
        let item = item.priced(self.now.local());
        let serial = code.serial.clone();
        if let Err(reason) = self.check_serial(&item, serial.as_deref()) {
            return self.refuse_line(lane, reason, Some(code.key.clone()));
        }
        self.live.lane(lane).weighing = None;
        // A label that says zero grams wants to be weighed here.
        match (item.by_weight, code.weight_g.filter(|grams| *grams > 0)) {
            (true, None) if code.price.is_none() => self.weigh(lane, item),
            (_, weight_g) => {
                let unit_price = code.price.unwrap_or(item.price);
                let weight_g = weight_g.filter(|_| item.by_weight && code.price.is_none());
                self.add_line(
                    lane,
                    item,
                    Piece { weight_g, serial, labelled: code.price.is_some(), ..Piece::at(unit_price) },
                );
            }
        }
    }

    pub(crate) fn add_line(&mut self, lane: LaneId, item: Item, piece: Piece) {
        let Some(children) = self.linked(&item) else {
            return self.refuse_line(lane, LineRefusal::UnknownItem, Some(item.key));
        };
        self.begin(lane);
        let line = self.line(lane, item, piece, None);
        let book = self.catalog.promotions();
        let same = |old: &&Line| old.is_one_more(&line) && price::alike(old, &line, book);
        let repeated =
            self.open(lane).and_then(|open| open.live_lines().find(same)).map(|line| (line.no, line.quantity));
        match repeated {
            Some((line, quantity)) => self.change_quantity(lane, line, quantity.saturating_add(1)),
            None => {
                let parent = line.no;
                self.tell_cheaper_than(lane, &line);
                self.record(Some(lane), Event::Basket(BasketEvent::LineAdded(Box::new(line))));
                for child in children {
                    let piece = Piece::at(child.price);
                    let line = self.line(lane, child, piece, Some(parent));
                    self.record(Some(lane), Event::Basket(BasketEvent::LineAdded(Box::new(line))));
                }
            }
        }
        self.beep(lane, Beep::Good);
        self.basket_changed(lane);
    }

    /// What has to follow every change of a basket.
    pub(crate) fn basket_changed(&mut self, lane: LaneId) {
        self.reprice(lane);
        self.review(lane);
        self.bag_look(lane);
    }

    /// What comes with `item`; `None` where the catalogue does not know a part of it, so that no deposit is forgotten.
    fn linked(&self, item: &Item) -> Option<Vec<Item>> {
        let find = |key| self.catalog.item(key).map(|item| item.priced(self.now.local()));
        let linked: Vec<Item> = item.linked.iter().map(find).collect::<Option<_>>()?;
        let deposits = linked.iter().filter_map(|linked| linked.deposit.as_ref()).chain(&item.deposit);
        let deposits: Vec<Item> = deposits.map(find).collect::<Option<_>>()?;
        Some(linked.into_iter().chain(deposits).collect())
    }

    pub(crate) fn line(&self, lane: LaneId, item: Item, piece: Piece, parent: Option<LineNo>) -> Line {
        let count = self.open(lane).map_or(0, |open| open.lines.len());
        let goods = item.kind.is_goods();
        // A label that carries its price has no other.
        let listed = goods && !piece.labelled;
        Line {
            no: LineNo(u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1)),
            kind: item.kind,
            parent,
            key: item.key,
            name: item.name,
            quantity: 1,
            weight_g: piece.weight_g,
            unit_price: piece.unit_price,
            tax_bp: item.tax_bp,
            price_book: self.catalog.price_book(),
            min_age: item.min_age,
            offer: item.offer.filter(|_| goods),
            member_price: item.member_price.filter(|_| listed),
            levels: if listed { item.levels } else { BTreeMap::new() },
            breaks: if listed { item.breaks } else { Vec::new() },
            group: item.group,
            content: item.content,
            priced_at: Some(self.now.local()),
            tare_g: piece.tare_g,
            scale_total: piece.scale_total,
            labelled: piece.labelled,
            serial: piece.serial,
            piece_g: item.piece_g,
            blocked: item.blocked,
            overridden: None,
            note: String::new(),
            voided: false,
            savings: Vec::new(),
            returned: None,
        }
    }

    pub(crate) fn begin(&mut self, lane: LaneId) {
        if self.open(lane).is_some() {
            return;
        }
        let serial = self.facts.transactions.saturating_add(1);
        // The serial tells apart what one journal gave out, the nonce what two starts from one restored disk did.
        let id = alloc::format!("{}-{lane}-{}-{serial}", self.config.box_id, base36(self.facts.nonce));
        let live = self.live.lane(lane);
        live.done = false;
        live.face = None;
        self.record(Some(lane), Event::Basket(BasketEvent::Started { transaction: TransactionId(id) }));
    }

    pub(crate) fn refuse_line(&mut self, lane: LaneId, reason: LineRefusal, key: Option<ItemKey>) {
        self.record(Some(lane), Event::Basket(BasketEvent::LineRefused { reason, key }));
        self.beep(lane, Beep::Bad);
        self.notice(lane, false, reason.text());
    }

    /// As any refused line, and with it what the recall says.
    fn refuse_lot(&mut self, lane: LaneId, reason: LineRefusal, told: Option<Name>, key: &ItemKey) {
        self.refuse_line(lane, reason, Some(key.clone()));
        if let Some(told) = told {
            let (zh, en) = reason.text();
            self.notice(lane, false, (&alloc::format!("{zh}：{}", told.zh), &alloc::format!("{en}: {}", told.en)));
        }
    }

    pub(crate) fn beep(&mut self, lane: LaneId, beep: Beep) {
        for device in self.config.lane(lane).map(|lane| lane.scanners.clone()).unwrap_or_default() {
            self.out.effects.push(Effect::Device { device, command: DeviceCommand::Beep(beep) });
        }
    }
}

/// Changing and ending a basket.
impl Turn<'_> {
    pub(crate) fn set_quantity(&mut self, lane: LaneId, no: LineNo, quantity: u32) -> Result<(), Refused> {
        let line = self.editable_line(lane, no)?;
        let counted = line.weight_g.is_none() && line.serial.is_none() && line.returned.is_none();
        if quantity == 0 || quantity > QUANTITY_MAX || !counted {
            return Err(Refused::BadQuantity);
        }
        self.change_quantity(lane, no, quantity);
        self.basket_changed(lane);
        Ok(())
    }

    pub(crate) fn void_line(&mut self, lane: LaneId, no: LineNo) -> Result<(), Refused> {
        self.editable_line(lane, no)?;
        self.take_out(lane, no);
        self.basket_changed(lane);
        Ok(())
    }

    pub(crate) fn change_quantity(&mut self, lane: LaneId, no: LineNo, quantity: u32) {
        for line in self.family(lane, no) {
            self.record(Some(lane), Event::Basket(BasketEvent::QuantityChanged { line, quantity }));
        }
    }

    pub(crate) fn take_out(&mut self, lane: LaneId, no: LineNo) {
        for line in self.family(lane, no) {
            self.record(Some(lane), Event::Basket(BasketEvent::LineVoided { line }));
        }
    }

    /// A line and what came with it.
    fn family(&self, lane: LaneId, no: LineNo) -> Vec<LineNo> {
        let Some(open) = self.open(lane) else { return Vec::new() };
        open.live_lines().filter(|line| line.no == no || line.parent == Some(no)).map(|line| line.no).collect()
    }

    /// A line that can be changed by itself.
    pub(crate) fn editable_line(&self, lane: LaneId, no: LineNo) -> Result<&Line, Refused> {
        let open = self.editable(lane)?;
        let line = open.live_lines().find(|line| line.no == no).ok_or(Refused::NoSuchLine)?;
        if line.parent.is_some() { Err(Refused::ComesWithLine) } else { Ok(line) }
    }

    /// The open basket, where nothing of it is being paid and nothing was.
    pub(crate) fn editable(&self, lane: LaneId) -> Result<&Transaction, Refused> {
        let open = self.open(lane).ok_or(Refused::NothingHere)?;
        if self.money_moves(lane) { Err(Refused::Paying) } else { Ok(open) }
    }

    /// While a payment is under way or has moved money, the lines stand still.
    pub(crate) fn money_moves(&self, lane: LaneId) -> bool {
        self.live.lanes.get(&lane).is_some_and(|live| live.pays_by_code().is_some())
            || self.tender_in_flight(lane).is_some()
            || self.open(lane).is_some_and(|open| open.paid() != Money::ZERO || open.voiding.is_some())
    }

    pub(crate) fn void_transaction(&mut self, lane: LaneId) -> Result<(), Refused> {
        // Leaving the wait for a wallet code is part of giving up.
        let waiting = self.live.lane(lane).wants_code.take();
        let transaction = match self.editable(lane) {
            Ok(open) => open.id.clone(),
            Err(refused) => {
                self.live.lane(lane).wants_code = waiting;
                return Err(refused);
            }
        };
        self.void(lane, transaction, None, None);
        Ok(())
    }

    pub(crate) fn void(
        &mut self,
        lane: LaneId,
        transaction: TransactionId,
        by: Option<VoidedBy>,
        why: Option<VoidReason>,
    ) {
        self.record(Some(lane), Event::Basket(BasketEvent::Voided { transaction, by, why }));
        self.live.lane(lane).clear();
    }
}

fn base36(mut n: u64) -> String {
    let mut digits: Vec<char> = Vec::new();
    loop {
        let digit = u32::try_from(n % 36).ok().and_then(|digit| char::from_digit(digit, 36)).unwrap_or('0');
        digits.push(digit);
        n /= 36;
        if n == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}
