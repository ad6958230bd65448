//! Transactions and their lines, from the first scan to the receipt number.

use crate::catalog::{Item, Offer};
use crate::device::{Beep, DeviceCommand, ScaleFault, Weight};
use crate::event::Event;
use crate::lane::Intervention;
use crate::member::Identified;
use crate::page::Refused;
use crate::price;
use crate::receipt::TaxLine;
use crate::scan::{ItemCode, Refusal};
use crate::tender::{Tender, TenderState};
use crate::turn::{Effect, Turn};
use crate::view::TenderKind;
use crate::words::{
    DeviceId, ItemKey, LaneId, LineNo, MemberId, Money, Name, PriceBook, ReceiptNo, TenderId, TransactionId,
};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

pub const QUANTITY_MAX: u32 = 999;
pub const LINES_MAX: usize = 500;
/// An item by weight waits this long for a stable weight.
pub const WEIGH_MS: u64 = 30_000;
/// An empty or moving plate is looked at again after this long.
pub const WEIGH_AGAIN_MS: u64 = 300;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BasketEvent {
    Started {
        transaction: TransactionId,
    },
    LineAdded(Line),
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
    /// All savings of the basket; replaces the earlier ones.
    SavingsSet {
        savings: Vec<LineSaving>,
    },
    Voided {
        transaction: TransactionId,
    },
    Completed(Sale),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineRefusal {
    Code(Refusal),
    UnknownItem,
    UnknownMember,
    Paying,
    NoScale,
    NoWeight,
    Full,
    /// A coupon, badge, receipt, exit pass or order where this lane takes none.
    NotTaken,
}

/// What a line is to the sale; money of a bottle return or returned goods goes to the shopper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    #[default]
    Goods,
    /// Comes and goes with its parent line; no promotion touches it.
    Deposit,
    /// An empty bottle or crate brought back.
    BottleReturn,
    /// Goods brought back.
    Returned,
}

impl LineKind {
    #[must_use]
    pub fn is_goods(&self) -> bool {
        *self == Self::Goods
    }

    /// Money flows to the shopper.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        matches!(self, Self::BottleReturn | Self::Returned)
    }
}

/// A line carries everything it was priced with, so that the journal replays the same after the catalogue changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub no: LineNo,
    #[serde(default, skip_serializing_if = "LineKind::is_goods")]
    pub kind: LineKind,
    /// The line this one came with, such as a bottle's deposit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<LineNo>,
    pub key: ItemKey,
    pub name: Name,
    pub quantity: u32,
    pub weight_g: Option<u32>,
    /// Per piece, or per kilogram where it was weighed.
    pub unit_price: Money,
    pub tax_bp: u32,
    pub price_book: PriceBook,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_age: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_price: Option<Money>,
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub voided: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saving: Option<LineSaving>,
}

impl Line {
    #[must_use]
    pub fn gross(&self) -> Money {
        let amount = price::extended(self.unit_price, self.quantity, self.weight_g);
        if self.kind.is_negative() { Money::ZERO.minus(amount) } else { amount }
    }

