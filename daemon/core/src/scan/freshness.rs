//! Whether a lot may still be sold: its dates and the recall list, both known offline.

use super::gs1::Ais;
use super::{ItemCode, dates};
use crate::catalog::Catalog;
use crate::refusal::LineRefusal;
use crate::words::{LocalMinute, Name};
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// What the store does about dates that are the seller's to judge. Expiration and sell-by dates are not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreshnessRules {
    /// Goods are refused this many days after their best-before date (AI 15); without it they are sold on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_before_grace_days: Option<u16>,
}

/// Why the lot in `code` must not be sold now, with what the recall says where it is one.
pub(crate) fn unsaleable(
    code: &ItemCode,
    rules: FreshnessRules,
    now: LocalMinute,
    catalog: &dyn Catalog,
) -> Option<(LineRefusal, Option<Name>)> {
    let lot = code.ais.get("10").map(String::as_str);
    if lot.is_some() || code.serial.is_some() {
        let recalled = catalog.recalled(&code.key, lot.unwrap_or(""), code.serial.as_deref());
        if let Some(reason) = recalled {
            return Some((LineRefusal::Recalled, Some(reason)));
        }
    }
    past(&code.ais, rules, now).map(|refusal| (refusal, None))
}

/// A date names the last day on which it is still fine.
fn past(ais: &Ais, rules: FreshnessRules, now: LocalMinute) -> Option<LineRefusal> {
    let today = dates::today(now);
    let day = |ai: &str| ais.get(ai).and_then(|value| dates::day_of(value, now));
    let minute = ais.get("7003").and_then(|value| dates::minute_of(value, now));
    if day("17").is_some_and(|last| last < today) || minute.is_some_and(|last| last < now) {
        return Some(LineRefusal::Expired);
    }
    if day("16").is_some_and(|last| last < today) {
        return Some(LineRefusal::PastSellBy);
    }
    let grace = rules.best_before_grace_days.map(i64::from)?;
    day("15").is_some_and(|last| last.saturating_add(grace) < today).then_some(LineRefusal::PastBestBefore)
}
