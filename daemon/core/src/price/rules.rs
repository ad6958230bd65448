//! What each rule gives on what is still there. None of them takes more off a row than is left of it.

use super::board::{Applied, Row, Share, State, spread};
use super::deal::Deal;
use super::rounding::round;
use crate::catalog::{Give, Part, PromotionRule, Stacking, Threshold};
use crate::config::Rounding;
use crate::words::Money;
use alloc::vec::Vec;

pub(super) struct Table<'a> {
    pub(super) rows: Vec<Row<'a>>,
    pub(super) deals: Vec<Deal<'a>>,
    pub(super) rounding: Rounding,
}

impl Table<'_> {
    /// The deal on what `state` left, shared out; `None` where it gives nothing.
    pub(super) fn apply(&self, deal: usize, state: &State) -> Option<Applied> {
        let mut applied = self.offer(deal, state)?;
        self.share_out(&mut applied);
        Some(applied)
    }

    /// The same with its sum alone: how deals are weighed against each other takes no shares, see [`Self::share_out`].
    pub(super) fn offer(&self, deal: usize, state: &State) -> Option<Applied> {
        let at = self.deals.get(deal)?;
        let (off, times, shares) = match &at.promotion.rule {
            PromotionRule::Percent { .. } | PromotionRule::Amount { .. } | PromotionRule::Price { .. } => {
                if at.stacking == Stacking::Adds { self.each_adds(at, state) } else { self.each(at, state) }
            }
            PromotionRule::NFor { n, price } => self.set(at, state, *n, &[], Give::Price(*price))?,
            PromotionRule::Set { n, with, give } => self.set(at, state, *n, with, *give)?,
            PromotionRule::BuyGet { buy, get, off_bp, of: None } => self.buy_get(at, state, [*buy, *get], *off_bp),
            PromotionRule::BuyGet { buy, get, off_bp, of: Some(_) } => self.buy_other(at, state, [*buy, *get], *off_bp),
            PromotionRule::Basket { steps, every } => {
                let (off, times) = self.reached(at, state, steps, *every)?;
                (off, times, self.touched(at, state).map(|(_, share)| share).collect())
            }
        };
        (off > 0).then_some(Applied { deal, times, off, shares })
    }

    /// Lays what comes off on the rows it comes off of.
    pub(super) fn share_out(&self, applied: &mut Applied) {
        let Some(at) = self.deals.get(applied.deal) else { return };
        match &at.promotion.rule {
            PromotionRule::Percent { off_bp } if at.stacking == Stacking::Alone => {
                self.percent_of_pools(&mut applied.shares, *off_bp);
            }
            PromotionRule::BuyGet { off_bp, .. } => self.percent_of_pools(&mut applied.shares, *off_bp),
            PromotionRule::NFor { .. } | PromotionRule::Set { .. } | PromotionRule::Basket { .. } => {
                spread(&self.rows, &mut applied.shares, applied.off);
            }
            // Each row bears its own.
            PromotionRule::Percent { .. } | PromotionRule::Amount { .. } | PromotionRule::Price { .. } => {}
        }
    }

    /// What [`Self::apply`] takes off, 0 for nothing.
    pub(super) fn worth(&self, deal: usize, state: &State) -> i64 {
        match self.deals.get(deal).map(|at| (at, &at.promotion.rule)) {
            Some((at, PromotionRule::Basket { steps, every })) => {
                self.reached(at, state, steps, *every).map_or(0, |(off, _)| off)
            }
            _ => self.offer(deal, state).map_or(0, |applied| applied.off),
        }
    }

    fn row(&self, index: usize) -> Option<&Row<'_>> {
        self.rows.get(index)
    }

    /// Of a sum of money, in basis points.
    pub(super) fn percent(&self, base: i64, off_bp: u32) -> i64 {
        round(Money(base), i64::from(off_bp), 10_000, self.rounding).0.clamp(0, base.max(0))
    }

    /// Percentage, amount or price of each piece nobody else has.
    fn each(&self, deal: &Deal<'_>, state: &State) -> (i64, u32, Vec<Share>) {
        let (mut times, mut sum) = (deal.times, 0_i64);
        let mut shares = Vec::with_capacity(deal.goods().len());
        let percent = matches!(deal.promotion.rule, PromotionRule::Percent { .. });
        for &index in deal.goods() {
            let Some(row) = self.row(index) else { continue };
            let pieces = state.free(index).min(times);
            let base = row.worth(pieces);
            // A percentage is of equal goods together; one that comes to nothing on one line may come to something on its pool.
            let off = if percent { 0 } else { self.off(deal, row, pieces, base) };
            if pieces > 0 && (percent || off > 0) {
                times = times.saturating_sub(pieces);
                sum = sum.saturating_add(off);
                shares.push(Share { row: index, claimed: pieces, base, off });
            }
        }
        if let PromotionRule::Percent { off_bp } = deal.promotion.rule {
            sum = self.sum_of_pools(&mut shares, off_bp);
        }
        (sum, deal.times.saturating_sub(times), shares)
    }

    /// The same off what the others left, for equal goods together.
    fn each_adds(&self, deal: &Deal<'_>, state: &State) -> (i64, u32, Vec<Share>) {
        let (mut times, mut sum) = (deal.times, 0_i64);
        let mut shares = Vec::new();
        let pool = |row: &usize| self.row(*row).map(|row| row.pool);
        let mut rows = deal.goods().to_vec();
        rows.sort_by_key(|row| (pool(row), *row));
        for pooled in rows.chunk_by(|a, b| pool(a) == pool(b)) {
            let Some(first) = pooled.first().and_then(|row| self.row(*row)) else { continue };
            let there =
                pooled.iter().filter_map(|row| self.row(*row)).map(|row| row.pieces).fold(0, u32::saturating_add);
            let left = pooled.iter().map(|row| state.left(*row)).fold(0, i64::saturating_add);
            let pieces = there.min(times);
            let base = round(Money(left), pieces.into(), there.into(), Rounding::Down).0;
            let off = self.off(deal, first, pieces, base);
            if off > 0 {
                times = times.saturating_sub(pieces);
                sum = sum.saturating_add(off);
                let share = |row: &usize| Share { row: *row, claimed: 0, base: state.left(*row), off: 0 };
                let mut part: Vec<Share> = pooled.iter().map(share).collect();
                spread(&self.rows, &mut part, off);
                shares.append(&mut part);
            }
        }
        (sum, deal.times.saturating_sub(times), shares)
    }

    /// Off pieces like those of `row` that come to `base`.
    pub(super) fn off(&self, deal: &Deal<'_>, row: &Row<'_>, pieces: u32, base: i64) -> i64 {
        match &deal.promotion.rule {
            PromotionRule::Percent { off_bp } => self.percent(base, *off_bp),
            PromotionRule::Amount { off } => row.at_price(*off, pieces).clamp(0, base),
            PromotionRule::Price { price } => base.saturating_sub(row.at_price(*price, pieces)).max(0),
            PromotionRule::NFor { .. }
            | PromotionRule::BuyGet { .. }
            | PromotionRule::Set { .. }
            | PromotionRule::Basket { .. } => 0,
        }
    }

    /// A percentage is rounded once for equal goods, however many lines they lie on: what it comes to.
    fn sum_of_pools(&self, shares: &mut [Share], off_bp: u32) -> i64 {
        let pools = self.pooled(shares).chunk_by(|a, b| self.pool(a) == self.pool(b));
        pools.map(|pooled| self.percent(base_of(pooled), off_bp)).fold(0, i64::saturating_add)
    }

    /// The same, shared out.
    fn percent_of_pools(&self, shares: &mut [Share], off_bp: u32) {
        for pooled in self.pooled(shares).chunk_by_mut(|a, b| self.pool(a) == self.pool(b)) {
            spread(&self.rows, pooled, self.percent(base_of(pooled), off_bp));
        }
    }

    /// Equal goods beside each other.
    fn pooled<'s>(&self, shares: &'s mut [Share]) -> &'s mut [Share] {
        shares.sort_by_key(|share| (self.pool(share), share.row));
        shares
    }

    fn pool(&self, share: &Share) -> Option<usize> {
        self.row(share.row).map(|row| row.pool)
    }

    /// As many sets as save something: the dearest goods first, so that each further set saves no more than the one before.
    fn set(&self, deal: &Deal<'_>, state: &State, n: u32, with: &[Part], give: Give) -> Option<(i64, u32, Vec<Share>)> {
        let wants = core::iter::once(n).chain(with.iter().map(|part| part.n));
        let there = |(part, want): (&[usize], u32)| {
            let free = part.iter().filter(|row| self.pieces(**row)).map(|row| state.free(*row));
            free.fold(0, u32::saturating_add).checked_div(want).unwrap_or(0)
        };
        let most = deal.parts.iter().zip(wants.clone()).map(there).min().unwrap_or(0).min(deal.times);
        let mut shares = Vec::new();
        let gives = |times: u32, shares: &mut Vec<Share>| -> Option<i64> {
            self.claim(deal, state, wants.clone().map(|want| want.saturating_mul(times)), shares)?;
            let base = base_of(shares);
            Some(match give {
                Give::Price(price) => base.saturating_sub(price.times(times.into()).0),
                Give::Off(off) => off.times(times.into()).0.min(base),
                Give::OffBp(bp) => self.percent(base, bp),
            })
        };
        let (mut low, mut high) = (0, most);
        while low < high {
            let middle = low.midpoint(high).saturating_add(u32::from((low ^ high) & 1 == 1));
            let before = gives(middle.saturating_sub(1), &mut shares);
            let more = gives(middle, &mut shares).is_some_and(|off| before.is_some_and(|before| off > before));
            if more { low = middle } else { high = middle.saturating_sub(1) }
        }
        let off = gives(low, &mut shares).filter(|_| low > 0)?;
        Some((off, low, shares))
    }

    fn pieces(&self, row: usize) -> bool {
        self.row(row).is_some_and(|row| !row.weighed())
    }

    /// So many free pieces of each part, the dearest first; `None` where parts that want the same goods find too few.
    fn claim(
        &self,
        deal: &Deal<'_>,
        state: &State,
        wants: impl Iterator<Item = u32>,
        shares: &mut Vec<Share>,
    ) -> Option<()> {
        shares.clear();
        for (part, mut wanted) in deal.parts.iter().zip(wants) {
            let before = shares.len();
            for &index in part {
                if wanted == 0 {
                    break;
                }
                let Some(row) = self.row(index).filter(|row| !row.weighed()) else { continue };
                let known =
                    shares.get_mut(..before).and_then(|known| known.iter_mut().find(|share| share.row == index));
                let taken = known.as_ref().map_or(0, |share| share.claimed);
                let pieces = state.free(index).saturating_sub(taken).min(wanted);
                let base = row.worth(pieces);
                wanted = wanted.saturating_sub(pieces);
                match known {
                    Some(share) => {
                        share.claimed = share.claimed.saturating_add(pieces);
                        share.base = share.base.saturating_add(base);
                    }
                    None if pieces > 0 => shares.push(Share { row: index, claimed: pieces, base, off: 0 }),
                    None => {}
                }
            }
            if wanted > 0 {
                return None;
            }
        }
        Some(())
    }

    /// Groups from the dearest down; the cheapest of each group are reduced.
    fn buy_get(&self, deal: &Deal<'_>, state: &State, [buy, get]: [u32; 2], off_bp: u32) -> (i64, u32, Vec<Share>) {
        let group = u64::from(buy).saturating_add(get.into());
        let there: u64 =
            deal.goods().iter().filter(|row| self.pieces(**row)).map(|row| u64::from(state.free(*row))).sum();
        let groups = there.checked_div(group).unwrap_or(0).min(deal.times.into());
        let end = groups.saturating_mul(group);
        // Reduced pieces among the first `position`.
        let reduced = |position: u64| {
            let (whole, rest) = (position.checked_div(group).unwrap_or(0), position.checked_rem(group).unwrap_or(0));
            whole.saturating_mul(get.into()).saturating_add(rest.saturating_sub(buy.into()))
        };
        let mut position: u64 = 0;
        let mut shares = Vec::new();
        for &index in deal.goods().iter().filter(|row| self.pieces(**row)) {
            let next = position.saturating_add(state.free(index).into()).min(end);
            let claimed = u32::try_from(next.saturating_sub(position)).unwrap_or(u32::MAX);
            let pieces = u32::try_from(reduced(next).saturating_sub(reduced(position))).unwrap_or(u32::MAX);
            position = next;
            if claimed > 0 {
                let base = self.row(index).map_or(0, |row| row.worth(pieces));
                shares.push(Share { row: index, claimed, base, off: 0 });
            }
        }
        let off = self.sum_of_pools(&mut shares, off_bp);
        (off, u32::try_from(groups).unwrap_or(u32::MAX), shares)
    }

    /// What is got is of other goods: first those that only can be got, the dearest first; bought are the cheapest that remain.
    fn buy_other(&self, deal: &Deal<'_>, state: &State, [buy, get]: [u32; 2], off_bp: u32) -> (i64, u32, Vec<Share>) {
        let (bought, got) = (deal.parts.get(0), deal.parts.get(1));
        let only = |rows: &[usize], other: &[usize]| -> Vec<usize> {
            rows.iter().copied().filter(|row| self.pieces(*row) && !other.contains(row)).collect()
        };
        let (only_buy, only_get) = (only(bought, got), only(got, bought));
        let both: Vec<usize> = bought.iter().copied().filter(|row| self.pieces(*row) && got.contains(row)).collect();
        let count = |rows: &[usize]| rows.iter().map(|row| u64::from(state.free(*row))).fold(0, u64::saturating_add);
        let (buys, gets, shared) = (count(&only_buy), count(&only_get), count(&both));
        let fits = |have: u64, want: u64| have.checked_div(want).unwrap_or(u64::MAX);
        let group = u64::from(buy).saturating_add(get.into());
        let times = fits(buys.saturating_add(shared), buy.into())
            .min(fits(gets.saturating_add(shared), get.into()))
            .min(fits(buys.saturating_add(gets).saturating_add(shared), group))
            .min(deal.times.into());
        let times = u32::try_from(times).unwrap_or(u32::MAX);
        let mut shares: Vec<Share> = Vec::new();
        let mut take = |order: &mut dyn Iterator<Item = usize>, mut wanted: u32, reduced: bool| {
            for index in order {
                let taken: u32 = shares.iter().filter(|share| share.row == index).map(|share| share.claimed).sum();
                let pieces = state.free(index).saturating_sub(taken).min(wanted);
                wanted = wanted.saturating_sub(pieces);
                let base = self.row(index).filter(|_| reduced).map_or(0, |row| row.worth(pieces));
                match shares.iter_mut().find(|share| share.row == index) {
                    Some(share) => share.claimed = share.claimed.saturating_add(pieces),
                    None if pieces > 0 => shares.push(Share { row: index, claimed: pieces, base, off: 0 }),
                    None => {}
                }
            }
        };
        take(&mut only_get.iter().chain(&both).copied(), get.saturating_mul(times), true);
        take(&mut only_buy.iter().rev().chain(both.iter().rev()).copied(), buy.saturating_mul(times), false);
        let off = self.sum_of_pools(&mut shares, off_bp);
        (off, times, shares)
    }

    /// The best step reached: what comes off, and how often.
    fn reached(&self, deal: &Deal<'_>, state: &State, steps: &[Threshold], every: bool) -> Option<(i64, u32)> {
        let (pieces, base) = self.touched(deal, state).fold((0_u32, 0_i64), |(pieces, base), (of_row, share)| {
            (pieces.saturating_add(of_row), base.saturating_add(share.base))
        });
        let given = |step: &Threshold| {
            let reached = base >= step.spend.0 && pieces >= step.pieces;
            let by_spend = base.checked_div(step.spend.0).unwrap_or(i64::MAX);
            let by_pieces = pieces.checked_div(step.pieces).map_or(i64::MAX, i64::from);
            let often = if every { by_spend.min(by_pieces).min(deal.times.into()) } else { 1 };
            let off = match step.give {
                Give::Off(off) => off.times(often).0.min(base),
                Give::OffBp(bp) => self.percent(base, bp),
                Give::Price(_) => 0,
            };
            let off = step.at_most.map_or(off, |most| off.min(most.0));
            (reached && off > 0).then_some((off, u32::try_from(often).unwrap_or(u32::MAX)))
        };
        steps.iter().filter_map(given).max()
    }

    /// The rows a basket rule counts, with their pieces, and what of them it takes.
    fn touched(&self, deal: &Deal<'_>, state: &State) -> impl Iterator<Item = (u32, Share)> {
        let adds = deal.stacking == Stacking::Adds;
        deal.goods().iter().filter_map(move |index| {
            let row = self.row(*index)?;
            let (pieces, base) = if adds {
                (row.pieces, state.left(*index))
            } else {
                (state.free(*index), row.worth(state.free(*index)))
            };
            let share = Share { row: *index, claimed: if adds { 0 } else { pieces }, base, off: 0 };
            // What cost nothing left is still a piece.
            (pieces > 0).then_some((pieces, share))
        })
    }
}

fn base_of(shares: &[Share]) -> i64 {
    shares.iter().map(|share| share.base).fold(0, i64::saturating_add)
}
