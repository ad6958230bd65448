//! Reference data the store decides with: goods and members. Rows come from HQ as datasets; the box looks them up through [`Catalog`].

mod book;
mod campaign;
mod promotion;
mod recall;

pub use book::{Brief, NO_PROMOTIONS, PromotionBook, Selected};
pub use campaign::{Campaign, Issue};
pub use promotion::{Give, Goods, Limit, Members, Offline, Part, Promotion, PromotionRule, Stacking, Threshold, When};
pub use recall::Recall;

use crate::calendar;
use crate::face::Erasure;
use crate::line::LineKind;
use crate::policy::Policy;
use crate::returns::{SaleRef, Sold};
use crate::words::{ItemKey, LocalMinute, MemberId, Money, Name, PriceBook};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What `step` may look up. Two implementations: SQLite on the box, a map in tests and simulations.
pub trait Catalog {
    fn item(&self, key: &ItemKey) -> Option<Item>;
    fn member(&self, code: &str) -> Option<Member>;
    fn member_by_id(&self, id: &MemberId) -> Option<Member>;
    /// Members whose telephone number ends so.
    fn members_by_tail(&self, _tail: &str) -> Vec<MemberId> {
        Vec::new()
    }

    /// Of headquarters' list of erasures the first behind `n`.
    fn erasure_after(&self, _n: u64) -> Option<Erasure> {
        None
    }

    /// Everybody whose telephone number is this one, see [`crate::phone`].
    fn members_by_phone(&self, _digits: &str) -> Vec<Member> {
        Vec::new()
    }

    /// The price book in force.
    fn price_book(&self) -> PriceBook;

    /// Whether the dataset the journal says is in force is there to be read; on a disk that was replaced it may not be.
    fn has(&self, _dataset: &str) -> bool {
        true
    }
    /// The promotions in force, kept ready: a basket is priced again after every scan.
    fn promotions(&self) -> &PromotionBook {
        &NO_PROMOTIONS
    }

    /// Why this lot (empty: unknown) or this single piece of `key` was recalled; `None`: it was not.
    fn recalled(&self, key: &ItemKey, lot: &str, serial: Option<&str>) -> Option<Name> {
        let _ = (key, lot, serial);
        None
    }

    /// The coupon campaigns the box knows, kept ready; a few.
    fn campaigns(&self) -> &[Campaign] {
        &[]
    }

    fn campaign(&self, id: &str) -> Option<&Campaign> {
        self.campaigns().iter().find(|campaign| campaign.id == id)
    }

    /// The keyed code of `text` under the key stores and headquarters share; `None`: this box has no key.
    fn coupon_mac(&self, _text: &str) -> Option<String> {
        None
    }

    /// What headquarters allows while nobody outside can be asked, by its name.
    fn policy(&self, _id: &str) -> Option<&Policy> {
        None
    }

    /// A sale this box completed, as its journal holds it.
    fn sale(&self, _asked: &SaleRef) -> Option<Sold> {
        None
    }
}

/// One row of the dataset `catalogue`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    pub key: ItemKey,
    pub name: Name,
    /// Per piece, or per kilogram for goods sold by weight.
    pub price: Money,
    #[serde(default)]
    pub by_weight: bool,
    /// Basis points: 1300 is 13 %. The store's rules say whether prices include it.
    pub tax_bp: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_age: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
    /// For any member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_price: Option<Money>,
    /// For members of a level, where it differs from `member_price`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub levels: BTreeMap<String, Money>,
    /// From so many pieces on, each costs less.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breaks: Vec<QuantityBreak>,
    /// Prices to come, and prices for a time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scheduled: Vec<ScheduledPrice>,
    /// What one piece holds: for the price per 100 g or litre beside the price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// What pages group goods by, and what promotions, limits, restricted hours and point rules are said of;
    /// `dairy/yoghurt` lies under `dairy`.
    #[serde(default)]
    pub group: String,
    /// What a line of it is: goods, a deposit, or an empty brought back.
    #[serde(default, skip_serializing_if = "LineKind::is_goods")]
    pub kind: LineKind,
    /// Comes into the basket with it, changes and leaves with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deposit: Option<ItemKey>,
    /// As the deposit, but goods of their own: the charger of a device, the bag of a bunch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linked: Vec<ItemKey>,
    /// Packing that is taken off a weight.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tare_g: u32,
    /// What one piece weighs as it is put into a bag, before the store has learned it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub piece_g: Option<u32>,
    /// Not to be sold just now, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Name>,
    /// Each piece carries a serial number and is sold once.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub serialised: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
pub(crate) const fn is_zero(n: &u32) -> bool {
    *n == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
pub(crate) const fn is_nought(n: &u64) -> bool {
    *n == 0
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuantityBreak {
    pub from: u32,
    pub price: Money,
}

/// What of an item's prices changes at a minute of the store's clock. Of those that hold, the one that began last counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduledPrice {
    #[serde(with = "calendar::minute")]
    pub from: LocalMinute,
    /// The first minute it does not hold; left out: until the next.
    #[serde(default, with = "calendar::minute_if", skip_serializing_if = "Option::is_none")]
    pub until: Option<LocalMinute>,
    pub price: Money,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_price: Option<Money>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub levels: BTreeMap<String, Money>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breaks: Vec<QuantityBreak>,
}

/// Net content of one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    G(u32),
    Ml(u32),
}

impl Item {
    /// The item as it is priced at that minute: a change lands with all its prices or not at all.
    #[must_use]
    pub fn priced(mut self, at: LocalMinute) -> Self {
        let holds = |change: &&ScheduledPrice| change.from <= at && change.until.is_none_or(|until| at < until);
        let Some(change) = self.scheduled.iter().filter(holds).max_by_key(|change| change.from).cloned() else {
            return self;
        };
        self.price = change.price;
        self.member_price = change.member_price;
        self.levels = change.levels;
        self.breaks = change.breaks;
        self
    }
}

/// A promotion on one item, written in its row: short for a [`Promotion`] of this key alone.
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
    /// Personal: found by it, never shown. As people write it, best with the country's code.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub phone: String,
    #[serde(default)]
    pub level: String,
    /// How often promotions with a limit per member were used, as headquarters counts them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub used: BTreeMap<String, u32>,
    /// Points headquarters knew of when it made this version of the dataset.
    #[serde(default, skip_serializing_if = "is_nought")]
    pub points: u64,
    /// How many of them a store may burn while headquarters is away, until the next version.
    #[serde(default, skip_serializing_if = "is_nought")]
    pub points_lease: u64,
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
