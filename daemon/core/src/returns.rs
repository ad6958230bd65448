//! Goods brought back: with the receipt of a sale of this box, or without one where a supervisor says so.
//!
//! A return is a line of an ordinary transaction, so an exchange is returned lines and goods together, and its net goes either way.
//! What has come back of a sale is a fact and counts baskets that are still open: nothing is returned twice.

use crate::basket::{BasketEvent, LINES_MAX, QUANTITY_MAX};
use crate::device::Scan;
use crate::event::Event;
use crate::line::{Line, LineKind, spoken};
use crate::page::{Attendant, Refused, ReturnRequest};
use crate::price;
use crate::sale::{Sale, SaleLine, SaleTender};
use crate::scan::{Code, ItemCode, classify};
use crate::turn::Turn;
use crate::words::{ItemKey, LaneId, LineNo, Money, Name, ReceiptNo, Role, StaffId, TenderId, TransactionId, Utc};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Sales older than this take nothing back, and what came back of them is forgotten at day close: two years, the longest warranty by law.
pub const RETURN_MAX_MS: i64 = 2 * 366 * 24 * 3_600_000;

/// How a sale of this box is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SaleRef {
    /// The code on the receipt.
    Transaction(TransactionId),
    /// The number a person reads there.
    Number { lane: LaneId, receipt: ReceiptNo },
}

/// A completed sale as the journal holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sold {
    pub lane: LaneId,
    pub at: Utc,
    pub sale: Sale,
}

/// Why a line is goods brought back, and what for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnOf {
    /// Where they were bought; none: without a receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bought: Option<Bought>,
    /// What the shopper gets for them: of a sale, exactly what was paid for them.
    pub amount: Money,
    pub staff: StaffId,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bought {
    pub transaction: TransactionId,
    pub line: LineNo,
}

/// What has come back of one sale.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    /// When it last did.
    pub at: Utc,
    pub lines: BTreeMap<LineNo, Back>,
    /// Given back of each payment.
    pub tenders: BTreeMap<TenderId, Money>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Back {
    pub quantity: u32,
    pub amount: Money,
}

impl Back {
    const fn plus(self, quantity: u32, amount: Money) -> Self {
        Self { quantity: self.quantity.saturating_add(quantity), amount: self.amount.plus(amount) }
    }
}

impl Returned {
    /// Of one payment.
    #[must_use]
    pub fn refunded(&self, tender: &TenderId) -> Money {
        self.tenders.get(tender).copied().unwrap_or_default()
    }

    pub(crate) fn take_line(&mut self, line: &SaleLine, amount: Money, of: LineNo) {
        let back = self.lines.entry(of).or_default();
        *back = back.plus(line.quantity, amount);
    }

    pub(crate) fn take_tender(&mut self, tender: &SaleTender, of: &TenderId) {
        let sum = self.tenders.entry(of.clone()).or_default();
        *sum = sum.minus(tender.amount);
    }
}

/// What `k` more of a line are worth when `back` came back before: together exactly what was paid, to the last minor unit.
#[must_use]
pub fn worth(line: &SaleLine, back: Back, k: u32) -> Money {
    let all = line.total;
    let share = all.ratio(i64::from(back.quantity.saturating_add(k)), i64::from(line.quantity.max(1)));
    share.minus(back.amount)
}