    #[must_use]
    pub fn total(&self) -> Money {
        self.gross().minus(self.saving.as_ref().map_or(Money::ZERO, |saving| saving.amount))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineSaving {
    pub line: LineNo,
    /// Offer id, or `member`.
    pub offer: String,
    pub name: Name,
    pub amount: Money,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    pub id: TransactionId,
    pub lines: Vec<Line>,
    pub member: Option<Identified>,
    pub tenders: Vec<Tender>,
    pub interventions: Vec<Intervention>,
}

/// A completed sale: what the box computed is the record; HQ verifies it and never recomputes silently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sale {
    pub transaction: TransactionId,
    pub receipt: ReceiptNo,
    pub currency: String,
    pub total: Money,
    pub discount: Money,
    pub taxes: Vec<TaxLine>,
    pub tenders: Vec<SaleTender>,
    pub change: Money,
    pub member: Option<MemberId>,
    pub lines: Vec<SaleLine>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleTender {
    pub tender: TenderId,
    pub kind: TenderKind,
    pub amount: Money,
    /// What the receipt has to show: truncated card, terminal and trace, provider reference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleLine {
    pub no: LineNo,
    #[serde(default, skip_serializing_if = "LineKind::is_goods")]
    pub kind: LineKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<LineNo>,
    pub key: ItemKey,
    pub name: Name,
    pub quantity: u32,
    pub weight_g: Option<u32>,
    pub unit_price: Money,
    pub discount: Money,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<LineSaving>,
    pub total: Money,
    pub price_book: PriceBook,
}

impl Transaction {
    pub(crate) const fn new(id: TransactionId) -> Self {
        Self { id, lines: Vec::new(), member: None, tenders: Vec::new(), interventions: Vec::new() }
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
    pub fn total(&self) -> Money {
        self.live_lines().map(Line::total).sum()
    }

    #[must_use]
    pub fn paid(&self) -> Money {
        self.tenders.iter().filter(|tender| tender.state == TenderState::Approved).map(|tender| tender.amount).sum()
    }

    #[must_use]
    pub fn due(&self) -> Money {
        self.total().minus(self.paid())
    }

    pub(crate) fn apply(&mut self, event: &BasketEvent) {
        match event {
            BasketEvent::LineAdded(line) => self.lines.push(line.clone()),
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
            BasketEvent::SavingsSet { savings } => {
                for line in &mut self.lines {
                    line.saving = savings.iter().find(|saving| saving.line == line.no).cloned();
                }
            }
            BasketEvent::Started { .. }
            | BasketEvent::LineRefused { .. }
            | BasketEvent::Voided { .. }
            | BasketEvent::Completed(_) => {}
        }
    }

    fn line_mut(&mut self, no: LineNo) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.no == no)
    }

    fn sale(&self, receipt: ReceiptNo, currency: &str, change: Money) -> Sale {
        let tender = |tender: &Tender| SaleTender {
            tender: tender.id.clone(),
            kind: tender.kind,
            amount: tender.amount,
            details: details(tender),
        };
        Sale {
            transaction: self.id.clone(),
            receipt,
            currency: currency.into(),
            total: self.total(),
            discount: self.subtotal().minus(self.total()),
            taxes: price::taxes(self.live_lines()),
            tenders: self.tenders.iter().filter(|tender| tender.state == TenderState::Approved).map(tender).collect(),
            change,
            member: self.member.as_ref().map(|member| member.member.clone()),
            lines: self.live_lines().map(sale_line).collect(),
        }
    }
}

fn details(tender: &Tender) -> Vec<String> {
    let Some(slip) = &tender.slip else {
        return if tender.reference.is_empty() { Vec::new() } else { alloc::vec![tender.reference.clone()] };
    };
    let pan = slip.pan.as_ref().map(|pan| alloc::format!("{} {}", slip.scheme, pan.as_str()));
    let trace = alloc::format!("TID {} / {}", slip.terminal, slip.trace);
    pan.into_iter().chain([trace]).chain(slip.text.iter().cloned()).collect()
}

fn sale_line(line: &Line) -> SaleLine {
    SaleLine {
        no: line.no,
        kind: line.kind,
        parent: line.parent,
        key: line.key.clone(),
        name: line.name.clone(),
        quantity: line.quantity,
        weight_g: line.weight_g,
        unit_price: line.unit_price,
        discount: line.gross().minus(line.total()),
        offer: line.saving.clone(),
        total: line.total(),
        price_book: line.price_book.clone(),
    }
}

/// Scanning.
impl Turn<'_> {
    /// Goods were scanned on `lane`.
    pub(crate) fn item(&mut self, lane: LaneId, code: &ItemCode) {
        if self.tender_in_flight(lane).is_some() || self.live.lane(lane).wants_wallet_code {
            return self.refuse_line(lane, LineRefusal::Paying, Some(code.key.clone()));
        }
        let Some(item) = self.catalog.item(&code.key) else {
            return self.refuse_line(lane, LineRefusal::UnknownItem, Some(code.key.clone()));
        };
        if self.open(lane).is_some_and(|open| open.lines.len() >= LINES_MAX) {
            return self.refuse_line(lane, LineRefusal::Full, Some(code.key.clone()));
        }
        self.live.lane(lane).weighing = None;
        // A label that says zero grams wants to be weighed here.
        match (item.by_weight, code.weight_g.filter(|grams| *grams > 0)) {
            (true, None) if code.price.is_none() => self.weigh(lane, item),
            (_, weight_g) => {
                let price = code.price.unwrap_or(item.price);
                let weight_g = weight_g.filter(|_| item.by_weight && code.price.is_none());
                self.add_line(lane, item, price, weight_g);
            }
        }
    }

