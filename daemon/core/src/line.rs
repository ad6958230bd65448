//! One line: what it was priced with, what makes it one more of the same, and what staff may change about it, by role and with a reason.

use crate::basket::{BasketEvent, QUANTITY_MAX, VoidedBy};
use crate::catalog::{Content, Item, Offer, QuantityBreak, is_zero};
use crate::event::Event;
use crate::page::{Attendant, Refused};
use crate::price;
use crate::refusal::LineRefusal;
use crate::returns::ReturnOf;
use crate::turn::Turn;
use crate::words::{ItemKey, LaneId, LineNo, LocalMinute, Money, Name, PriceBook, Role, StaffId};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

pub const NOTE_MAX: usize = 80;
pub const REASON_MAX: usize = 200;
/// Telephone and card numbers are at least this long; article numbers of a shop's own are shorter.
const DIGITS_MAX: usize = 6;

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

/// What code and scale said about a piece besides its key.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) unit_price: Money,
    pub(crate) weight_g: Option<u32>,
    pub(crate) tare_g: u32,
    pub(crate) scale_total: Option<Money>,
    pub(crate) serial: Option<String>,
    /// The code carried the price.
    pub(crate) labelled: bool,
}

impl Piece {
    pub(crate) const fn at(unit_price: Money) -> Self {
        Self { unit_price, weight_g: None, tare_g: 0, scale_total: None, serial: None, labelled: false }
    }
}

impl Line {
    /// Scanning `more` counts this line up, where it is priced alike too. What staff changed by hand stays a line of its own.
    pub(crate) fn is_one_more(&self, more: &Self) -> bool {
        self.key == more.key
            && self.kind == more.kind
            && self.parent.is_none()
            && (self.weight_g.is_none() && more.weight_g.is_none())
            && (self.serial.is_none() && more.serial.is_none())
            && self.overridden.is_none()
            && self.note.is_empty()
            && self.quantity < QUANTITY_MAX
    }

    /// With nothing that a scan, a scale or staff would add.
    pub(crate) const fn plain(
        no: LineNo,
        key: ItemKey,
        name: Name,
        unit_price: Money,
        tax_bp: u32,
        price_book: PriceBook,
    ) -> Self {
        Self {
            no,
            kind: LineKind::Goods,
            parent: None,
            key,
            name,
            quantity: 1,
            weight_g: None,
            unit_price,
            tax_bp,
            price_book,
            min_age: None,
            offer: None,
            member_price: None,
            group: String::new(),
            tare_g: 0,
            scale_total: None,
            labelled: false,
            serial: None,
            piece_g: None,
            blocked: None,
            overridden: None,
            note: String::new(),
            voided: false,
            savings: Vec::new(),
            levels: BTreeMap::new(),
            breaks: Vec::new(),
            content: None,
            priced_at: None,
            returned: None,
        }
    }

    pub(crate) fn set_price(&mut self, unit_price: Money, staff: &StaffId, role: Role, reason: &str) {
        let list_price = self.overridden.as_ref().map_or(self.unit_price, |earlier| earlier.list_price);
        self.overridden = Some(PriceOverride { list_price, staff: staff.clone(), role, reason: reason.into() });
        self.unit_price = unit_price;
        self.scale_total = None;
        self.offer = None;
        self.member_price = None;
        self.levels.clear();
        self.breaks.clear();
    }
}

impl Turn<'_> {
    /// A piece with a number of its own is sold once.
    pub(crate) fn check_serial(&self, item: &Item, serial: Option<&str>) -> Result<(), LineRefusal> {
        let Some(serial) = serial else {
            return if item.serialised { Err(LineRefusal::NoSerial) } else { Ok(()) };
        };
        let in_a_basket = self.facts.baskets().any(|basket| {
            basket.live_lines().any(|line| line.key == item.key && line.serial.as_deref() == Some(serial))
        });
        let taken = in_a_basket || self.facts.serials.knows(&serial_id(&item.key, serial));
        if taken { Err(LineRefusal::SerialSold) } else { Ok(()) }
    }

    pub(crate) fn override_price(
        &mut self,
        lane: LaneId,
        no: LineNo,
        unit_price: Money,
        by: Attendant,
        reason: &str,
    ) -> Result<(), Refused> {
        let line = self.editable_line(lane, no)?;
        let list_price = line.overridden.as_ref().map_or(line.unit_price, |earlier| earlier.list_price);
        if unit_price < Money::ZERO || !line.kind.is_goods() {
            return Err(Refused::BadPrice);
        }
        let reason = spoken(reason)?;
        if unit_price < self.config.floor.lowest_price(by.role, list_price) {
            return Err(Refused::RoleTooLow);
        }
        // A higher price than the shelf's needs somebody who answers for the shelf.
        if unit_price > list_price {
            by.at_least(Role::Manager)?;
        }
        let event = BasketEvent::PriceOverridden { line: no, unit_price, staff: by.staff, role: by.role, reason };
        self.record(Some(lane), Event::Basket(event));
        self.basket_changed(lane);
        Ok(())
    }

    pub(crate) fn note(
        &mut self,
        lane: LaneId,
        line: Option<LineNo>,
        text: &str,
        by: Attendant,
    ) -> Result<(), Refused> {
        match line {
            Some(no) => drop(self.editable_line(lane, no)?),
            None => drop(self.editable(lane)?),
        }
        let text = impersonal(text, NOTE_MAX)?;
        self.record(Some(lane), Event::Basket(BasketEvent::Noted { line, text, staff: by.staff }));
        Ok(())
    }

    pub(crate) fn void_by_staff(&mut self, lane: LaneId, by: Attendant, reason: &str) -> Result<(), Refused> {
        let reason = spoken(reason)?;
        let worth = self.open(lane).map_or(Money::ZERO, |open| open.due().plus(open.paid()));
        if !self.config.floor.back.allows(by.role, worth) {
            return Err(Refused::RoleTooLow);
        }
        self.give_up(lane, VoidedBy { staff: by.staff, reason })
    }
}

/// What a numbered piece is remembered by.
#[must_use]
pub fn serial_id(key: &crate::words::ItemKey, serial: &str) -> String {
    alloc::format!("{key}/{serial}")
}

/// A reason a person gave: something, not too long, and nothing about anybody.
pub(crate) fn spoken(reason: &str) -> Result<String, Refused> {
    if reason.trim().is_empty() {
        return Err(Refused::NeedsReason);
    }
    impersonal(reason, REASON_MAX)
}

/// The journal holds no telephone and no card number, whoever typed it.
fn impersonal(text: &str, most: usize) -> Result<String, Refused> {
    let text = text.trim();
    if text.chars().count() > most {
        return Err(Refused::TooLong);
    }
    let mut run = 0_usize;
    for c in text.chars() {
        run = match c {
            c if c.is_ascii_digit() => run.saturating_add(1),
            ' ' | '-' | '.' => run,
            _ => 0,
        };
        if run > DIGITS_MAX {
            return Err(Refused::PersonalData);
        }
    }
    Ok(text.into())
}
