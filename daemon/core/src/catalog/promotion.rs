//! A promotion as a merchandiser writes it: one row, one object. `docs/PRICES.md` explains each field with examples.

use crate::calendar::{self, Hours, Weekday};
use crate::words::{ItemKey, LocalMinute, Money, Name};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// One row of the dataset `promotions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promotion {
    pub id: String,
    /// What pages and receipts say.
    pub name: Name,
    pub goods: Goods,
    pub rule: PromotionRule,
    #[serde(default, skip_serializing_if = "When::is_always")]
    pub when: When,
    /// Only for members, and of these levels where any are named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Members>,
    /// Only with a coupon of this campaign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coupon: Option<String>,
    #[serde(default, skip_serializing_if = "Limit::is_none")]
    pub limit: Limit,
    /// Left out: `adds` for a basket rule, `alone` for any other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stacking: Option<Stacking>,
    /// Of all promotions with the same word here one applies; `*` tolerates no other at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excludes: Option<String>,
    #[serde(default, skip_serializing_if = "Offline::applies")]
    pub offline: Offline,
}

/// Which goods: any of the keys, of the groups or of all, less the exceptions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Goods {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<ItemKey>,
    /// `dairy` takes in `dairy/yoghurt`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub all: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except_keys: Vec<ItemKey>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except_groups: Vec<String>,
    /// Unit price at least, and at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_from: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_to: Option<Money>,
}

/// What is given. Basis points: 1000 is 10 %.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PromotionRule {
    /// Off each piece, or each weighing.
    Percent { off_bp: u32 },
    /// Off each piece, or each kilogram.
    Amount { off: Money },
    /// Each piece, or each kilogram, costs this.
    Price { price: Money },
    /// Any `n` pieces of the goods cost `price` together.
    NFor { n: u32, price: Money },
    /// Of `buy + get` pieces the `get` cheapest are reduced; 10000 is free. With `of`, what is got is of other goods.
    BuyGet {
        buy: u32,
        get: u32,
        #[serde(default = "free")]
        off_bp: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<Goods>,
    },
    /// So many pieces of each part make a set; `goods` of the promotion is the first part, `n` pieces of it.
    Set {
        n: u32,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        with: Vec<Part>,
        give: Give,
    },
    /// Over what the goods come to, or how many there are: the highest step reached is given; `every`: as often as the first step is reached.
    Basket {
        steps: Vec<Threshold>,
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        every: bool,
    },
}

const fn free() -> u32 {
    10_000
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    pub goods: Goods,
    pub n: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Give {
    /// Together they cost this.
    Price(Money),
    Off(Money),
    OffBp(u32),
}

/// Reached when the goods come to `spend` and are `pieces` many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    #[serde(default, skip_serializing_if = "Money::is_zero")]
    pub spend: Money,
    #[serde(default, skip_serializing_if = "super::is_zero")]
    pub pieces: u32,
    pub give: Give,
    /// A percentage gives at most this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<Money>,
}

/// When lines scanned at a minute take part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    #[serde(with = "calendar::minute_if", skip_serializing_if = "Option::is_none")]
    pub from: Option<LocalMinute>,
    /// The first minute it does not hold.
    #[serde(with = "calendar::minute_if", skip_serializing_if = "Option::is_none")]
    pub until: Option<LocalMinute>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weekdays: Vec<Weekday>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hours: Vec<Hours>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Members {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<String>,
}

/// How often: in pieces for a price, percentage or amount, in sets or steps for the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limit {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_transaction: Option<u32>,
    /// Members only: what they used before counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_member: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stacking {
    /// A piece it touches takes no other promotion of this kind.
    Alone,
    /// Comes off what the others left.
    Adds,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Offline {
    #[default]
    Applies,
    /// Given only while headquarters answers.
    NeedsHq,
}

impl Promotion {
    #[must_use]
    pub fn stacking(&self) -> Stacking {
        match (self.stacking, &self.rule) {
            (_, PromotionRule::NFor { .. } | PromotionRule::BuyGet { .. } | PromotionRule::Set { .. }) => {
                Stacking::Alone
            }
            (Some(stacking), _) => stacking,
            (None, PromotionRule::Basket { .. }) => Stacking::Adds,
            (None, PromotionRule::Percent { .. } | PromotionRule::Amount { .. } | PromotionRule::Price { .. }) => {
                Stacking::Alone
            }
        }
    }

