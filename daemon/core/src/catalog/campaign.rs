//! Coupon campaigns: what a coupon is good for says the promotion that names the campaign in `coupon`.

use crate::calendar;
use crate::words::{LocalMinute, Money, Name};
use alloc::string::String;
use serde::{Deserialize, Serialize};

const ID_MAX: usize = 40;
/// Ten years: paper does not last longer.
const VALID_DAYS_MAX: u16 = 3_660;

/// One row of the dataset `coupons`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Campaign {
    /// What promotions name in `coupon`, and the first part of a coupon's code.
    pub id: String,
    pub name: Name,
    /// Each serial counts once, anywhere.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub single_use: bool,
    /// Codes carry a keyed code that every store of the tenant checks itself.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub signed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_basket: Option<u32>,
    #[serde(default, with = "calendar::minute_if", skip_serializing_if = "Option::is_none")]
    pub from: Option<LocalMinute>,
    /// The first minute it does not hold.
    #[serde(default, with = "calendar::minute_if", skip_serializing_if = "Option::is_none")]
    pub until: Option<LocalMinute>,
    /// How many each store may redeem while headquarters is away; counted anew under each `lease_no`.
    #[serde(default, skip_serializing_if = "super::is_zero")]
    pub lease: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lease_no: u64,
    /// Handed out with receipts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue: Option<Issue>,
}

/// Which sales bring a coupon of the campaign.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issue {
    /// From this total on.
    pub spend: Money,
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub members: bool,
    /// Good today and so many days more.
    pub valid_days: u16,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Campaign {
    /// Whether coupons of it are taken and handed out at that minute.
    #[must_use]
    pub fn holds(&self, at: LocalMinute) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at < until)
    }

    /// # Errors
    /// What keeps it from being a campaign.
    pub fn check(&self) -> Result<(), &'static str> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if self.id.is_empty() || self.id.len() > ID_MAX || !self.id.bytes().all(plain) {
            return Err("the id is not 1 to 40 letters, digits, '-' and '_'");
        }
        if self.name.zh.trim().is_empty() && self.name.en.trim().is_empty() {
            return Err("no name");
        }
        if matches!((self.from, self.until), (Some(from), Some(until)) if until <= from) {
            return Err("it ends before it begins");
        }
        if self.per_basket == Some(0) {
            return Err("per_basket of zero");
        }
        let Some(issue) = &self.issue else { return Ok(()) };
        if !self.signed || !self.single_use {
            return Err("what receipts hand out is signed and single_use");
        }
        if issue.spend.0 <= 0 || !(1..=VALID_DAYS_MAX).contains(&issue.valid_days) {
            return Err("issue wants a spend above zero and 1 to 3660 valid_days");
        }
        Ok(())
    }
}
