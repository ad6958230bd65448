//! A second opinion on prices, made another way: every piece by itself, fractions that never round by accident, and every
//! order of promotions tried. Slow and short; it shares only the words (`Line`, `Promotion`, `PriceRules`) with the engine.

use checkout::catalog::{
    Give, Goods, OfferRule, Offline, Promotion, PromotionRule, QuantityBreak, Stacking, Threshold,
};
use checkout::config::{PriceRules, Rounding, TaxMode, TaxRounding};
use checkout::line::{Line, LineKind};
use checkout::price::Terms;
use std::collections::BTreeMap;

/// An exact number.
#[derive(Clone, Copy, Debug)]
pub struct Frac {
    n: i128,
    d: i128,
}

impl Frac {
    pub fn new(n: i128, d: i128) -> Self {
        let (mut a, mut b) = (n.abs(), d.abs());
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let (a, sign) = (a.max(1), d.signum());
        Self { n: n / a * sign, d: d / a * sign }
    }

    pub fn plus(self, other: Self) -> Self {
        Self::new(self.n * other.d + other.n * self.d, self.d * other.d)
    }

    pub fn floor(self) -> i128 {
        self.n.div_euclid(self.d)
    }

    fn rest(self) -> Self {
        Self::new(self.n.rem_euclid(self.d), self.d)
    }

    fn is_more_than(self, other: Self) -> bool {
        self.n * other.d > other.n * self.d
    }

    /// Works on the magnitude, as people do.
    pub fn round(self, how: Rounding) -> i128 {
        let size = Self::new(self.n.abs(), self.d);
        let (low, twice) = (size.floor(), size.rest().n * 2);
        let up = match how {
            Rounding::Down => false,
            Rounding::Up => twice > 0,
            Rounding::HalfUp => twice >= size.rest().d,
            Rounding::HalfEven => twice > size.rest().d || (twice == size.rest().d && low % 2 == 1),
        };
        (low + i128::from(up)) * self.n.signum()
    }
}

/// Parts of `off` in proportion, the remainders to the largest fractions, of equals to the first.
fn parts(off: i128, bases: &[i128]) -> Vec<i128> {
    let sum: i128 = bases.iter().sum();
    let exact: Vec<Frac> = bases.iter().map(|base| Frac::new(off * base, sum.max(1))).collect();
    let mut parts: Vec<i128> = exact.iter().map(|part| part.floor()).collect();
    let mut given = vec![false; bases.len()];
    while parts.iter().sum::<i128>() < off {
        let mut best: Option<usize> = None;
        for index in 0..bases.len() {
            if !given[index] && best.is_none_or(|best| exact[index].rest().is_more_than(exact[best].rest())) {
                best = Some(index);
            }
        }
        let best = best.expect("a remainder has somewhere to go");
        given[best] = true;
        parts[best] += 1;
    }
    parts
}

/// Tax of each rate on line totals.
pub fn taxes(totals: &[(u32, i128)], rules: &PriceRules) -> BTreeMap<u32, i128> {
    let tax = |rate: u32, amount: i128| match rules.tax {
        TaxMode::Included => Frac::new(amount * i128::from(rate), 10_000 + i128::from(rate)),
        TaxMode::Added => Frac::new(amount * i128::from(rate), 10_000),
    };
    let mut exact: BTreeMap<u32, Frac> = BTreeMap::new();
    for (rate, amount) in totals {
        let one = match rules.tax_per {
            TaxRounding::Line => Frac::new(tax(*rate, *amount).round(rules.tax_rounding), 1),
            TaxRounding::Rate | TaxRounding::Transaction => tax(*rate, *amount),
        };
        let sum = exact.entry(*rate).or_insert(Frac::new(0, 1));
        *sum = sum.plus(one);
    }
    if rules.tax_per != TaxRounding::Transaction {
        return exact.into_iter().map(|(rate, tax)| (rate, tax.round(rules.tax_rounding))).collect();
    }
    let all = exact.values().fold(Frac::new(0, 1), |all, tax| all.plus(*tax)).round(rules.tax_rounding);
    let mut shared: BTreeMap<u32, i128> = exact.iter().map(|(rate, tax)| (*rate, tax.floor())).collect();
    let mut rates: Vec<u32> = exact.keys().copied().collect();
    rates.sort_by(|a, b| match exact[a].rest().is_more_than(exact[b].rest()) {
        true => std::cmp::Ordering::Less,
        false if exact[b].rest().is_more_than(exact[a].rest()) => std::cmp::Ordering::Greater,
        false => a.cmp(b),
    });
    for rate in rates {
        if shared.values().sum::<i128>() < all {
            *shared.entry(rate).or_default() += 1;
        }
    }
    shared
}

