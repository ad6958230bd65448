//! Reference data the store decides with: goods and members. Rows come from HQ as datasets; the box looks them up through [`Catalog`].

use crate::words::{ItemKey, MemberId, Money, Name, PriceBook};
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// What `step` may look up. Two implementations: SQLite on the box, a map in tests and simulations.
pub trait Catalog {
    fn item(&self, key: &ItemKey) -> Option<Item>;
    fn member(&self, code: &str) -> Option<Member>;
    fn member_by_id(&self, id: &MemberId) -> Option<Member>;
    /// The price book in force.
    fn price_book(&self) -> PriceBook;
}

/// One row of the dataset `catalogue`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    pub key: ItemKey,
    pub name: Name,
    /// Per piece, or per kilogram for goods sold by weight; tax included.
    pub price: Money,
    #[serde(default)]
    pub by_weight: bool,
    /// Tax included in the price, basis points.
    pub tax_bp: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_age: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_price: Option<Money>,
    /// For pages that group goods.
    #[serde(default)]
    pub group: String,
}

/// A promotion on one item. Baskets of many items are the promotion engine's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    pub id: String,
    pub name: Name,
    pub rule: OfferRule,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfferRule {
    /// Basis points off.
    Percent { off_bp: u32 },
    /// Every full group of `n` costs `price` together.
    Multi { n: u32, price: Money },
}

/// One row of the dataset `members`; lives in `members.db`, never in the journal.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub id: MemberId,
    /// What card and phone show: `M` and ten digits.
    pub code: String,
    /// Personal: pages show it masked.
    pub name: String,
    #[serde(default)]
    pub level: String,
}

impl Member {
    /// `王**` for 王小明, `A***` for Anna: enough to say hello, not enough to tell who stands there.
    #[must_use]
    pub fn masked(&self) -> String {
        let mut chars = self.name.chars();
        let first = chars.next().map(String::from).unwrap_or_default();
        let rest = chars.count().clamp(2, 3);
        first + &"*".repeat(rest)
    }
}

impl core::fmt::Debug for Member {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Member({})", self.id)
    }
}