    /// Goods of every part.
    pub fn selectors(&self) -> impl Iterator<Item = &Goods> {
        let (of, with): (Option<&Goods>, &[Part]) = match &self.rule {
            PromotionRule::BuyGet { of, .. } => (of.as_ref(), &[]),
            PromotionRule::Set { with, .. } => (None, with.as_slice()),
            PromotionRule::Percent { .. }
            | PromotionRule::Amount { .. }
            | PromotionRule::Price { .. }
            | PromotionRule::NFor { .. }
            | PromotionRule::Basket { .. } => (None, &[]),
        };
        [&self.goods].into_iter().chain(of).chain(with.iter().map(|part| &part.goods))
    }

    /// Why no shop can want this row.
    ///
    /// # Errors
    /// One sentence for who wrote it.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.id.is_empty() || self.id.len() > 64 || matches!(self.id.as_str(), "member" | "quantity") {
            return Err("the id is not 1 to 64 characters, or is one the shop uses itself");
        }
        if self.name.zh.trim().is_empty() && self.name.en.trim().is_empty() {
            return Err("no name");
        }
        if self.selectors().any(Goods::is_nothing) {
            return Err("goods name no key, no group and not all");
        }
        if self.limit.per_transaction == Some(0) || self.limit.per_member == Some(0) {
            return Err("a limit of zero");
        }
        if matches!((self.when.from, self.when.until), (Some(from), Some(until)) if until <= from) {
            return Err("it ends before it begins");
        }
        self.rule.check()?;
        if self.stacking == Some(Stacking::Adds) && self.stacking() == Stacking::Alone {
            return Err("only percent, amount, price and basket can add to others");
        }
        Ok(())
    }
}

impl PromotionRule {
    fn check(&self) -> Result<(), &'static str> {
        let percent = |bp: u32| (1..=10_000).contains(&bp);
        let give = |give: &Give| match give {
            Give::Price(price) => price.0 >= 0,
            Give::Off(off) => off.0 > 0,
            Give::OffBp(bp) => percent(*bp),
        };
        let good = match self {
            Self::Percent { off_bp } => percent(*off_bp),
            Self::Amount { off } => off.0 > 0,
            Self::Price { price } => price.0 >= 0,
            Self::NFor { n, price } => *n >= 1 && price.0 >= 0,
            Self::BuyGet { buy, get, off_bp, of } => *get >= 1 && percent(*off_bp) && (*buy >= 1 || of.is_none()),
            Self::Set { n, with, give: what } => {
                *n >= 1 && with.len() <= 8 && with.iter().all(|part| part.n >= 1) && give(what)
            }
            Self::Basket { steps, every } => {
                let reached = |step: &Threshold| step.spend.0 >= 0 && (step.spend.0 > 0 || step.pieces > 0);
                let useful = |step: &Threshold| give(&step.give) && !matches!(step.give, Give::Price(_));
                !steps.is_empty()
                    && steps.iter().all(|step| reached(step) && useful(step))
                    && (!every || steps.len() == 1)
            }
        };
        if good { Ok(()) } else { Err("the rule gives nothing, more than all, or cannot be reached") }
    }
}

impl Goods {
    /// Whether goods of that key, group and unit price are meant.
    #[must_use]
    pub fn takes(&self, key: &ItemKey, group: &str, unit_price: Money) -> bool {
        let named = || self.all || self.keys.contains(key) || self.groups.iter().any(|wanted| under(group, wanted));
        self.keeps(key, group, unit_price) && named()
    }

    /// Whether goods that are named (by key, group or all) are still meant by their price and the exceptions.
    #[must_use]
    pub fn keeps(&self, key: &ItemKey, group: &str, unit_price: Money) -> bool {
        // Numbers are compared faster than texts, and this is asked of every promotion that names anything in the basket.
        self.price_from.is_none_or(|from| unit_price >= from)
            && self.price_to.is_none_or(|to| unit_price <= to)
            && !self.except_keys.contains(key)
            && !self.except_groups.iter().any(|wanted| under(group, wanted))
    }

    fn is_nothing(&self) -> bool {
        !self.all && self.keys.is_empty() && self.groups.is_empty()
    }
}

/// `dairy/yoghurt` lies under `dairy`.
fn under(group: &str, wanted: &str) -> bool {
    group.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl When {
    #[must_use]
    pub fn holds(&self, at: LocalMinute) -> bool {
        if self.from.is_some_and(|from| at < from) || self.until.is_some_and(|until| at >= until) {
            return false;
        }
        let wanted = |day: i64| self.weekdays.is_empty() || self.weekdays.contains(&calendar::weekday(day));
        if self.hours.is_empty() {
            return wanted(calendar::day_of(at));
        }
        self.hours.iter().filter_map(|hours| hours.day(at)).any(wanted)
    }

    pub(super) fn is_always(&self) -> bool {
        *self == Self::default()
    }
}

impl Limit {
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Offline {
    fn applies(&self) -> bool {
        *self == Self::Applies
    }
}