#[derive(Clone, Debug)]
struct Piece {
    /// Index into the lines.
    line: usize,
    value: i128,
    used: bool,
}

/// A basket in the middle of being reduced.
#[derive(Clone, Debug)]
pub struct World<'a> {
    lines: &'a [Line],
    rules: &'a PriceRules,
    pieces: Vec<Piece>,
    left: BTreeMap<usize, i128>,
    /// Line, promotion, amount.
    pub savings: Vec<(usize, String, i128)>,
    words: Vec<String>,
}

#[derive(Clone, Debug)]
struct Deal {
    promotion: Promotion,
    times: u32,
    /// For what goods' own rows say: the lines it is of.
    only: Option<Vec<usize>>,
}

/// The best there is for the shopper, by trying everything.
pub fn best<'a>(lines: &'a [Line], terms: &Terms, rules: &'a PriceRules, promotions: &[Promotion]) -> World<'a> {
    let world = World::new(lines, rules);
    let mut deals = own(&world, terms);
    let mut promotions: Vec<&Promotion> = promotions.iter().collect();
    promotions.sort_by(|a, b| a.id.cmp(&b.id));
    deals.extend(promotions.into_iter().filter_map(|promotion| {
        times(promotion, terms).map(|times| Deal { promotion: promotion.clone(), times, only: None })
    }));
    deals.retain(|deal| world.apply(deal).is_some());
    let kind = |deal: &&Deal| match (deal.promotion.stacking(), &deal.promotion.rule) {
        (Stacking::Alone, _) => 0,
        (Stacking::Adds, rule) => 1 + u8::from(matches!(rule, PromotionRule::Basket { .. })),
    };
    let of = |wanted: u8| deals.iter().filter(|deal| kind(deal) == wanted).cloned().collect::<Vec<_>>();
    let mut best = world.clone();
    try_goods(&world, &of(0), [&of(1), &of(2)], &mut best);
    best
}

/// What one promotion alone would save.
pub fn singles(lines: &[Line], terms: &Terms, rules: &PriceRules, promotions: &[Promotion]) -> i128 {
    let one = |promotion: &Promotion| {
        let deal = Deal { promotion: promotion.clone(), times: times(promotion, terms)?, only: None };
        World::new(lines, rules).apply(&deal).map(|world| world.off())
    };
    promotions.iter().filter_map(one).max().unwrap_or(0)
}

fn try_goods<'a>(world: &World<'a>, goods: &[Deal], rest: [&[Deal]; 2], best: &mut World<'a>) {
    for chosen in 0_u32..1 << rest[0].len() {
        let adds = rest[0].iter().enumerate().filter(|(index, _)| chosen >> index & 1 == 1);
        let added = adds.fold(world.clone(), |world, (_, deal)| world.apply(deal).unwrap_or(world));
        try_baskets(&added, rest[1], best);
    }
    for (index, deal) in goods.iter().enumerate() {
        if let Some(next) = world.apply(deal) {
            let others: Vec<Deal> = [&goods[..index], &goods[index + 1..]].concat();
            try_goods(&next, &others, rest, best);
        }
    }
}

fn try_baskets<'a>(world: &World<'a>, baskets: &[Deal], best: &mut World<'a>) {
    if world.off() > best.off() {
        *best = world.clone();
    }
    for (index, deal) in baskets.iter().enumerate() {
        if let Some(next) = world.apply(deal) {
            try_baskets(&next, &[&baskets[..index], &baskets[index + 1..]].concat(), best);
        }
    }
}