    fn add_line(&mut self, lane: LaneId, item: Item, unit_price: Money, weight_g: Option<u32>) {
        self.begin(lane);
        let same = |line: &&Line| {
            line.key == item.key
                && line.unit_price == unit_price
                && line.weight_g.is_none()
                && line.quantity < QUANTITY_MAX
        };
        let repeated =
            self.open(lane).and_then(|open| open.live_lines().find(same)).map(|line| (line.no, line.quantity));
        let event = match repeated {
            Some((line, quantity)) if weight_g.is_none() => {
                BasketEvent::QuantityChanged { line, quantity: quantity.saturating_add(1) }
            }
            _ => BasketEvent::LineAdded(self.line(lane, item, unit_price, weight_g)),
        };
        self.record(Some(lane), Event::Basket(event));
        self.beep(lane, Beep::Good);
        self.reprice(lane);
        self.raise_age_check(lane);
    }

    fn line(&self, lane: LaneId, item: Item, unit_price: Money, weight_g: Option<u32>) -> Line {
        let count = self.open(lane).map_or(0, |open| open.lines.len());
        Line {
            no: LineNo(u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1)),
            kind: LineKind::Goods,
            parent: None,
            key: item.key,
            name: item.name,
            quantity: 1,
            weight_g,
            unit_price,
            tax_bp: item.tax_bp,
            price_book: self.catalog.price_book(),
            min_age: item.min_age,
            offer: item.offer,
            member_price: item.member_price,
            voided: false,
            saving: None,
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

    /// Recomputes all savings and records them where they changed.
    pub(crate) fn reprice(&mut self, lane: LaneId) {
        let Some(open) = self.open(lane) else { return };
        let savings = price::savings(open.live_lines(), open.member.is_some());
        let current: Vec<LineSaving> = open.live_lines().filter_map(|line| line.saving.clone()).collect();
        if savings != current {
            self.record(Some(lane), Event::Basket(BasketEvent::SavingsSet { savings }));
        }
    }

    pub(crate) fn beep(&mut self, lane: LaneId, beep: Beep) {
        for device in self.config.lane(lane).map(|lane| lane.scanners.clone()).unwrap_or_default() {
            self.out.effects.push(Effect::Device { device, command: DeviceCommand::Beep(beep) });
        }
    }
}

/// Weighing.
impl Turn<'_> {
    fn weigh(&mut self, lane: LaneId, item: Item) {
        let Some(scale) = self.config.lane(lane).and_then(|lane| lane.scale.clone()) else {
            return self.refuse_line(lane, LineRefusal::NoScale, Some(item.key));
        };
        if !self.live.device(&scale).up {
            return self.refuse_line(lane, LineRefusal::NoScale, Some(item.key));
        }
        self.begin(lane);
        self.live.lane(lane).weighing = Some((item, self.now.mono.plus_ms(WEIGH_MS)));
        self.out.effects.push(Effect::Device { device: scale, command: DeviceCommand::ReadWeight });
    }

    pub(crate) fn weight(&mut self, scale: &DeviceId, weight: Weight) {
        let Some(lane) = self.config.lanes_of(scale).into_iter().find(|lane| self.live.lane(*lane).weighing.is_some())
        else {
            return;
        };
        match weight {
            Weight::Stable(grams) if grams.0 > 0 => {
                let Some((item, _)) = self.live.lane(lane).weighing.take() else {
                    return;
                };
                let price = item.price;
                self.add_line(lane, item, price, Some(grams.0));
            }
            // The weighing screen says what to do; a notice would only repeat it.
            Weight::Stable(_) | Weight::Fault(ScaleFault::Empty | ScaleFault::Moving) => self.weigh_later(lane, scale),
            Weight::Fault(ScaleFault::Over) => {
                self.weigh_again(lane, scale, ("超过秤的称量", "Too heavy for this scale"))
            }
            Weight::Fault(ScaleFault::Negative | ScaleFault::Attention) => {
                self.weigh_again(lane, scale, ("秤需要店员处理", "The scale needs an assistant"));
            }
        }
    }

    fn weigh_again(&mut self, lane: LaneId, scale: &DeviceId, text: (&str, &str)) {
        self.notice_once(lane, false, text);
        self.weigh_later(lane, scale);
    }

    fn weigh_later(&mut self, lane: LaneId, scale: &DeviceId) {
        let due = self.now.mono.plus_ms(WEIGH_AGAIN_MS);
        self.live.lane(lane).weigh_again = Some((scale.clone(), due));
    }

    pub(crate) fn scale_down(&mut self, lane: LaneId, device: &DeviceId) {
        let is_scale = self.config.lane(lane).is_some_and(|lane| lane.scale.as_ref() == Some(device));
        if is_scale {
            self.give_up_weighing(lane);
        }
    }

