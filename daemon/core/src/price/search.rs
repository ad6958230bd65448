//! Which deals, and in which order: the best for the shopper that a bounded search finds.
//!
//! Deals that stand alone and want the same rows form a group; groups do not touch each other. In a group every order is tried
//! as far as it can still beat the best one found, [`TRIES`] applications at most; beyond that the best found so far counts. It begins
//! with the deal that gives most, so that no single promotion would have been better.
//! Where a basket draws more than [`CROWD`] of them, only those that give most on some sort of goods are tried, in fewer orders.
//! Then come deals that add to others, and last basket deals that do, whose orders are searched alike; where a basket deal
//! would be worth more without a group, the group gives way. Same basket, same terms, same book: same result.

use super::board::{Applied, State};
use super::crowd::CROWD;
use super::rules::Table;
use crate::catalog::Stacking;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Applications of deals tried for one group of deals that want the same goods.
pub const TRIES: u32 = 600;
/// Orders tried before the search proper: each of the strongest deals first. The very strongest alone is already as good as any single one.
const SEEDS: usize = 8;
/// The same where the deals are a crowd.
const CROWDED: Effort = Effort { seeds: 2, tries: 60 };
/// Choices between promotions that exclude each other across kinds.
const CHOICES: usize = 16;

/// Orders tried before the search proper, and applications in it.
#[derive(Clone, Copy, Debug)]
struct Effort {
    seeds: usize,
    tries: u32,
}

const FULL: Effort = Effort { seeds: SEEDS, tries: TRIES };

/// When a deal has its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Alone,
    Adds,
    Basket,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    pub(super) off: i64,
    pub(super) applied: Vec<Applied>,
}

impl Outcome {
    fn better_of(self, other: Self) -> Self {
        if other.off > self.off { other } else { self }
    }

    fn push(&mut self, applied: Applied) {
        self.off = self.off.saturating_add(applied.off);
        self.applied.push(applied);
    }
}

/// The groups that are kept, what is applied after them, and what comes off in all.
struct Rest {
    on: Vec<bool>,
    off: i64,
    applied: Vec<Applied>,
}

impl Rest {
    fn better_of(self, other: Self) -> Self {
        if other.off > self.off { other } else { self }
    }
}

fn sum(applied: &[Applied]) -> i64 {
    applied.iter().map(|applied| applied.off).fold(0, i64::saturating_add)
}