fn times(promotion: &Promotion, terms: &Terms) -> Option<u32> {
    let member = terms.member.as_ref();
    let level_fits =
        |levels: &[String]| levels.is_empty() || member.is_some_and(|member| levels.contains(&member.level));
    let shopper = promotion.members.as_ref().is_none_or(|members| member.is_some() && level_fits(&members.levels));
    let network = terms.online || promotion.offline == Offline::Applies;
    let coupons = promotion.coupon.as_ref().map(|wanted| terms.coupons.iter().filter(|one| *one == wanted).count());
    let here = promotion.limit.per_transaction.map(|most| most as usize * coupons.unwrap_or(1));
    let ever = promotion.limit.per_member.map(|most| {
        member.map_or(0, |member| most.saturating_sub(member.used.get(&promotion.id).copied().unwrap_or(0)))
    });
    let most = here.unwrap_or(usize::MAX).min(ever.map_or(usize::MAX, |most| most as usize));
    let wanted = shopper && network && coupons != Some(0) && most > 0;
    wanted.then_some(u32::try_from(most).unwrap_or(u32::MAX))
}

/// Member price, price by quantity and the offer of one item, as promotions.
fn own(world: &World<'_>, terms: &Terms) -> Vec<Deal> {
    let mut deals: Vec<Deal> = Vec::new();
    let mut add = |id: &str, rule: PromotionRule, line: usize| {
        let same = |deal: &&mut Deal| {
            let first = deal.only.as_ref().map_or(0, |only| only[0]);
            deal.promotion.id == id && deal.promotion.rule == rule && world.lines[first].key == world.lines[line].key
        };
        match deals.iter_mut().find(same) {
            Some(deal) => deal.only.get_or_insert_default().push(line),
            None => {
                let row = serde_json::json!({"id": id, "name": {"zh": id, "en": id}, "goods": {}, "rule": rule});
                let promotion = serde_json::from_value(row).expect("a promotion of our own");
                deals.push(Deal { promotion, times: u32::MAX, only: Some(vec![line]) });
            }
        }
    };
    for (index, line) in world.lines.iter().enumerate().filter(|(index, _)| world.left.contains_key(index)) {
        if let Some(member) = &terms.member {
            let price = line.levels.get(&member.level).copied().or(line.member_price);
            if let Some(price) = price.filter(|price| *price < line.unit_price) {
                add("member", PromotionRule::Price { price }, index);
            }
        }
        let alike =
            |piece: &&Piece| world.lines[piece.line].key == line.key && world.lines[piece.line].weight_g.is_none();
        let many = world.pieces.iter().filter(alike).count();
        let reached = |step: &&QuantityBreak| step.from as usize <= many && line.weight_g.is_none();
        if let Some(step) = line.breaks.iter().filter(reached).min_by_key(|step| step.price)
            && step.price < line.unit_price
        {
            add("quantity", PromotionRule::Price { price: step.price }, index);
        }
        if let Some(offer) = &line.offer {
            let rule = match offer.rule {
                OfferRule::Percent { off_bp } => PromotionRule::Percent { off_bp },
                OfferRule::Multi { n, price } => PromotionRule::NFor { n, price },
            };
            add(&offer.id, rule, index);
        }
    }
    deals
}

impl<'a> World<'a> {
    fn new(lines: &'a [Line], rules: &'a PriceRules) -> Self {
        let mut pieces = Vec::new();
        for (line, at) in lines.iter().enumerate() {
            if at.kind != LineKind::Goods || at.voided || at.overridden.is_some() || at.gross().0 <= 0 {
                continue;
            }
            let count = if at.weight_g.is_some() { 1 } else { at.quantity };
            let value = i128::from(if at.weight_g.is_some() { at.gross().0 } else { at.unit_price.0 });
            pieces.extend((0..count).map(|_| Piece { line, value, used: false }));
        }
        // The dearest first; then by key, the longer line, and the line's number.
        pieces.sort_by(|a, b| {
            let rank = |piece: &Piece| {
                let line = &lines[piece.line];
                (line.key.clone(), std::cmp::Reverse(line.quantity), line.no)
            };
            b.value.cmp(&a.value).then_with(|| rank(a).cmp(&rank(b)))
        });
        let mut left = BTreeMap::new();
        for piece in &pieces {
            *left.entry(piece.line).or_insert(0) += piece.value;
        }
        Self { lines, rules, pieces, left, savings: Vec::new(), words: Vec::new() }
    }

    pub fn off(&self) -> i128 {
        self.savings.iter().map(|(_, _, off)| off).sum()
    }

