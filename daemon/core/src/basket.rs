//! Transactions and their lines, from the first scan to the receipt number.

use crate::bagging::Bag;
use crate::catalog::{Content, Item, Offer, QuantityBreak, is_zero};
use crate::config::StoreConfig;
use crate::coupon::{Coupon, CouponEvent};
use crate::device::{Beep, DeviceCommand};
use crate::event::Event;
use crate::intervention::Intervention;
use crate::line::Piece;
use crate::member::Identified;
use crate::page::Refused;
use crate::points::Points;
use crate::price::{self, MemberTerms, Terms};
use crate::receipt::TaxLine;
use crate::rescan::Rescan;
use crate::returns::ReturnOf;
use crate::scan::freshness::unsaleable;
use crate::scan::{ItemCode, Refusal};
use crate::tender::{Tender, TenderState};
use crate::turn::{Effect, Turn};
use crate::view::TenderKind;
use crate::words::{
    ItemKey, LaneId, LineNo, LocalMinute, MemberId, Money, Name, PriceBook, ReceiptNo, Role, StaffId, TenderId,
    TransactionId,
};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Deserializer, Serialize};

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
    Completed(Sale),
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineRefusal {
    Code(Refusal),
    UnknownItem,
    UnknownMember,
    Paying,
    NoScale,
    NoWeight,
    /// The scale named another price than the one it was given.
    ScalePrice,
    Full,
    /// Behind the expiration date of its lot.
    Expired,
    PastSellBy,
    /// Behind the best-before date, and the store sells no such goods.
    PastBestBefore,
    Recalled,
    /// A coupon, badge, receipt, exit pass or order where this lane takes none.
    NotTaken,
    UnknownCoupon,
    CouponExpired,
    CouponUsed,
    /// As many of this campaign as one basket may have.
    CouponEnough,
    /// Headquarters is away, and what this store may redeem without it is gone.
    CouponOffline,
    UnknownBadge,
    /// Each piece of these goods has a number, and this code shows none.
    NoSerial,
    /// The piece with that number is in a basket or was sold here.
    SerialSold,
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
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Packing already taken off `weight_g`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tare_g: u32,
    /// What the scale itself computed: where it is approved for that, its amount is the legal one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_total: Option<Money>,
    /// The code carried the price, and no price book has it.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub labelled: bool,
    /// Number of this single piece.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// What one piece should weigh in the bag, by the catalogue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub piece_g: Option<u32>,
    /// The catalogue's reason why it should not be sold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overridden: Option<PriceOverride>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub levels: BTreeMap<String, Money>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breaks: Vec<QuantityBreak>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// The minute that priced it and that promotions judge it by; prices and windows lock at the scan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priced_at: Option<LocalMinute>,
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub voided: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub savings: Vec<LineSaving>,
    /// Of goods brought back: what they are worth now, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned: Option<ReturnOf>,
}

/// A price that staff set. No promotion touches such a line, and headquarters sees both prices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceOverride {
    /// What the price book says.
    pub list_price: Money,
    pub staff: StaffId,
    pub role: Role,
    pub reason: String,
}

impl Line {
    #[must_use]
    pub fn gross(&self) -> Money {
        if let Some(of) = &self.returned {
            return Money::ZERO.minus(of.amount);
        }
        let amount = self.scale_total.unwrap_or_else(|| price::extended(self.unit_price, self.quantity, self.weight_g));
        if self.kind.is_negative() { Money::ZERO.minus(amount) } else { amount }
    }

    #[must_use]
    pub fn total(&self) -> Money {
        self.gross().minus(self.discount())
    }

