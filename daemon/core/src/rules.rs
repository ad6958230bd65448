//! What the shop has laid down about its floor: limits, hours, roles. Data of the configuration, decided here.

use crate::face::FaceRules;
use crate::words::{LocalMinute, Money, Name, Role};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

const DAY_MIN: i64 = 24 * 60;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FloorRules {
    pub overrides: OverrideLimits,
    pub back: BackLimits,
    pub limits: Vec<Limit>,
    pub hours: Vec<RestrictedHours>,
    pub bagging: BaggingRules,
    pub rescan: RescanRules,
    pub points: PointRules,
    pub face: FaceRules,
    /// A badge alone answers at a lane; without this its PIN is asked for too.
    pub badge_without_pin: bool,
}

/// The most a person of each role gives back for goods, or gives up as a basket, minor units; not said: whatever there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackLimits {
    pub cashier: Option<Money>,
    pub supervisor: Option<Money>,
}

impl BackLimits {
    pub(crate) fn allows(&self, role: Role, amount: Money) -> bool {
        let most = match role {
            Role::Cashier => self.cashier,
            Role::Supervisor => self.supervisor,
            Role::Manager => None,
        };
        most.is_none_or(|most| amount <= most)
    }
}

/// How far below the price book each role may go, basis points of the list price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OverrideLimits {
    pub cashier_bp: u32,
    pub supervisor_bp: u32,
    pub manager_bp: u32,
}

impl Default for OverrideLimits {
    fn default() -> Self {
        Self { cashier_bp: 500, supervisor_bp: 3_000, manager_bp: 10_000 }
    }
}

/// More than this of something is a question to staff.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    pub id: String,
    /// What the limit is about, as staff and shoppers read it: “infant formula”.
    pub name: Name,
    pub of: LimitOf,
    #[serde(default)]
    pub pieces: Option<u32>,
    #[serde(default)]
    pub amount: Option<Money>,
    #[serde(default)]
    pub role: Role,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitOf {
    /// One item, by its key.
    Item(String),
    Group(String),
    Basket,
}

/// Goods of `group` are not sold between two minutes of the store's day; over midnight where `from` is the later one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestrictedHours {
    pub id: String,
    pub name: Name,
    pub group: String,
    pub from_min: u16,
    pub until_min: u16,
    #[serde(default)]
    pub role: Role,
}

impl RestrictedHours {
    #[must_use]
    pub fn covers(&self, at: LocalMinute) -> bool {
        let minute = at.0.rem_euclid(DAY_MIN);
        let (from, until) = (i64::from(self.from_min), i64::from(self.until_min));
        if from <= until { (from..until).contains(&minute) } else { minute >= from || minute < until }
    }
}

/// The scale under the bags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BaggingRules {
    /// A difference up to this is never told: the scale's own steps, a bag, a leaflet.
    pub floor_g: u32,
    /// Share of the catalogue's weight allowed before the store has learned it, basis points.
    pub unlearned_bp: u32,
    /// Weights of a piece the store must have seen before it believes them rather than the catalogue.
    pub learned_from: u32,
    /// How long a shopper has to put a piece into the bag before staff is asked.
    pub patience_ms: u32,
    /// The heaviest bag a shopper may bring without a question.
    pub own_bag_g: u32,
}

impl Default for BaggingRules {
    fn default() -> Self {
        Self { floor_g: 15, unlearned_bp: 1_500, learned_from: 5, patience_ms: 15_000, own_bag_g: 1_500 }
    }
}

/// How often a basket is looked at again before it is paid, and how much of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RescanRules {
    /// Chance for every basket, basis points; 0 with no rule: never.
    pub base_bp: u32,
    /// Chance no basket exceeds, whatever speaks for a look.
    pub most_bp: u32,
    pub rules: Vec<RescanRule>,
    /// Pieces of a partial rescan; 0: always all.
    pub pieces: u32,
    /// From this chance on the whole basket is looked at.
    pub full_from_bp: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RescanRule {
    pub id: String,
    pub name: Name,
    pub when: RescanWhen,
    pub add_bp: u32,
}

/// What a rule may look at: the basket and how looks ended before. Never who somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RescanWhen {
    /// At least so many lines were voided.
    Voided(u32),
    TotalOver(Money),
    PiecesOver(u32),
    /// Pieces the shopper said would not go into the bag, or a weight that staff had to look at.
    WeightQuestion,
    /// One of this member's last looks found something not scanned.
    MemberMissed,
    /// This member has never been looked at.
    MemberNew,
    /// Of the lane's looks at least so many of a hundred found something.
    LaneMissed(u32),
}

/// Points as data: what earns how many, and what one is worth.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PointRules {
    /// Money that earns one point; 0: there are no points.
    pub per: Money,
    /// What a point is worth when paid with; 0: none can be burnt.
    pub worth: Money,
    pub times: Vec<PointTimes>,
}

/// Points times this for a group, a member level, or both; the best that fits counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PointTimes {
    #[serde(default)]
    pub group: Option<String>,
    #[serde(default)]
    pub level: Option<String>,
    pub times: u32,
}

impl FloorRules {
    #[must_use]
    pub fn lowest_price(&self, role: Role, list: Money) -> Money {
        let off_bp = match role {
            Role::Cashier => self.overrides.cashier_bp,
            Role::Supervisor => self.overrides.supervisor_bp,
            Role::Manager => self.overrides.manager_bp,
        };
        list.minus(list.ratio(i64::from(off_bp.min(10_000)), 10_000))
    }
}