    fn means(&self, deal: &Deal, goods: &Goods, line: usize) -> bool {
        let at = &self.lines[line];
        if let Some(only) = &deal.only {
            return only.contains(&line);
        }
        let below =
            |groups: &[String]| groups.iter().any(|group| format!("{}/", at.group).starts_with(&format!("{group}/")));
        let named = goods.all || goods.keys.contains(&at.key) || below(&goods.groups);
        let excepted = goods.except_keys.contains(&at.key) || below(&goods.except_groups);
        let priced = goods.price_from.is_none_or(|from| at.unit_price >= from)
            && goods.price_to.is_none_or(|to| at.unit_price <= to);
        named && !excepted && priced && deal.promotion.when.holds(at.priced_at.expect("priced at a minute"))
    }

    /// Unused pieces of the goods, the dearest first.
    fn free(&self, deal: &Deal, goods: &Goods, weighed: bool) -> Vec<usize> {
        let fits = |piece: &Piece| {
            !piece.used && self.means(deal, goods, piece.line) && (weighed || self.lines[piece.line].weight_g.is_none())
        };
        (0..self.pieces.len()).filter(|index| fits(&self.pieces[*index])).collect()
    }

    fn sum(&self, pieces: &[usize]) -> i128 {
        pieces.iter().map(|piece| self.pieces[*piece].value).sum()
    }

    fn percent(&self, base: i128, bp: u32) -> i128 {
        Frac::new(base * i128::from(bp), 10_000).round(self.rules.discount_rounding)
    }

    fn apply(&self, deal: &Deal) -> Option<Self> {
        let word = deal.promotion.excludes.clone();
        let star = |word: &String| word == "*";
        let clash = word.iter().any(|word| self.words.contains(word) || (star(word) && !self.savings.is_empty()))
            || self.words.iter().any(star);
        if clash {
            return None;
        }
        let mut next = self.clone();
        let most = deal.times as usize;
        let goods = &deal.promotion.goods;
        match &deal.promotion.rule {
            PromotionRule::Basket { steps, every } => next.basket(deal, steps, *every),
            PromotionRule::NFor { n, price } => next.sets(deal, &[(goods, *n)], Give::Price(*price)),
            PromotionRule::Set { n, with, give } => {
                let wants: Vec<(&Goods, u32)> =
                    [(goods, *n)].into_iter().chain(with.iter().map(|part| (&part.goods, part.n))).collect();
                next.sets(deal, &wants, *give);
            }
            PromotionRule::BuyGet { buy, get, off_bp, of: None } => {
                let free = next.free(deal, goods, false);
                let group = (buy + get) as usize;
                let groups: Vec<&[usize]> = free.chunks_exact(group).take(most).collect();
                let reduced: Vec<usize> = groups.iter().flat_map(|group| &group[*buy as usize..]).copied().collect();
                next.use_up(&groups.concat());
                next.reduce_pools(deal, &reduced, *off_bp);
            }
            PromotionRule::BuyGet { buy, get, off_bp, of: Some(of) } => {
                next.buy_other(deal, [goods, of], [*buy as usize, *get as usize], *off_bp);
            }
            PromotionRule::Percent { .. } | PromotionRule::Amount { .. } | PromotionRule::Price { .. } => {
                next.each(deal, deal.promotion.stacking() == Stacking::Adds);
            }
        }
        next.words.extend(word);
        (next.off() > self.off()).then_some(next)
    }

    fn use_up(&mut self, pieces: &[usize]) {
        for piece in pieces {
            self.pieces[*piece].used = true;
        }
    }

    fn off_line(&mut self, deal: &Deal, line: usize, off: i128) {
        if off > 0 {
            self.savings.push((line, deal.promotion.id.clone(), off));
            *self.left.entry(line).or_default() -= off;
        }
    }

    /// Equal goods count as one, wherever they lie; a weighing by itself.
    fn pool(&self, line: usize) -> (String, i64, Option<usize>) {
        let at = &self.lines[line];
        (at.key.0.clone(), at.unit_price.0, at.weight_g.map(|_| line))
    }

    /// `off` over lines in the order their first piece stands in, pool by pool.
    fn lay(&mut self, deal: &Deal, bases: &[(usize, i128)], off: i128) {
        let mut pools: Vec<(i128, Vec<(usize, i128)>)> = Vec::new();
        for (line, base) in bases {
            match pools.iter_mut().find(|(_, inside)| self.pool(inside[0].0) == self.pool(*line)) {
                Some((sum, inside)) => {
                    *sum += base;
                    inside.push((*line, *base));
                }
                None => pools.push((*base, vec![(*line, *base)])),
            }
        }
        let sums: Vec<i128> = pools.iter().map(|(sum, _)| *sum).collect();
        for ((_, inside), off) in pools.iter().zip(parts(off, &sums)) {
            let bases: Vec<i128> = inside.iter().map(|(_, base)| *base).collect();
            for ((line, _), off) in inside.iter().zip(parts(off, &bases)) {
                self.off_line(deal, *line, off);
            }
        }
    }

