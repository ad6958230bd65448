//! Ratios of money rounded as a country wants it, and amounts shared to the last minor unit.

use crate::config::{PriceRules, Rounding};
use crate::words::Money;
use alloc::vec::Vec;

/// `amount · numerator / denominator`; zero for a zero denominator.
#[must_use]
pub fn round(amount: Money, numerator: i64, denominator: i64, rounding: Rounding) -> Money {
    if let Some(product) = amount.0.checked_mul(numerator) {
        return Money(divide_short(product, denominator, rounding));
    }
    let product = i128::from(amount.0).saturating_mul(i128::from(numerator));
    narrow(divide(product, i128::from(denominator), rounding))
}

/// What is added to `total` when it is paid in cash, so that coins can pay it.
#[must_use]
pub fn cash_rounding(total: Money, rules: &PriceRules) -> Money {
    let step = i64::from(rules.cash.step.max(1));
    round(total, 1, step, rules.cash.rounding).times(step).minus(total)
}

/// Rounded quotient; zero for a zero divisor.
pub(super) fn divide(product: i128, divisor: i128, rounding: Rounding) -> i128 {
    let (Some(whole), Some(rest)) = (product.checked_div(divisor), product.checked_rem(divisor)) else {
        return 0;
    };
    let twice = rest.unsigned_abs().saturating_mul(2);
    let away = match rounding {
        Rounding::Down => false,
        Rounding::Up => rest != 0,
        Rounding::HalfUp => twice >= divisor.unsigned_abs(),
        Rounding::HalfEven => twice > divisor.unsigned_abs() || (twice == divisor.unsigned_abs() && whole % 2 != 0),
    };
    let sign = if (product < 0) == (divisor < 0) { 1 } else { -1 };
    if away { whole.saturating_add(sign) } else { whole }
}

/// The same in 64 bits, which sums of a shop fit and where a division takes a fraction of the time.
fn divide_short(product: i64, divisor: i64, rounding: Rounding) -> i64 {
    let (Some(whole), Some(rest)) = (product.checked_div(divisor), product.checked_rem(divisor)) else {
        return if divisor == 0 { 0 } else { i64::MAX };
    };
    let (left, over) = (rest.unsigned_abs(), divisor.unsigned_abs().saturating_sub(rest.unsigned_abs()));
    let away = match rounding {
        Rounding::Down => false,
        Rounding::Up => rest != 0,
        Rounding::HalfUp => left >= over,
        Rounding::HalfEven => left > over || (left == over && whole % 2 != 0),
    };
    let sign = if (product < 0) == (divisor < 0) { 1 } else { -1 };
    if away { whole.saturating_add(sign) } else { whole }
}

pub(super) fn narrow(wide: i128) -> Money {
    Money(i64::try_from(wide).unwrap_or(if wide < 0 { i64::MIN } else { i64::MAX }))
}

/// `amount` in parts proportional to `weights`, to the last unit: what the divisions leave over goes to the largest
/// remainders, of equal ones to the first. No part is more than its weight while `amount` is not more than their sum.
pub(super) fn share(amount: i64, weights: &[i64]) -> Vec<i64> {
    let sum: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    if sum <= 0 {
        return weights.iter().map(|_| 0).collect();
    }
    // Each is less than one unit short, so what is over is less than the number of parts.
    let (mut parts, rests): (Vec<i64>, Vec<i128>) = weights.iter().map(|weight| split(amount, *weight, sum)).unzip();
    let over = usize::try_from(amount.saturating_sub(parts.iter().sum())).unwrap_or(0).min(parts.len());
    let mut order: Vec<usize> = (0..parts.len()).collect();
    let first = |a: &usize, b: &usize| rests.get(*b).cmp(&rests.get(*a)).then(a.cmp(b));
    if over > 0 && over < order.len() {
        order.select_nth_unstable_by(over, first);
    }
    for index in order.into_iter().take(over) {
        if let Some(part) = parts.get_mut(index) {
            *part = part.saturating_add(1);
        }
    }
    parts
}

/// `amount · weight / sum` rounded down, and what that leaves, in parts of `sum`.
fn split(amount: i64, weight: i64, sum: i128) -> (i64, i128) {
    if let (Some(exact), Ok(sum)) = (amount.checked_mul(weight), i64::try_from(sum)) {
        let (whole, rest) = (exact.checked_div_euclid(sum), exact.checked_rem_euclid(sum));
        return (whole.unwrap_or(0), rest.unwrap_or(0).into());
    }
    let exact = i128::from(amount).saturating_mul(i128::from(weight));
    let (whole, rest) = (exact.checked_div_euclid(sum), exact.checked_rem_euclid(sum));
    (narrow(whole.unwrap_or(0)).0, rest.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_goes_where_it_is_told() {
        let both = |rounding| (round(Money(5), 1, 2, rounding).0, round(Money(-5), 1, 2, rounding).0);
        assert_eq!(both(Rounding::HalfUp), (3, -3));
        assert_eq!(both(Rounding::HalfEven), (2, -2));
        assert_eq!(both(Rounding::Down), (2, -2));
        assert_eq!(both(Rounding::Up), (3, -3));
        assert_eq!(round(Money(7), 1, 2, Rounding::HalfEven), Money(4));
        assert_eq!(round(Money(7), 1, 0, Rounding::Up), Money::ZERO);
    }

    #[test]
    fn short_and_long_divisions_round_alike() {
        let all = [Rounding::HalfUp, Rounding::HalfEven, Rounding::Down, Rounding::Up];
        let numbers =
            [i64::MIN, i64::MIN + 1, -10_001, -7, -5, -2, -1, 0, 1, 2, 3, 5, 8, 10_000, i64::MAX - 1, i64::MAX];
        for (product, divisor) in numbers.iter().flat_map(|a| numbers.iter().map(move |b| (*a, *b))) {
            for rounding in all {
                let long = narrow(divide(product.into(), divisor.into(), rounding)).0;
                assert_eq!(divide_short(product, divisor, rounding), long, "{product} / {divisor} {rounding:?}");
            }
        }
    }

    #[test]
    fn cash_is_paid_in_five_rappen() {
        let rules = PriceRules::of("CH").unwrap();
        let paid = |total| Money(total).plus(cash_rounding(Money(total), &rules)).0;
        assert_eq!([1242, 1243, 1247, 1248, -1243].map(paid), [1240, 1245, 1245, 1250, -1245]);
        assert_eq!(cash_rounding(Money(1243), &PriceRules::default()), Money::ZERO);
    }

    #[test]
    fn the_last_unit_goes_to_the_largest_remainder_and_then_to_the_first() {
        assert_eq!(share(100, &[1, 1, 1]), [34, 33, 33]);
        assert_eq!(share(5, &[1, 2, 3]), [1, 2, 2]);
        assert_eq!(share(7, &[3, 4]), [3, 4]);
        assert_eq!(share(7, &[0, 0]), [0, 0]);
    }
}