impl Table<'_> {
    /// The best for the shopper.
    pub(super) fn best(&self) -> Outcome {
        let (lonely, social): (Vec<usize>, Vec<usize>) =
            (0..self.deals.len()).partition(|deal| self.word(*deal) == Some("*"));
        let choices = self.choices(&social);
        let together = choices.iter().map(|choice| self.solve(choice));
        let alone = lonely.iter().map(|deal| self.solve(&[*deal]));
        together.chain(alone).fold(Outcome::default(), Outcome::better_of)
    }

    fn word(&self, deal: usize) -> Option<&str> {
        self.deals.get(deal)?.word()
    }

    /// Where a word binds deals of different kinds, one list for each deal it may be, of all words together at most [`CHOICES`];
    /// beyond that one list for each such deal with the best of the other words.
    fn choices(&self, deals: &[usize]) -> Vec<Vec<usize>> {
        let mut words: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for &deal in deals {
            if let Some(word) = self.word(deal) {
                words.entry(word).or_default().push(deal);
            }
        }
        words.retain(|_, bound| bound.len() > 1 && !self.of_one_kind(bound));
        let bound: Vec<usize> = words.values().flatten().copied().collect();
        let free: Vec<usize> = deals.iter().copied().filter(|deal| !bound.contains(deal)).collect();
        let count = words.values().map(Vec::len).try_fold(1_usize, usize::checked_mul).unwrap_or(usize::MAX);
        let picks: Vec<Vec<usize>> = if count <= CHOICES {
            words.values().fold(alloc::vec![Vec::new()], |picks: Vec<Vec<usize>>, bound| {
                let with = |pick: &Vec<usize>| {
                    let pick = pick.clone();
                    bound.iter().map(move |deal| [pick.as_slice(), &[*deal]].concat()).collect::<Vec<_>>()
                };
                picks.iter().flat_map(with).collect()
            })
        } else {
            let state = State::new(&self.rows);
            let worth = |deal: &usize| self.worth(*deal, &state);
            let best = |bound: &Vec<usize>| bound.iter().copied().rev().max_by_key(worth);
            let with = |deal: &usize| {
                let others = words.values().filter(|bound| !bound.contains(deal)).filter_map(best);
                others.chain([*deal]).collect::<Vec<_>>()
            };
            bound.iter().map(with).collect()
        };
        let whole = |pick: Vec<usize>| {
            let mut list = [free.as_slice(), pick.as_slice()].concat();
            list.sort_unstable();
            list
        };
        picks.into_iter().map(whole).collect()
    }

    /// Words among deals that stand alone, or among basket deals, are minded where those are searched.
    fn of_one_kind(&self, bound: &[usize]) -> bool {
        let all = |wanted: Kind| bound.iter().all(|deal| self.kind(*deal) == Some(wanted));
        all(Kind::Alone) || all(Kind::Basket)
    }

    fn kind(&self, deal: usize) -> Option<Kind> {
        let deal = self.deals.get(deal)?;
        Some(match (deal.stacking, deal.is_basket()) {
            (Stacking::Alone, _) => Kind::Alone,
            (Stacking::Adds, false) => Kind::Adds,
            (Stacking::Adds, true) => Kind::Basket,
        })
    }

    fn solve(&self, deals: &[usize]) -> Outcome {
        let of =
            |wanted: Kind| deals.iter().copied().filter(|deal| self.kind(*deal) == Some(wanted)).collect::<Vec<_>>();
        let (goods, adds, baskets) = (of(Kind::Alone), of(Kind::Adds), of(Kind::Basket));
        let effort = if goods.len() > CROWD { CROWDED } else { FULL };
        let goods = self.worth_trying(goods);
        let mut state = State::new(&self.rows);
        let mut groups: Vec<Vec<Applied>> = self
            .groups(&goods)
            .iter()
            .map(|group| self.order(group, &mut state, effort).applied)
            .filter(|applied| !applied.is_empty())
            .collect();
        groups.iter_mut().flatten().for_each(|applied| self.share_out(applied));
        let Rest { on, off, applied } = self.best_rest(&groups, &adds, &baskets);
        let kept = groups.into_iter().zip(on).filter(|(_, on)| *on).flat_map(|(group, _)| group);
        Outcome { off, applied: kept.chain(applied).collect() }
    }

    /// Which groups stay, and what adds to them.
    fn best_rest(&self, groups: &[Vec<Applied>], adds: &[usize], baskets: &[usize]) -> Rest {
        let all = alloc::vec![true; groups.len()];
        let mut best = self.finish(groups, &all, adds, baskets);
        // One alone may be worth more than it and the others of its kind.
        for add in adds {
            best = best.better_of(self.finish(groups, &all, core::slice::from_ref(add), &[]));
        }
        if baskets.is_empty() {
            return best;
        }
        let none = alloc::vec![false; groups.len()];
        let (mut on, without) = (all.clone(), self.finish(groups, &none, adds, baskets));
        // What adds gives most on goods that no group has touched.
        let most = without.off;
        if without.off > best.off {
            (best, on) = (without, none.clone());
        }
        if !adds.is_empty() {
            best = best.better_of(self.finish(groups, &all, &[], baskets));
            best = best.better_of(self.finish(groups, &none, &[], baskets));
        }
        self.give_way(groups, on, [adds, baskets], best, most)
    }

    /// Each group in turn with and without, where the change is for the better.
    fn give_way(
        &self,
        groups: &[Vec<Applied>],
        mut on: Vec<bool>,
        [adds, baskets]: [&[usize]; 2],
        mut best: Rest,
        most: i64,
    ) -> Rest {
        let gives: Vec<i64> = groups.iter().map(|group| sum(group)).collect();
        for group in 0..groups.len() {
            let mut other = on.clone();
            if let Some(switch) = other.get_mut(group) {
                *switch = !*switch;
            }
            let kept = gives.iter().zip(&other).filter(|(_, on)| **on).map(|(gives, _)| *gives);
            if kept.fold(most, i64::saturating_add) <= best.off {
                continue;
            }
            let outcome = self.finish(groups, &other, adds, baskets);
            if outcome.off > best.off {
                (best, on) = (outcome, other);
            }
        }
        best
    }

    /// What the groups that are on, then the adding deals, then the basket deals come to.
    fn finish(&self, groups: &[Vec<Applied>], on: &[bool], adds: &[usize], baskets: &[usize]) -> Rest {
        let mut state = State::new(&self.rows);
        let mut off = 0_i64;
        for applied in groups.iter().zip(on).filter(|(_, on)| **on).flat_map(|(group, _)| group) {
            state.take(applied);
            off = off.saturating_add(applied.off);
        }
        let mut outcome = Outcome { off, applied: Vec::new() };
        for deal in adds {
            if let Some(applied) = self.apply(*deal, &state) {
                state.take(&applied);
                outcome.push(applied);
            }
        }
        for applied in self.order(baskets, &mut state, FULL).applied {
            outcome.push(applied);
        }
        Rest { on: on.to_vec(), off: outcome.off, applied: outcome.applied }
    }

    /// Deals that share a row or a word, joined.
    fn groups(&self, deals: &[usize]) -> Vec<Vec<usize>> {
        let mut group_of: Vec<usize> = (0..deals.len()).collect();
        let mut rows: Vec<Option<usize>> = alloc::vec![None; self.rows.len()];
        let mut words: BTreeMap<&str, usize> = BTreeMap::new();
        for (place, deal) in deals.iter().enumerate() {
            let Some(deal) = self.deals.get(*deal) else { continue };
            for row in deal.rows() {
                let Some(first) = rows.get_mut(row) else { continue };
                join(&mut group_of, *first.get_or_insert(place), place);
            }
            if let Some(word) = deal.word() {
                let first = *words.entry(word).or_insert(place);
                join(&mut group_of, first, place);
            }
        }
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (place, deal) in deals.iter().enumerate() {
            groups.entry(root(&group_of, place)).or_default().push(*deal);
        }
        groups.into_values().collect()
    }

    /// The best order of `deals` on `state`, which is left as it was found.
    fn order(&self, deals: &[usize], state: &mut State, effort: Effort) -> Outcome {
        // What a deal gives on untouched goods is the most it can give after others.
        let mut ranked: Vec<(i64, usize)> =
            deals.iter().map(|deal| (self.worth(*deal, state), *deal)).filter(|(off, _)| *off > 0).collect();
        ranked.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut walk = Walk::new(self, &ranked, effort.tries);
        let most = walk.rest();
        for first in 0..ranked.len().min(effort.seeds) {
            if walk.best.off >= most {
                break;
            }
            let mut order = ranked.clone();
            order.get_mut(..=first).unwrap_or(&mut []).rotate_right(1);
            walk.best = walk.best.better_of(self.run(&order, state));
        }
        walk.down(state);
        walk.best
    }

    fn run(&self, order: &[(i64, usize)], state: &mut State) -> Outcome {
        let mut outcome = Outcome::default();
        for (_, deal) in order {
            if self.excluded(*deal, &outcome.applied) {
                continue;
            }
            if let Some(applied) = self.weigh(*deal, state) {
                state.take(&applied);
                outcome.push(applied);
            }
        }
        outcome.applied.iter().for_each(|applied| state.give_back(applied));
        outcome
    }

    /// The deal on what `state` left. Those that stand alone look at free pieces only: the winners are shared out in the end.
    fn weigh(&self, deal: usize, state: &State) -> Option<Applied> {
        if self.kind(deal) == Some(Kind::Alone) { self.offer(deal, state) } else { self.apply(deal, state) }
    }

    fn excluded(&self, deal: usize, applied: &[Applied]) -> bool {
        let word = self.word(deal);
        word.is_some() && applied.iter().any(|applied| self.word(applied.deal) == word)
    }
}