    pub(crate) fn weigh_tick(&mut self, lane: LaneId) {
        let now = self.now.mono;
        let live = self.live.lane(lane);
        if let Some((device, _)) = live.weigh_again.take_if(|(_, due)| *due <= now)
            && live.weighing.is_some()
        {
            self.out.effects.push(Effect::Device { device, command: DeviceCommand::ReadWeight });
        }
        if self.live.lane(lane).weighing.as_ref().is_some_and(|(_, until)| *until <= self.now.mono) {
            self.give_up_weighing(lane);
        }
    }

    fn give_up_weighing(&mut self, lane: LaneId) {
        if let Some((item, _)) = self.live.lane(lane).weighing.take() {
            self.refuse_line(lane, LineRefusal::NoWeight, Some(item.key));
        }
    }
}

/// Changing and ending a basket.
impl Turn<'_> {
    pub(crate) fn set_quantity(&mut self, lane: LaneId, no: LineNo, quantity: u32) -> Result<(), Refused> {
        let line = self.editable_line(lane, no)?;
        if quantity == 0 || quantity > QUANTITY_MAX || line.weight_g.is_some() {
            return Err(Refused::BadQuantity);
        }
        self.record(Some(lane), Event::Basket(BasketEvent::QuantityChanged { line: no, quantity }));
        self.reprice(lane);
        Ok(())
    }

    pub(crate) fn void_line(&mut self, lane: LaneId, no: LineNo) -> Result<(), Refused> {
        self.editable_line(lane, no)?;
        self.record(Some(lane), Event::Basket(BasketEvent::LineVoided { line: no }));
        self.reprice(lane);
        Ok(())
    }

    fn editable_line(&self, lane: LaneId, no: LineNo) -> Result<&Line, Refused> {
        let open = self.editable(lane)?;
        open.live_lines().find(|line| line.no == no).ok_or(Refused::NoSuchLine)
    }

    /// The open basket, where nothing of it is being paid and nothing was.
    pub(crate) fn editable(&self, lane: LaneId) -> Result<&Transaction, Refused> {
        let open = self.open(lane).ok_or(Refused::NothingHere)?;
        let paying = self.tender_in_flight(lane).is_some() || open.paid() > Money::ZERO;
        if paying { Err(Refused::Paying) } else { Ok(open) }
    }

    pub(crate) fn void_transaction(&mut self, lane: LaneId) -> Result<(), Refused> {
        let transaction = self.editable(lane)?.id.clone();
        self.record(Some(lane), Event::Basket(BasketEvent::Voided { transaction }));
        self.live.lane(lane).clear();
        Ok(())
    }

    /// The sale is complete when, and only when, approved tenders cover it.
    pub(crate) fn complete_if_paid(&mut self, lane: LaneId, change: Money) {
        let Some(open) = self.open(lane) else { return };
        if open.due() > Money::ZERO || open.paid() <= Money::ZERO || self.tender_in_flight(lane).is_some() {
            return;
        }
        let receipt = ReceiptNo(self.facts.lanes.get(&lane).map_or(0, |facts| facts.receipts).saturating_add(1));
        let sale = open.sale(receipt, &self.config.currency.code, change);
        let cash = sale.tenders.iter().any(|tender| tender.kind == TenderKind::Cash);
        self.record(Some(lane), Event::Basket(BasketEvent::Completed(sale)));
        self.live.lane(lane).clear();
        self.live.lane(lane).done = true;
        self.print_last(lane, false, cash);
    }
}

impl LineRefusal {
    pub(crate) const fn text(self) -> (&'static str, &'static str) {
        match self {
            Self::Code(Refusal::CheckDigit) => ("没有读清楚，请再扫一次", "Not read clearly, please scan again"),
            Self::Code(Refusal::WalletNotNow) => {
                ("这是付款码，请先点“付款”", "That is a payment code: please press “Pay” first")
            }
            Self::Code(Refusal::NotGoods) => ("这不是商品的条码", "This is not the code of goods"),
            Self::NotTaken => {
                ("这里不收这种码，请找店员", "Codes of this kind are not taken here, please ask an assistant")
            }
            Self::Code(Refusal::Gs1Syntax | Refusal::Unrecognised | Refusal::Empty) => {
                ("认不出这个条码", "This code is not known here")
            }
            Self::UnknownItem => ("没有找到这件商品，请找店员", "This item is not on file, please ask an assistant"),
            Self::UnknownMember => ("没有找到这个会员", "This member is not on file"),
            Self::Paying => ("正在付款，暂不能扫商品", "A payment is under way: goods cannot be scanned"),
            Self::NoScale => ("秤暂不可用，请找店员", "The scale is not available, please ask an assistant"),
            Self::NoWeight => ("没有称到重量，请重新扫码", "No weight was read, please scan it again"),
            Self::Full => ("购物篮已满", "The basket is full"),
        }
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