    fn by_line(&self, pieces: &[usize]) -> Vec<(usize, i128)> {
        let mut bases: Vec<(usize, i128)> = Vec::new();
        for piece in pieces {
            let Piece { line, value, .. } = self.pieces[*piece];
            match bases.iter_mut().find(|(known, _)| *known == line) {
                Some((_, sum)) => *sum += value,
                None => bases.push((line, value)),
            }
        }
        bases
    }

    fn reduce_pools(&mut self, deal: &Deal, pieces: &[usize], bp: u32) {
        let bases = self.by_line(pieces);
        let mut done = Vec::new();
        for (line, _) in &bases {
            let pool = self.pool(*line);
            if done.contains(&pool) {
                continue;
            }
            let inside: Vec<(usize, i128)> =
                bases.iter().copied().filter(|(line, _)| self.pool(*line) == pool).collect();
            let off = self.percent(inside.iter().map(|(_, base)| base).sum(), bp);
            self.lay(deal, &inside, off);
            done.push(pool);
        }
    }

    /// What one piece, or the weighing, costs at another price.
    fn at(&self, line: usize, price: i64) -> i128 {
        match self.lines[line].weight_g {
            Some(grams) => Frac::new(i128::from(price) * i128::from(grams), 1000).round(Rounding::HalfUp),
            None => i128::from(price),
        }
    }

    fn each(&mut self, deal: &Deal, adds: bool) {
        if adds {
            return self.each_adds(deal);
        }
        let mut free = self.free(deal, &deal.promotion.goods, true);
        if let PromotionRule::Price { price } = deal.promotion.rule {
            free.retain(|piece| self.pieces[*piece].value > self.at(self.pieces[*piece].line, price.0));
        }
        free.truncate(deal.times as usize);
        self.use_up(&free);
        if let PromotionRule::Percent { off_bp } = deal.promotion.rule {
            return self.reduce_pools(deal, &free, off_bp);
        }
        let mut offs: BTreeMap<usize, i128> = BTreeMap::new();
        for piece in free {
            let Piece { line, value, .. } = self.pieces[piece];
            let off = self.off_like(deal, line, 1, value);
            *offs.entry(line).or_default() += off;
        }
        for (line, off) in offs {
            self.off_line(deal, line, off);
        }
    }

    /// Off pieces like those of `line` that come to `base`.
    fn off_like(&self, deal: &Deal, line: usize, pieces: i128, base: i128) -> i128 {
        match deal.promotion.rule {
            PromotionRule::Amount { off } => (self.at(line, off.0) * pieces).min(base),
            PromotionRule::Price { price } => (base - self.at(line, price.0) * pieces).max(0),
            PromotionRule::Percent { off_bp } => self.percent(base, off_bp),
            PromotionRule::NFor { .. }
            | PromotionRule::BuyGet { .. }
            | PromotionRule::Set { .. }
            | PromotionRule::Basket { .. } => 0,
        }
    }

    fn each_adds(&mut self, deal: &Deal) {
        let mut budget = deal.times as i128;
        // Equal goods together, the dearest first.
        let mut pools: Vec<(Vec<usize>, i128)> = Vec::new();
        for piece in self.pieces.iter().filter(|piece| self.means(deal, &deal.promotion.goods, piece.line)) {
            match pools.iter_mut().find(|(lines, _)| self.pool(lines[0]) == self.pool(piece.line)) {
                Some((lines, pieces)) => {
                    *pieces += 1;
                    lines.push(piece.line);
                    lines.dedup();
                }
                None => pools.push((vec![piece.line], 1)),
            }
        }
        for (lines, there) in pools {
            let left: Vec<(usize, i128)> = lines.iter().map(|line| (*line, self.left[line])).collect();
            let pieces = there.min(budget);
            let base = Frac::new(left.iter().map(|(_, left)| left).sum::<i128>() * pieces, there).floor();
            let off = self.off_like(deal, lines[0], pieces, base);
            if off > 0 {
                budget -= pieces;
                self.lay(deal, &left, off);
            }
        }
    }