impl Turn<'_> {
    pub(crate) fn returns(&mut self, lane: LaneId, by: Attendant, request: ReturnRequest) -> Result<(), Refused> {
        match request {
            ReturnRequest::Find { code } => self.find_sale(lane, &code),
            ReturnRequest::Line { line, quantity } => self.return_line(lane, by.staff, line, quantity),
            ReturnRequest::Goods { code, quantity, weight_g, reason } => {
                by.at_least(Role::Supervisor)?;
                self.return_goods(lane, by.staff, &code, (quantity, weight_g), reason)
            }
            ReturnRequest::Refund { in_cash } => self.refund(lane, in_cash, &by),
            ReturnRequest::Leave {} => self.live.lane(lane).found.take().map(drop).ok_or(Refused::NothingHere),
        }
    }

    /// A receipt's code, its transaction, or its number as printed: `2-000123`.
    fn find_sale(&mut self, lane: LaneId, code: &str) -> Result<(), Refused> {
        let code = code.trim();
        let scan = Scan { aim: None, data: code.as_bytes().to_vec() };
        let number = || {
            let (lane, receipt) = code.split_once('-')?;
            Some(SaleRef::Number { lane: LaneId(lane.parse().ok()?), receipt: ReceiptNo(receipt.parse().ok()?) })
        };
        let asked = if let Code::Receipt(transaction) = classify(&scan, &self.config.scan, false) {
            SaleRef::Transaction(TransactionId(transaction))
        } else {
            number().unwrap_or_else(|| SaleRef::Transaction(code.into()))
        };
        self.show_sale(lane, &asked)
    }

    /// Puts the sale before the staff of `lane`.
    pub(crate) fn show_sale(&mut self, lane: LaneId, asked: &SaleRef) -> Result<(), Refused> {
        let sold = self.catalog.sale(asked).ok_or(Refused::NoSuchSale)?;
        if self.now.utc.0.saturating_sub(sold.at.0) > RETURN_MAX_MS {
            return Err(Refused::TooLate);
        }
        self.live.lane(lane).found = Some(sold);
        Ok(())
    }

    fn return_line(&mut self, lane: LaneId, staff: StaffId, no: LineNo, quantity: u32) -> Result<(), Refused> {
        let sold = self.live.lane(lane).found.clone().ok_or(Refused::NothingHere)?;
        let line = sold.sale.lines.iter().find(|line| line.no == no).ok_or(Refused::NoSuchLine)?;
        if line.kind.is_negative() {
            return Err(Refused::NoSuchLine);
        }
        let back = self.facts.back(&sold.sale.transaction, no);
        if quantity == 0 || quantity > line.quantity.saturating_sub(back.quantity) {
            return Err(Refused::AlreadyReturned);
        }
        let of = ReturnOf {
            bought: Some(Bought { transaction: sold.sale.transaction.clone(), line: no }),
            amount: worth(line, back, quantity),
            staff,
            reason: String::new(),
        };
        // What the sale does not say (an older version made it) the catalogue does.
        let tax_bp = line.tax_bp.or_else(|| Some(self.catalog.item(&line.key)?.tax_bp)).unwrap_or_default();
        let goods = Line {
            weight_g: line.weight_g,
            price_book: line.price_book.clone(),
            serial: line.serial.clone(),
            ..self.plain(lane, &line.key, &line.name, line.unit_price, tax_bp)
        };
        self.add_returned(lane, goods, quantity, of)
    }

    /// Without a receipt: what the goods cost today, on a supervisor's word.
    fn return_goods(
        &mut self,
        lane: LaneId,
        staff: StaffId,
        code: &str,
        (quantity, weight_g): (u32, Option<u32>),
        reason: String,
    ) -> Result<(), Refused> {
        let reason = spoken(&reason)?;
        let scan = Scan { aim: None, data: code.trim().as_bytes().to_vec() };
        let Code::Item(ItemCode { key, weight_g: labelled, price, .. }) = classify(&scan, &self.config.scan, false)
        else {
            return Err(Refused::NoSuchGoods);
        };
        let now = self.now.local();
        let item = self.catalog.item(&key).ok_or(Refused::NoSuchGoods)?.priced(now);
        let weight_g = weight_g.or(labelled).filter(|grams| *grams > 0 && item.by_weight && price.is_none());
        let quantity = if item.by_weight { 1 } else { quantity };
        if quantity == 0 || quantity > QUANTITY_MAX || (item.by_weight && weight_g.is_none() && price.is_none()) {
            return Err(Refused::BadQuantity);
        }
        let amount = price::extended(price.unwrap_or(item.price), quantity, weight_g);
        let of = ReturnOf { bought: None, amount, staff, reason };
        let unit_price = price.unwrap_or(item.price);
        let plain = self.plain(lane, &item.key, &item.name, unit_price, item.tax_bp);
        let goods = Line { weight_g, priced_at: Some(now), labelled: price.is_some(), ..plain };
        self.add_returned(lane, goods, quantity, of)
    }

    fn plain(&self, lane: LaneId, key: &ItemKey, name: &Name, unit_price: Money, tax_bp: u32) -> Line {
        let count = self.open(lane).map_or(0, |open| open.lines.len());
        let no = LineNo(u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1));
        Line::plain(no, key.clone(), name.clone(), unit_price, tax_bp, self.catalog.price_book())
    }

    fn add_returned(&mut self, lane: LaneId, goods: Line, quantity: u32, of: ReturnOf) -> Result<(), Refused> {
        if self.money_moves(lane) {
            return Err(Refused::Paying);
        }
        if self.open(lane).is_some_and(|open| open.lines.len() >= LINES_MAX) {
            return Err(Refused::BasketFull);
        }
        self.begin(lane);
        let line = Line { kind: LineKind::Returned, quantity, returned: Some(of), ..goods };
        self.record(Some(lane), Event::Basket(BasketEvent::LineAdded(Box::new(line))));
        self.basket_changed(lane);
        Ok(())
    }
}

impl crate::facts::Facts {
    /// What came back of a line, in a return that is done or still open.
    #[must_use]
    pub fn back(&self, transaction: &TransactionId, line: LineNo) -> Back {
        let done = self.returned.get(transaction).and_then(|sale| sale.lines.get(&line)).copied().unwrap_or_default();
        let pending: Vec<(u32, Money)> = self
            .baskets()
            .flat_map(crate::basket::Transaction::live_lines)
            .filter_map(|pending| {
                let of = pending.returned.as_ref()?;
                let bought = of.bought.as_ref()?;
                (bought.transaction == *transaction && bought.line == line).then_some((pending.quantity, of.amount))
            })
            .collect();
        pending.into_iter().fold(done, |back, (quantity, amount)| back.plus(quantity, amount))
    }
}