struct Walk<'a> {
    table: &'a Table<'a>,
    ranked: &'a [(i64, usize)],
    /// Of each ranked deal the number of its word, 0 for none.
    words: Vec<usize>,
    taken: Vec<bool>,
    /// Words on the path.
    said: Vec<bool>,
    best: Outcome,
    path: Outcome,
    tries: u32,
}

impl<'a> Walk<'a> {
    fn new(table: &'a Table<'a>, ranked: &'a [(i64, usize)], tries: u32) -> Self {
        let mut known: Vec<&str> = Vec::new();
        let mut words = Vec::new();
        for (_, deal) in ranked {
            let word = table.word(*deal).map_or(0, |word| {
                let place = known.iter().position(|one| *one == word);
                place.unwrap_or_else(|| {
                    known.push(word);
                    known.len().saturating_sub(1)
                }) + 1
            });
            words.push(word);
        }
        let (said, taken) = (alloc::vec![false; known.len() + 1], alloc::vec![false; ranked.len()]);
        let (best, path) = (Outcome::default(), Outcome::default());
        Self { table, ranked, words, taken, said, best, path, tries }
    }

    fn down(&mut self, state: &mut State) {
        if self.path.off > self.best.off {
            self.best = self.path.clone();
        }
        if self.path.off.saturating_add(self.rest()) <= self.best.off {
            return;
        }
        for (at, &(_, deal)) in self.ranked.iter().enumerate() {
            if self.tries == 0 {
                return;
            }
            let word = self.words.get(at).copied().unwrap_or(0);
            if is(&self.taken, at) || (word > 0 && is(&self.said, word)) {
                continue;
            }
            self.tries = self.tries.saturating_sub(1);
            let Some(applied) = self.table.weigh(deal, state) else { continue };
            state.take(&applied);
            self.path.push(applied);
            set(&mut self.taken, at, true);
            set(&mut self.said, word, true);
            self.down(state);
            set(&mut self.taken, at, false);
            set(&mut self.said, word, false);
            if let Some(applied) = self.path.applied.pop() {
                self.path.off = self.path.off.saturating_sub(applied.off);
                state.give_back(&applied);
            }
        }
    }

    /// The most that what is not on the path can still give: each as on untouched goods, of one word the best.
    fn rest(&self) -> i64 {
        let mut said = self.said.clone();
        let mut rest = 0_i64;
        for (at, (most, _)) in self.ranked.iter().enumerate() {
            let word = self.words.get(at).copied().unwrap_or(0);
            if is(&self.taken, at) || (word > 0 && is(&said, word)) {
                continue;
            }
            set(&mut said, word, true);
            rest = rest.saturating_add(*most);
        }
        rest
    }
}

fn is(marks: &[bool], at: usize) -> bool {
    marks.get(at).copied().unwrap_or(false)
}

fn set(marks: &mut [bool], at: usize, on: bool) {
    if let Some(mark) = marks.get_mut(at) {
        *mark = on;
    }
}

fn root(group_of: &[usize], mut place: usize) -> usize {
    while let Some(&up) = group_of.get(place).filter(|up| **up != place) {
        place = up;
    }
    place
}

fn join(group_of: &mut [usize], a: usize, b: usize) {
    let (a, b) = (root(group_of, a), root(group_of, b));
    if let Some(up) = group_of.get_mut(a.max(b)) {
        *up = a.min(b);
    }
}
