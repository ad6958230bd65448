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
    /// The deal on what `state` left; `None` where it gives nothing.
    pub(super) fn apply(&self, deal: usize, state: &State) -> Option<Applied> {
        let at = self.deals.get(deal)?;
        let (times, shares) = match &at.promotion.rule {
            PromotionRule::Percent { .. } | PromotionRule::Amount { .. } | PromotionRule::Price { .. } => {
                if at.stacking == Stacking::Adds { self.each_adds(at, state) } else { self.each(at, state) }
            }
            PromotionRule::NFor { n, price } => self.set(at, state, *n, &[], Give::Price(*price)),
            PromotionRule::Set { n, with, give } => self.set(at, state, *n, with, *give),
            PromotionRule::BuyGet { buy, get, off_bp, of: None } => self.buy_get(at, state, [*buy, *get], *off_bp),
            PromotionRule::BuyGet { buy, get, off_bp, of: Some(_) } => self.buy_other(at, state, [*buy, *get], *off_bp),
            PromotionRule::Basket { steps, every } => self.basket(at, state, steps, *every),
        };
        let off = shares.iter().map(|share| share.off).fold(0, i64::saturating_add);
        (off > 0).then_some(Applied { deal, times, off, shares })
    }

    /// What [`Self::apply`] takes off, 0 for nothing; without sharing it out where that is not needed to know.
    pub(super) fn worth(&self, deal: usize, state: &State) -> i64 {
        match self.deals.get(deal).map(|at| (at, &at.promotion.rule)) {
            Some((at, PromotionRule::Basket { steps, every })) => {
                self.reached(at, state, steps, *every).map_or(0, |(off, ..)| off)
            }
            _ => self.apply(deal, state).map_or(0, |applied| applied.off),
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
    fn each(&self, deal: &Deal<'_>, state: &State) -> (u32, Vec<Share>) {
        let mut times = deal.times;
        let mut shares = Vec::new();
        for &index in deal.goods() {
            let Some(row) = self.row(index) else { continue };
            let pieces = state.free(index).min(times);
            let base = row.worth(pieces);
            let off = self.off(deal, row, pieces, base);
            // A percentage that comes to nothing on one line may come to something on its pool.
            let percent = matches!(deal.promotion.rule, PromotionRule::Percent { .. });
            if pieces > 0 && (percent || off > 0) {
                times = times.saturating_sub(pieces);
                shares.push(Share { row: index, claimed: pieces, base, off });
            }
        }
        if let PromotionRule::Percent { off_bp } = deal.promotion.rule {
            self.percent_of_pools(&mut shares, off_bp);
        }
        (deal.times.saturating_sub(times), shares)
    }

    /// The same off what the others left, for equal goods together.
    fn each_adds(&self, deal: &Deal<'_>, state: &State) -> (u32, Vec<Share>) {
        let mut times = deal.times;
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
                let share = |row: &usize| Share { row: *row, claimed: 0, base: state.left(*row), off: 0 };
                let mut part: Vec<Share> = pooled.iter().map(share).collect();
                spread(&self.rows, &mut part, off);
                shares.append(&mut part);
            }
        }
        (deal.times.saturating_sub(times), shares)
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

    /// A percentage is rounded once for equal goods, however many lines they lie on.
    fn percent_of_pools(&self, shares: &mut [Share], off_bp: u32) {
        let pool = |share: &Share| self.row(share.row).map(|row| row.pool);
        shares.sort_by_key(|share| (pool(share), share.row));
        for pooled in shares.chunk_by_mut(|a, b| pool(a) == pool(b)) {
            let base = pooled.iter().map(|share| share.base).fold(0, i64::saturating_add);
            spread(&self.rows, pooled, self.percent(base, off_bp));
        }
    }

    /// As many sets as save something: the dearest goods first, so that each further set saves no more than the one before.
    fn set(&self, deal: &Deal<'_>, state: &State, n: u32, with: &[Part], give: Give) -> (u32, Vec<Share>) {
        let wants: Vec<u32> = core::iter::once(n).chain(with.iter().map(|part| part.n)).collect();
        let there = |(part, want): (&[usize], &u32)| {
            let free = part.iter().filter(|row| self.pieces(**row)).map(|row| state.free(*row));
            free.fold(0, u32::saturating_add).checked_div(*want).unwrap_or(0)
        };
        let most = deal.parts.iter().zip(&wants).map(there).min().unwrap_or(0).min(deal.times);
        let gives = |times: u32| -> Option<(i64, Vec<Share>)> {
            let shares = self.claim(deal, state, &wants, times)?;
            let base = shares.iter().map(|share| share.base).fold(0, i64::saturating_add);
            let off = match give {
                Give::Price(price) => base.saturating_sub(price.times(times.into()).0),
                Give::Off(off) => off.times(times.into()).0.min(base),
                Give::OffBp(bp) => self.percent(base, bp),
            };
            Some((off, shares))
        };
        let (mut low, mut high) = (0, most);
        while low < high {
            let middle = low.midpoint(high).saturating_add(u32::from((low ^ high) & 1 == 1));
            let before = gives(middle.saturating_sub(1)).map(|(off, _)| off);
            let more = gives(middle).is_some_and(|(off, _)| before.is_some_and(|before| off > before));
            if more { low = middle } else { high = middle.saturating_sub(1) }
        }
        let Some((off, mut shares)) = gives(low).filter(|_| low > 0) else { return (0, Vec::new()) };
        spread(&self.rows, &mut shares, off);
        (low, shares)
    }

    fn pieces(&self, row: usize) -> bool {
        self.row(row).is_some_and(|row| !row.weighed())
    }

    /// `times` sets off the free pieces, the dearest first; `None` where parts that want the same goods find too few.
    fn claim(&self, deal: &Deal<'_>, state: &State, wants: &[u32], times: u32) -> Option<Vec<Share>> {
        let mut shares: Vec<Share> = Vec::new();
        for (part, want) in deal.parts.iter().zip(wants) {
            let mut wanted = want.saturating_mul(times);
            for &index in part.iter().filter(|row| self.pieces(**row)) {
                let known = shares.iter().position(|share| share.row == index);
                let taken = known.and_then(|at| shares.get(at)).map_or(0, |share| share.claimed);
                let pieces = state.free(index).saturating_sub(taken).min(wanted);
                let base = self.row(index).map_or(0, |row| row.worth(pieces));
                wanted = wanted.saturating_sub(pieces);
                match known.and_then(|at| shares.get_mut(at)) {
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
        Some(shares)
    }

    /// Groups from the dearest down; the cheapest of each group are reduced.
    fn buy_get(&self, deal: &Deal<'_>, state: &State, [buy, get]: [u32; 2], off_bp: u32) -> (u32, Vec<Share>) {
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
        self.percent_of_pools(&mut shares, off_bp);
        (u32::try_from(groups).unwrap_or(u32::MAX), shares)
    }

    /// What is got is of other goods: first those that only can be got, the dearest first; bought are the cheapest that remain.
    fn buy_other(&self, deal: &Deal<'_>, state: &State, [buy, get]: [u32; 2], off_bp: u32) -> (u32, Vec<Share>) {
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
        self.percent_of_pools(&mut shares, off_bp);
        (times, shares)
    }

    fn basket(&self, deal: &Deal<'_>, state: &State, steps: &[Threshold], every: bool) -> (u32, Vec<Share>) {
        let Some((off, times, mut shares)) = self.reached(deal, state, steps, every) else { return (0, Vec::new()) };
        spread(&self.rows, &mut shares, off);
        (times, shares)
    }

    /// The best step reached: what comes off, how often, and the rows it will come off of.
    fn reached(
        &self,
        deal: &Deal<'_>,
        state: &State,
        steps: &[Threshold],
        every: bool,
    ) -> Option<(i64, u32, Vec<Share>)> {
        let adds = deal.stacking == Stacking::Adds;
        let share = |index: &usize| {
            let row = self.row(*index)?;
            let (pieces, base) = if adds {
                (row.pieces, state.left(*index))
            } else {
                (state.free(*index), row.worth(state.free(*index)))
            };
            // What cost nothing left is still a piece.
            (pieces > 0)
                .then_some((pieces, Share { row: *index, claimed: if adds { 0 } else { pieces }, base, off: 0 }))
        };
        let mut pieces = 0_u32;
        let counted = deal.goods().iter().filter_map(share).map(|(of_row, share)| {
            pieces = pieces.saturating_add(of_row);
            share
        });
        let shares: Vec<Share> = counted.collect();
        let base = shares.iter().map(|share| share.base).fold(0, i64::saturating_add);
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
        steps.iter().filter_map(given).max().map(|(off, times)| (off, times, shares))
    }
}