    #[must_use]
    pub fn discount(&self) -> Money {
        self.savings.iter().map(|saving| saving.amount).sum()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineSaving {
    pub line: LineNo,
    /// Promotion id, `member` for a member price, `quantity` for a price by quantity.
    pub offer: String,
    pub name: Name,
    pub amount: Money,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromotionUse {
    pub promotion: String,
    pub times: u32,
}

/// Earlier journals held at most one saving a line, under another name.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<LineSaving>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Savings {
        Many(Vec<LineSaving>),
        One(LineSaving),
    }
    Ok(match Savings::deserialize(deserializer)? {
        Savings::Many(savings) => savings,
        Savings::One(saving) => alloc::vec![saving],
    })
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
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<PromotionUse>,
    pub lines: Vec<SaleLine>,
    /// Cash rounding: tenders add up to the total and this.
    #[serde(default, skip_serializing_if = "Money::is_zero")]
    pub rounding: Money,
    /// Redeemed with this sale, once and for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coupons: Vec<Coupon>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<Points>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleTender {
    pub tender: TenderId,
    pub kind: TenderKind,
    /// Negative: given back.
    pub amount: Money,
    /// The payment it gives back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<TenderId>,
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
    #[serde(default, alias = "offer", deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub savings: Vec<LineSaving>,
    pub total: Money,
    pub price_book: PriceBook,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tare_g: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overridden: Option<PriceOverride>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_bp: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned: Option<ReturnOf>,
}

impl Transaction {
    pub(crate) fn new(id: TransactionId) -> Self {
        Self {
            id,
            lines: Vec::new(),
            terms: Terms::default(),
            uses: Vec::new(),
            added_tax: Money::ZERO,
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
            BasketEvent::SavingsSet { savings, uses, terms, added_tax } => {
                for line in &mut self.lines {
                    line.savings = savings.iter().filter(|saving| saving.line == line.no).cloned().collect();
                }
                self.uses.clone_from(uses);
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

    fn sale(&self, receipt: ReceiptNo, config: &StoreConfig) -> Sale {
        let tender = |tender: &Tender| SaleTender {
            tender: tender.id.clone(),
            kind: tender.kind,
            amount: tender.amount,
            of: tender.of.clone(),
            details: details(tender),
        };
        let stands = |tender: &&Tender| tender.state == TenderState::Approved;
        Sale {
            transaction: self.id.clone(),
            receipt,
            currency: config.currency.code.clone(),
            total: self.total(),
            discount: self.discount(),
            taxes: price::taxes(self.live_lines(), &config.price),
            tenders: self.tenders.iter().filter(stands).map(tender).collect(),
            change: self.tenders.iter().filter(stands).map(Tender::change).sum(),
            member: self.member.as_ref().map(|member| member.member.clone()),
            note: self.note.clone(),
            uses: self.uses.clone(),
            lines: self.live_lines().map(sale_line).collect(),
            rounding: self.rounding,
            coupons: Vec::new(),
            points: self.points(&config.floor.points),
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
        discount: line.discount(),
        savings: line.savings.clone(),
        total: line.total(),
        price_book: line.price_book.clone(),
        tare_g: line.tare_g,
        serial: line.serial.clone(),
        overridden: line.overridden.clone(),
        note: line.note.clone(),
        tax_bp: Some(line.tax_bp),
        returned: line.returned.clone(),
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
            return self.refuse_line(lane, LineRefusal::UnknownItem, Some(code.key.clone()));
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

    /// Works the basket out again and records what changed.
    pub(crate) fn reprice(&mut self, lane: LaneId) {
        let Some(open) = self.open(lane) else { return };
        let terms = self.terms(open);
        let lines: Vec<&Line> = open.live_lines().collect();
        let priced = price::price(&lines, &terms, self.now.local(), &self.config.price, self.catalog.promotions());
        let current: Vec<&LineSaving> = open.live_lines().flat_map(|line| &line.savings).collect();
        let same = priced.savings.iter().eq(current) && priced.uses == open.uses && priced.added_tax == open.added_tax;
        let nobody = priced.savings.is_empty() && terms.is_plain() && open.terms.is_plain();
        if same && (nobody || terms == open.terms) {
            return;
        }
        let (savings, uses, added_tax) = (priced.savings, priced.uses, priced.added_tax);
        self.record(Some(lane), Event::Basket(BasketEvent::SavingsSet { savings, uses, terms, added_tax }));
    }

    fn terms(&self, open: &Transaction) -> Terms {
        let member = open.member.as_ref().map(|identified| self.catalog.member_by_id(&identified.member));
        Terms {
            member: member
                .map(|member| member.map(|member| (member.level, member.used)).unwrap_or_default())
                .map(|(level, used)| MemberTerms { level, used }),
            coupons: open.coupons.iter().map(|coupon| coupon.campaign.clone()).collect(),
            online: self.live.online,
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
        self.live.lanes.get(&lane).is_some_and(|live| live.wants_wallet_code.is_some())
            || self.tender_in_flight(lane).is_some()
            || self.open(lane).is_some_and(|open| open.paid() != Money::ZERO || open.voiding.is_some())
    }

    pub(crate) fn void_transaction(&mut self, lane: LaneId) -> Result<(), Refused> {
        // Leaving the wait for a wallet code is part of giving up.
        let waiting = self.live.lane(lane).wants_wallet_code.take();
        let transaction = match self.editable(lane) {
            Ok(open) => open.id.clone(),
            Err(refused) => {
                self.live.lane(lane).wants_wallet_code = waiting;
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

    /// The sale is complete when, and only when, approved tenders come to exactly what it costs.
    pub(crate) fn complete_if_paid(&mut self, lane: LaneId) {
        let Some(open) = self.open(lane) else { return };
        if open.due() != Money::ZERO || open.voiding.is_some() || self.tender_in_flight(lane).is_some() {
            return;
        }
        let receipt = ReceiptNo(self.facts.lanes.get(&lane).map_or(0, |facts| facts.receipts).saturating_add(1));
        let sale = Sale { coupons: self.redeemed(open), ..open.sale(receipt, self.config) };
        let cash = sale.tenders.iter().any(|tender| tender.kind == TenderKind::Cash);
        self.record(Some(lane), Event::Basket(BasketEvent::Completed(sale)));
        self.live.lane(lane).clear();
        self.live.lane(lane).done = true;
        self.print_last(lane, false, cash);
    }

    /// Nothing is due either way, such as an even exchange: somebody says that it is done.
    pub(crate) fn finish_even(&mut self, lane: LaneId) -> Result<(), Refused> {
        let open = self.editable(lane)?;
        if open.due() != Money::ZERO || open.pieces() == 0 {
            return Err(Refused::StillDue);
        }
        if open.interventions.iter().any(|asked| asked.answer.is_none()) {
            return Err(Refused::Intervention);
        }
        self.complete_if_paid(lane);
        Ok(())
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
            Self::Expired => {
                ("这批商品已过有效期，不能出售", "This lot is past its expiration date and cannot be sold")
            }
            Self::PastSellBy => {
                ("这批商品已过销售期限，不能出售", "This lot is past its sell-by date and cannot be sold")
            }
            Self::PastBestBefore => {
                ("这批商品已过最佳食用期，本店不出售", "This lot is past its best-before date and is not sold here")
            }
            Self::Recalled => {
                ("这批商品已召回，请交给店员", "This lot has been recalled, please hand it to an assistant")
            }
            Self::UnknownBadge => ("这张工牌在本店无效", "That badge is not known here"),
            Self::UnknownCoupon => ("没有找到这张优惠券", "This coupon is not known here"),
            Self::CouponExpired => ("这张优惠券不在有效期内", "This coupon is not valid today"),
            Self::CouponUsed => ("这张优惠券已经用过", "This coupon has been used"),
            Self::CouponEnough => ("每次购物只能用这么多张", "No more of these coupons in one basket"),
            Self::CouponOffline => {
                ("网络中断，这种券暂时不能用", "The network is away: these coupons cannot be taken just now")
            }
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
            Self::ScalePrice => ("秤上的单价不对，请找店员", "The scale shows another price, please ask an assistant"),
            Self::Full => ("购物篮已满", "The basket is full"),
            Self::NoSerial => {
                ("请扫这件商品上带序列号的码", "Please scan the code with the serial number on this piece")
            }
            Self::SerialSold => ("这一件已在购物篮或已售出", "This very piece is in a basket or was sold"),
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
