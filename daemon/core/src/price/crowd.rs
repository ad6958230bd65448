//! Where many deals want a basket's goods, which of them are worth trying: for each sort of goods the few that give most.
//!
//! What a deal gives is guessed on untouched goods, without building it; only the order of guesses matters.

use super::deal::Deal;
use super::rules::Table;
use crate::catalog::{Give, PromotionRule};
use alloc::vec::Vec;

/// Up to so many goods deals are all tried.
pub const CROWD: usize = 32;
/// Deals kept for each sort of goods, by what they give on a piece.
const KEPT: usize = 3;

/// A deal's worth on one sort of goods: per claimed piece (in thousandths of the minor unit), in all; `deal` breaks ties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Worth {
    piece: i64,
    all: i64,
    /// Of equals the first by id.
    order: core::cmp::Reverse<usize>,
}

impl Table<'_> {
    /// Of `deals` those that give most on some sort of goods; all of them where they are few.
    pub(super) fn worth_trying(&self, deals: Vec<usize>) -> Vec<usize> {
        if deals.len() <= CROWD {
            return deals;
        }
        // There are never many of them, and they want all goods at once.
        let mut baskets: Vec<usize> = Vec::new();
        let nothing = [Worth::default(); KEPT];
        let mut best = alloc::vec![(nothing, Worth::default()); self.rows.len()];
        for &index in &deals {
            let Some(deal) = self.deals.get(index) else { continue };
            if deal.is_basket() {
                baskets.push(index);
                continue;
            }
            let (off, claimed) = self.guess(deal);
            let piece = off.saturating_mul(1000).checked_div(claimed).unwrap_or(0);
            let worth = Worth { piece, all: off, order: core::cmp::Reverse(index) };
            let pools = deal.rows().filter_map(|row| self.rows.get(row)).map(|row| row.pool);
            for pool in pools.filter(|_| off > 0) {
                let Some((kept, most)) = best.get_mut(pool) else { continue };
                if (worth.all, worth.order) > (most.all, most.order) {
                    *most = worth;
                }
                keep(kept, worth);
            }
        }
        let kept = best.iter().flat_map(|(kept, most)| kept.iter().chain([most])).filter(|worth| worth.all > 0);
        let mut kept: Vec<usize> = kept.map(|worth| worth.order.0).chain(baskets).collect();
        kept.sort_unstable();
        kept.dedup();
        kept
    }

    /// What comes off, and on how many pieces; close, not exact.
    fn guess(&self, deal: &Deal<'_>) -> (i64, i64) {
        match &deal.promotion.rule {
            PromotionRule::Percent { .. } | PromotionRule::Amount { .. } | PromotionRule::Price { .. } => {
                self.guess_each(deal)
            }
            PromotionRule::NFor { n, price } => self.guess_sets(deal, &[*n], Give::Price(*price)),
            PromotionRule::Set { n, with, give } => {
                let wants: Vec<u32> = core::iter::once(*n).chain(with.iter().map(|part| part.n)).collect();
                self.guess_sets(deal, &wants, *give)
            }
            PromotionRule::BuyGet { buy, get, off_bp, of } => {
                let got = deal.parts.get(usize::from(of.is_some()));
                let group = if of.is_some() { [*buy, *get] } else { [0, buy.saturating_add(*get)] };
                let sets = self.most(deal, if of.is_some() { &group } else { &group[1..] });
                // Without goods of its own, what is got is the cheapest: the guess is from the other end.
                let rows = got.iter().copied();
                let base = if of.is_some() {
                    self.dearest(rows, get.saturating_mul(sets))
                } else {
                    self.dearest(rows.rev(), get.saturating_mul(sets))
                };
                let claimed = i64::from(buy.saturating_add(*get)).saturating_mul(sets.into());
                (self.percent(base, *off_bp), claimed)
            }
            PromotionRule::Basket { .. } => (0, 0),
        }
    }

    fn guess_each(&self, deal: &Deal<'_>) -> (i64, i64) {
        let (mut left, mut base, mut off) = (deal.times, 0_i64, 0_i64);
        for row in deal.goods().iter().filter_map(|row| self.rows.get(*row)) {
            let pieces = row.pieces.min(left);
            left = left.saturating_sub(pieces);
            base = base.saturating_add(row.worth(pieces));
            off = off.saturating_add(self.off(deal, row, pieces, row.worth(pieces)));
        }
        if let PromotionRule::Percent { off_bp } = deal.promotion.rule {
            off = self.percent(base, off_bp);
        }
        (off, deal.times.saturating_sub(left).into())
    }

    /// One set, or as many as there are, whichever gives more.
    fn guess_sets(&self, deal: &Deal<'_>, wants: &[u32], give: Give) -> (i64, i64) {
        let of = |sets: u32| {
            let part = |(rows, want): (&[usize], &u32)| self.dearest(rows.iter().copied(), want.saturating_mul(sets));
            let base = deal.parts.iter().zip(wants).map(part).fold(0, i64::saturating_add);
            let off = match give {
                Give::Price(price) => base.saturating_sub(price.times(sets.into()).0),
                Give::Off(off) => off.times(sets.into()).0.min(base),
                Give::OffBp(bp) => self.percent(base, bp),
            };
            let pieces = wants.iter().copied().fold(0, u32::saturating_add);
            (off, i64::from(pieces).saturating_mul(sets.into()))
        };
        let most = self.most(deal, wants);
        if most == 0 { (0, 0) } else { of(1).max(of(most)) }
    }

    /// Sets that the pieces of each part are enough for.
    fn most(&self, deal: &Deal<'_>, wants: &[u32]) -> u32 {
        let pieces = |rows: &[usize]| {
            let counted = rows.iter().filter_map(|row| self.rows.get(*row)).filter(|row| !row.weighed());
            counted.map(|row| row.pieces).fold(0, u32::saturating_add)
        };
        let fits = deal.parts.iter().zip(wants).map(|(rows, want)| pieces(rows).checked_div(*want).unwrap_or(u32::MAX));
        fits.min().unwrap_or(0).min(deal.times)
    }

    /// What the first `pieces` pieces on `rows` come to.
    fn dearest(&self, rows: impl Iterator<Item = usize>, mut pieces: u32) -> i64 {
        let mut base = 0_i64;
        for row in rows.filter_map(|row| self.rows.get(row)).filter(|row| !row.weighed()) {
            let taken = row.pieces.min(pieces);
            pieces = pieces.saturating_sub(taken);
            base = base.saturating_add(row.worth(taken));
            if pieces == 0 {
                break;
            }
        }
        base
    }
}

/// Puts `worth` in its place, the best first.
fn keep(kept: &mut [Worth; KEPT], worth: Worth) {
    let mut worth = worth;
    for place in kept {
        if worth > *place {
            core::mem::swap(place, &mut worth);
        }
    }
}
