//! The completed sale: what a paid basket becomes, once and for all.

use crate::basket::{BasketEvent, Transaction};
use crate::catalog::{is_nought, is_zero};
use crate::config::StoreConfig;
use crate::coupon::{Coupon, Issued};
use crate::event::Event;
use crate::line::{Line, LineKind, LineSaving, PriceOverride};
use crate::page::Refused;
use crate::points::{Points, PointsBack};
use crate::price::{self, PromotionUse};
use crate::receipt::TaxLine;
use crate::returns::ReturnOf;
use crate::tender::{Tender, TenderState};
use crate::turn::Turn;
use crate::view::TenderKind;
use crate::words::{ItemKey, LaneId, LineNo, MemberId, Money, Name, PriceBook, ReceiptNo, TenderId, TransactionId};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Deserializer, Serialize};

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
    /// Handed out with the receipt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issued: Vec<Issued>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<Points>,
    /// What goods brought back move on the accounts of those who bought them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub points_back: Vec<PointsBack>,
    /// Handed out with sales of which the last goods came back with this one: no longer good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revoked: Vec<Issued>,
    /// Minutes east of UTC the store's clock showed; none in older journals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utc_offset_min: Option<i32>,
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
    /// Burnt, or given back.
    #[serde(default, skip_serializing_if = "is_nought")]
    pub points: u64,
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

impl Transaction {
    fn sale(&self, receipt: ReceiptNo, config: &StoreConfig) -> Sale {
        let tender = |tender: &Tender| SaleTender {
            tender: tender.id.clone(),
            kind: tender.kind,
            amount: tender.amount,
            of: tender.of.clone(),
            points: tender.points,
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
            issued: Vec::new(),
            points: self.points(&config.floor.points),
            points_back: Vec::new(),
            revoked: Vec::new(),
            utc_offset_min: None,
        }
    }
}

pub(crate) fn details(tender: &Tender) -> Vec<String> {
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

impl Turn<'_> {
    /// The sale is complete when, and only when, approved tenders come to exactly what it costs.
    pub(crate) fn complete_if_paid(&mut self, lane: LaneId) {
        let Some(open) = self.open(lane) else { return };
        if open.due() != Money::ZERO || open.voiding.is_some() || self.tender_in_flight(lane).is_some() {
            return;
        }
        let receipt = self.facts.next_receipt(lane);
        let coupons = open.redeemed();
        let points_back = self.facts.points_back(open, |asked| self.catalog.sale(asked));
        let (revoked, utc_offset_min) = (self.revoked(open), Some(self.now.offset_min));
        let issued = self.issued(open);
        let sale = Sale { coupons, issued, points_back, revoked, utc_offset_min, ..open.sale(receipt, self.config) };
        let cash = sale.tenders.iter().any(|tender| tender.kind == TenderKind::Cash);
        self.record(Some(lane), Event::Basket(BasketEvent::Completed(Box::new(sale))));
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