    /// As many sets as save most.
    fn sets(&mut self, deal: &Deal, wants: &[(&Goods, u32)], give: Give) {
        let mut taken: Vec<Vec<usize>> = vec![Vec::new(); wants.len()];
        let mut off = 0;
        for set in 1..=deal.times.min(100_000) {
            let mut trial: Vec<Vec<usize>> = Vec::new();
            let mut used: Vec<usize> = Vec::new();
            for (goods, n) in wants {
                let need = (*n * set) as usize;
                let free = self.free(deal, goods, false);
                let part: Vec<usize> = free.into_iter().filter(|piece| !used.contains(piece)).take(need).collect();
                if part.len() < need {
                    break;
                }
                used.extend(&part);
                trial.push(part);
            }
            if trial.len() < wants.len() {
                break;
            }
            let base = self.sum(&used);
            let gives = match give {
                Give::Price(price) => base - i128::from(price.0) * i128::from(set),
                Give::Off(off) => (i128::from(off.0) * i128::from(set)).min(base),
                Give::OffBp(bp) => self.percent(base, bp),
            };
            if gives > off {
                (off, taken) = (gives, trial);
            }
        }
        let mut pieces = taken.concat();
        pieces.sort_unstable();
        self.use_up(&pieces);
        let bases = self.by_line(&pieces);
        if off > 0 {
            self.lay(deal, &bases, off);
        }
    }

    fn buy_other(&mut self, deal: &Deal, [bought, got]: [&Goods; 2], [buy, get]: [usize; 2], bp: u32) {
        let (buys, gets) = (self.free(deal, bought, false), self.free(deal, got, false));
        let both: Vec<usize> = gets.iter().copied().filter(|piece| buys.contains(piece)).collect();
        // What only can be got goes first, the dearest of it.
        let order: Vec<usize> = gets.iter().filter(|piece| !both.contains(piece)).chain(&both).copied().collect();
        let fits = |times: usize| {
            let reduced: Vec<usize> = order.iter().copied().take(get * times).collect();
            let rest: Vec<usize> = buys.iter().copied().filter(|piece| !reduced.contains(piece)).collect();
            (reduced.len() == get * times && rest.len() >= buy * times).then_some((reduced, rest))
        };
        let Some((times, (reduced, rest))) = (1..=(deal.times as usize).min(self.pieces.len()))
            .filter_map(|times| fits(times).map(|fit| (times, fit)))
            .next_back()
        else {
            return;
        };
        // What only can be bought goes first, the cheapest of it.
        let (shared, alone): (Vec<usize>, Vec<usize>) = rest.into_iter().rev().partition(|piece| both.contains(piece));
        let paid: Vec<usize> = alone.into_iter().chain(shared).take(buy * times).collect();
        self.use_up(&paid);
        self.use_up(&reduced);
        self.reduce_pools(deal, &reduced, bp);
    }

    fn basket(&mut self, deal: &Deal, steps: &[Threshold], every: bool) {
        let adds = deal.promotion.stacking() == Stacking::Adds;
        let counts = |piece: &Piece| (adds || !piece.used) && self.means(deal, &deal.promotion.goods, piece.line);
        let counted: Vec<usize> = (0..self.pieces.len()).filter(|index| counts(&self.pieces[*index])).collect();
        let mut bases = self.by_line(&counted);
        if adds {
            bases.iter_mut().for_each(|(line, base)| *base = self.left[line]);
        }
        bases.retain(|(_, base)| *base > 0);
        let pieces = counted.len();
        let base: i128 = bases.iter().map(|(_, base)| base).sum();
        let mut best = 0;
        for step in steps {
            let spend = i128::from(step.spend.0);
            if base < spend || pieces < step.pieces as usize {
                continue;
            }
            let mut often = if every { i128::from(deal.times) } else { 1 };
            if every && spend > 0 {
                often = often.min(base / spend);
            }
            if every && step.pieces > 0 {
                often = often.min((pieces / step.pieces as usize) as i128);
            }
            let off = match step.give {
                Give::Off(off) => (i128::from(off.0) * often).min(base),
                Give::OffBp(bp) => self.percent(base, bp),
                Give::Price(_) => 0,
            };
            best = best.max(step.at_most.map_or(off, |most| off.min(i128::from(most.0))));
        }
        if best > 0 {
            if !adds {
                self.use_up(&counted);
            }
            self.lay(deal, &bases, best);
        }
    }
}
