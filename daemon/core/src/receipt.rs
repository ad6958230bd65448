//! The receipt as a structure; printers and pages render it.

use crate::catalog::is_zero;
use crate::line::LineKind;
use crate::words::{LaneId, Language, Money, Name, ReceiptNo, TransactionId, Utc};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub store: Name,
    pub lane: LaneId,
    pub number: ReceiptNo,
    pub transaction: TransactionId,
    pub at: Utc,
    /// Minutes east of UTC the store's clock shows.
    pub utc_offset_min: i32,
    pub currency: Currency,
    pub language: Language,
    pub lines: Vec<ReceiptLine>,
    pub discount: Money,
    pub total: Money,
    pub taxes: Vec<TaxLine>,
    pub tenders: Vec<ReceiptTender>,
    pub change: Money,
    /// Masked, such as `**8811`; never a name.
    pub member: Option<String>,
    /// What the sale did to the points.
    pub points: Vec<SlipRow>,
    /// Not the first print of this number.
    pub copy: bool,
    pub kind: ReceiptKind,
    /// Nothing was sold.
    pub training: bool,
    /// What coins that exist made of the total.
    pub rounding: Money,
    /// What a scanner reads to find this sale again.
    pub code: String,
    /// Handed out with it.
    pub coupons: Vec<ReceiptCoupon>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptKind {
    #[default]
    Sale,
    Return,
    /// Goods brought back and others taken.
    Exchange,
}

/// Any other paper of the till: reports, cash movements, a suspended basket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slip {
    pub store: Name,
    pub lane: LaneId,
    /// Tells the printer's confirmation whose it is.
    pub id: TransactionId,
    pub at: Utc,
    pub utc_offset_min: i32,
    pub language: Language,
    pub title: Name,
    pub rows: Vec<SlipRow>,
    /// What a scanner reads.
    pub code: Option<String>,
    pub training: bool,
    pub copy: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlipRow {
    pub label: Name,
    pub value: String,
}

impl SlipRow {
    #[must_use]
    pub fn of((zh, en): (&str, &str), value: String) -> Self {
        Self { label: Name { zh: zh.into(), en: en.into() }, value }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptLine {
    pub name: Name,
    /// Pieces, or `None` where it was weighed.
    pub quantity: u32,
    pub weight_g: Option<u32>,
    /// Per piece, or per kilogram where it was weighed.
    pub unit_price: Money,
    pub total: Money,
    /// Positive: what was taken off, and why.
    pub savings: Vec<(Name, Money)>,
    #[serde(default, skip_serializing_if = "LineKind::is_goods")]
    pub kind: LineKind,
    /// Packing already taken off the weight.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tare_g: u32,
    /// Number of this single piece.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// What the price book says, where staff set another price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_price: Option<Money>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptCoupon {
    pub name: Name,
    /// `2026-12-31`.
    pub last_day: String,
    /// What a scanner reads; as good as the coupon.
    pub code: String,
}

/// Tax of one rate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxLine {
    /// Basis points: 1300 is 13 %.
    pub rate_bp: u32,
    pub net: Money,
    pub tax: Money,
    /// Came on top of the prices.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub added: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptTender {
    pub kind: Name,
    pub amount: Money,
    /// Truncated card, terminal and trace, or what the provider requires.
    pub details: Vec<String>,
}

/// ISO 4217 code, sign, and how many digits follow the point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Currency {
    pub code: String,
    /// Numeric code, as payment terminals want it (156 = CNY).
    pub numeric: u16,
    pub sign: String,
    pub digits: u8,
}

impl Currency {
    /// `￥12.50`; the sign may be empty.
    #[must_use]
    pub fn show(&self, amount: Money) -> String {
        let scale = 10_u64.saturating_pow(u32::from(self.digits));
        let magnitude = amount.0.unsigned_abs();
        let minus = if amount.0 < 0 { "-" } else { "" };
        if self.digits == 0 {
            return alloc::format!("{minus}{}{magnitude}", self.sign);
        }
        let width = usize::from(self.digits);
        alloc::format!("{minus}{}{}.{:0width$}", self.sign, magnitude / scale, magnitude % scale)
    }
}
