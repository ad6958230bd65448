//! Tax by rate: part of the prices, or on top of them. Savings make it less.

use super::rounding::{divide, narrow, round};
use crate::config::{PriceRules, TaxMode, TaxRounding};
use crate::line::Line;
use crate::receipt::TaxLine;
use crate::words::Money;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// One row per rate.
#[must_use]
pub fn taxes<'a>(lines: impl Iterator<Item = &'a Line>, rules: &PriceRules) -> Vec<TaxLine> {
    let lines = lines.filter(|line| !line.voided);
    of_amounts(lines.map(|line| (line.tax_bp, line.total())), rules)
}

/// One row per rate, of amounts at their rates.
pub(super) fn of_amounts(amounts: impl Iterator<Item = (u32, Money)>, rules: &PriceRules) -> Vec<TaxLine> {
    let mut rates: BTreeMap<u32, (Money, Money)> = BTreeMap::new();
    for (rate_bp, amount) in amounts {
        let (base, tax) = rates.entry(rate_bp).or_default();
        *base = base.plus(amount);
        if rules.tax_per == TaxRounding::Line {
            *tax = tax.plus(of(amount, rate_bp, rules));
        }
    }
    let bases: Vec<(u32, Money)> = rates.iter().map(|(rate_bp, (base, _))| (*rate_bp, *base)).collect();
    let taxes: Vec<Money> = match rules.tax_per {
        TaxRounding::Line => rates.values().map(|(_, by_line)| *by_line).collect(),
        TaxRounding::Rate => bases.iter().map(|(rate_bp, base)| of(*base, *rate_bp, rules)).collect(),
        TaxRounding::Transaction => once(&bases, rules),
    };
    let row = |((rate_bp, base), tax): ((u32, Money), Money)| match rules.tax {
        TaxMode::Included => TaxLine { rate_bp, net: base.minus(tax), tax, added: false },
        TaxMode::Added => TaxLine { rate_bp, net: base, tax, added: true },
    };
    bases.into_iter().zip(taxes).map(row).collect()
}

/// Rate over what it is a part of.
fn fraction(rate_bp: u32, mode: TaxMode) -> (i64, i64) {
    let rate = i64::from(rate_bp);
    match mode {
        TaxMode::Included => (rate, rate.saturating_add(10_000)),
        TaxMode::Added => (rate, 10_000),
    }
}

fn of(base: Money, rate_bp: u32, rules: &PriceRules) -> Money {
    let (numerator, denominator) = fraction(rate_bp, rules.tax);
    round(base, numerator, denominator, rules.tax_rounding)
}

/// All rates are summed exactly and rounded once; they share the sum by largest remainder.
fn once(bases: &[(u32, Money)], rules: &PriceRules) -> Vec<Money> {
    // Over one denominator: rates are few, so that the product stays far inside 128 bits.
    let fractions: Vec<(i64, i64)> = bases.iter().map(|(rate_bp, _)| fraction(*rate_bp, rules.tax)).collect();
    let common = fractions.iter().fold(1, |product, (_, denominator)| lcm(product, i128::from(*denominator)));
    let exact = |((_, base), (numerator, denominator)): (&(u32, Money), &(i64, i64))| {
        let scale = common.checked_div(i128::from(*denominator)).unwrap_or(0);
        i128::from(base.0).saturating_mul(i128::from(*numerator)).saturating_mul(scale)
    };
    let parts: Vec<i128> = bases.iter().zip(&fractions).map(exact).collect();
    let sum = parts.iter().fold(0, |sum: i128, part| sum.saturating_add(*part));
    let mut taxes: Vec<i128> = parts.iter().map(|part| part.div_euclid(common)).collect();
    let mut over = divide(sum, common, rules.tax_rounding).saturating_sub(taxes.iter().sum());
    let mut order: Vec<(i128, usize)> = parts.iter().map(|part| -part.rem_euclid(common)).zip(0_usize..).collect();
    order.sort_unstable();
    for (_, index) in order {
        if let Some(tax) = taxes.get_mut(index).filter(|_| over > 0) {
            *tax = tax.saturating_add(1);
            over = over.saturating_sub(1);
        }
    }
    taxes.into_iter().map(narrow).collect()
}

fn lcm(a: i128, b: i128) -> i128 {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x.checked_rem(y).unwrap_or(0));
    }
    a.checked_div(x).unwrap_or(1).saturating_mul(b)
}
