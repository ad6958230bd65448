//! Points: earned with the sale, by rules that are data, and taken back in proportion with what comes back.

use crate::basket::Transaction;
use crate::line::LineKind;
use crate::rules::{PointRules, PointTimes};
use crate::words::Money;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Points {
    pub earned: u64,
}

impl PointTimes {
    fn fits(&self, group: &str, level: &str) -> bool {
        self.group.as_ref().is_none_or(|named| named == group) && self.level.as_ref().is_none_or(|named| named == level)
    }
}

impl Transaction {
    /// One rounding for the whole sale, downwards; goods only, and what came back is taken off.
    pub(crate) fn points(&self, rules: &PointRules) -> Option<Points> {
        let level = self.terms.member.as_ref().map(|member| member.level.as_str()).unwrap_or_default();
        if self.member.is_none() || rules.per <= Money::ZERO {
            return None;
        }
        let goods = self.live_lines().filter(|line| matches!(line.kind, LineKind::Goods | LineKind::Returned));
        let weighed: Money = goods
            .map(|line| {
                let fits = rules.times.iter().filter(|times| times.fits(&line.group, level));
                line.total().times(i64::from(fits.map(|times| times.times).max().unwrap_or(1)))
            })
            .sum();
        let earned = weighed.0.max(0).checked_div(rules.per.0).unwrap_or(0);
        Some(Points { earned: u64::try_from(earned).unwrap_or(0) })
    }
}

/// Points that leave with goods of `returned` money out of a sale of `total`: in proportion, never more than it earned.
#[must_use]
pub fn taken_back(points: Points, total: Money, returned: Money) -> u64 {
    if total <= Money::ZERO || returned >= total {
        return points.earned;
    }
    let part = Money(i64::try_from(points.earned).unwrap_or(i64::MAX)).ratio(returned.0.max(0), total.0);
    u64::try_from(part.0).unwrap_or(0).min(points.earned)
}
