//! Deals: promotions that concern this basket, with the rows they may touch and how often they may.

use super::board::Row;
use super::{MemberTerms, Terms};
use crate::catalog::{
    Brief, Goods, Offer, OfferRule, Offline, Promotion, PromotionBook, PromotionRule, Selected, Stacking,
};
use crate::words::{ItemKey, Money, Name};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

pub(super) struct Deal<'a> {
    pub(super) promotion: &'a Promotion,
    pub(super) stacking: Stacking,
    pub(super) parts: Parts<'a>,
    pub(super) times: u32,
}

/// Rows of the goods and, for rules that want more than one kind, of each further part.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    rows: &'a [usize],
    ends: &'a [usize],
}

impl<'a> Parts<'a> {
    pub(super) fn iter(self) -> impl Iterator<Item = &'a [usize]> {
        let begins = core::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(self.ends).map(move |(begin, end)| self.rows.get(begin..*end).unwrap_or(&[]))
    }

    pub(super) fn get(self, part: usize) -> &'a [usize] {
        self.iter().nth(part).unwrap_or(&[])
    }
}

impl Deal<'_> {
    pub(super) fn rows(&self) -> impl Iterator<Item = usize> + '_ {
        self.parts.rows.iter().copied()
    }

    pub(super) fn goods(&self) -> &[usize] {
        self.parts.get(0)
    }

    pub(super) fn word(&self) -> Option<&str> {
        self.promotion.excludes.as_deref()
    }

    pub(super) fn is_basket(&self) -> bool {
        matches!(self.promotion.rule, PromotionRule::Basket { .. })
    }
}

/// What the goods' own rows say, as promotions: member price, price by quantity, offer of one item.
pub(super) struct Own {
    promotion: Promotion,
    rows: Vec<usize>,
}

pub(super) fn own(rows: &[Row<'_>], terms: &Terms) -> Vec<Own> {
    let mut pieces: BTreeMap<&ItemKey, u32> = BTreeMap::new();
    let by_quantity = rows.iter().any(|row| !row.line.breaks.is_empty());
    for row in rows.iter().filter(|row| by_quantity && !row.weighed()) {
        let sum = pieces.entry(&row.line.key).or_default();
        *sum = sum.saturating_add(row.pieces);
    }
    let mut prices: BTreeMap<(&'static str, &ItemKey, Money), Vec<usize>> = BTreeMap::new();
    let mut offers: Vec<(&ItemKey, &Offer, Vec<usize>)> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let line = row.line;
        let level = terms.member.as_ref().and_then(|member| line.levels.get(&member.level).copied());
        let member = level.or(line.member_price).filter(|price| terms.member.is_some() && *price < line.unit_price);
        if let Some(price) = member {
            prices.entry(("member", &line.key, price)).or_default().push(index);
        }
        let many = pieces.get(&line.key).copied().unwrap_or(0);
        let reached = line.breaks.iter().filter(|step| step.from <= many && !row.weighed());
        if let Some(price) = reached.map(|step| step.price).min().filter(|price| *price < line.unit_price) {
            prices.entry(("quantity", &line.key, price)).or_default().push(index);
        }
        if let Some(offer) = &line.offer {
            match offers.iter_mut().find(|(key, known, _)| **key == line.key && *known == offer) {
                Some((_, _, rows)) => rows.push(index),
                None => offers.push((&line.key, offer, alloc::vec![index])),
            }
        }
    }
    let priced = prices.into_iter().map(|((id, _, price), rows)| Own {
        promotion: plain(id.into(), own_name(id), PromotionRule::Price { price }),
        rows,
    });
    offers.sort_by(|a, b| (a.0, &a.1.id).cmp(&(b.0, &b.1.id)));
    let offered = offers.into_iter().map(|(_, offer, rows)| Own {
        promotion: plain(offer.id.clone(), offer.name.clone(), rule_of(offer.rule)),
        rows,
    });
    priced.chain(offered).collect()
}

fn own_name(id: &str) -> Name {
    match id {
        "member" => Name { zh: "会员价".into(), en: "Member price".into() },
        _ => Name { zh: "多件价".into(), en: "Quantity price".into() },
    }
}

const fn rule_of(rule: OfferRule) -> PromotionRule {
    match rule {
        OfferRule::Percent { off_bp } => PromotionRule::Percent { off_bp },
        OfferRule::Multi { n, price } => PromotionRule::NFor { n, price },
    }
}

fn plain(id: String, name: Name, rule: PromotionRule) -> Promotion {
    Promotion {
        id,
        name,
        goods: Goods::default(),
        rule,
        when: crate::catalog::When::default(),
        members: None,
        coupon: None,
        limit: crate::catalog::Limit::default(),
        stacking: None,
        excludes: None,
        offline: Offline::Applies,
    }
}

/// Rows of all parts of all deals, one after the other: thousands of deals in a few allocations.
#[derive(Default)]
pub(super) struct Found<'a> {
    rows: Vec<usize>,
    /// Of each part where its rows end, from the first row of its deal on.
    ends: Vec<usize>,
    deals: Vec<Candidate<'a>>,
}

struct Candidate<'a> {
    promotion: &'a Promotion,
    stacking: Stacking,
    times: u32,
    rows: Range<usize>,
    ends: Range<usize>,
}

impl<'a> Found<'a> {
    /// Everything that may touch this basket, in an order that depends on ids alone.
    pub(super) fn new(rows: &[Row<'_>], own: &'a [Own], book: &'a PromotionBook, terms: &Terms) -> Self {
        let mut found = Self::default();
        for own in own {
            found.rows.extend(&own.rows);
            found.ends.push(own.rows.len());
            found.close(&own.promotion, Stacking::Alone, u32::MAX);
        }
        if book.is_empty() {
            return found;
        }
        let named = Named::of(rows, book);
        found.rows.reserve(named.len());
        found.ends.reserve(named.len());
        found.deals.reserve(named.len().min(book.len()));
        for named in named.chunk_by(|a, b| a.promotion() == b.promotion()) {
            let Some(number) = named.first().map(|first| first.promotion()) else { continue };
            let (Some(promotion), Some(brief)) = (book.get(number), book.brief(number)) else { continue };
            if brief.plain {
                found.gather_plain(rows, named, promotion, brief);
            } else if let Some(times) = times(promotion, terms) {
                found.gather(rows, named, promotion, times);
            }
        }
        found
    }

    /// What [`Self::gather`] does, where there is nothing to ask but the price.
    fn gather_plain(&mut self, rows: &[Row<'_>], named: &[Named], promotion: &'a Promotion, brief: &Brief) {
        let before = self.rows.len();
        for index in named.iter().map(|named| named.row()) {
            let keeps = |row: &Row<'_>| brief.keeps(row.line.unit_price);
            if !self.has(before, index) && rows.get(index).is_some_and(keeps) {
                self.rows.push(index);
            }
        }
        if self.rows.len() > before {
            self.ends.push(self.rows.len().saturating_sub(before));
            self.close(promotion, brief.stacking, u32::MAX);
        }
    }

    /// By its key and by its group, or by two groups: once is enough.
    fn has(&self, from: usize, row: usize) -> bool {
        self.rows.len() > from && self.rows.last() == Some(&row)
    }

    /// Of the rows that the parts of `promotion` name those that they keep; nothing where a part has none.
    fn gather(&mut self, rows: &[Row<'_>], named: &[Named], promotion: &'a Promotion, times: u32) {
        let (first_row, first_end) = self.next();
        for (part, goods) in (0_u8..).zip(promotion.selectors()) {
            let before = self.rows.len();
            for index in named.iter().filter(|named| named.part() == part).map(|named| named.row()) {
                let keeps = |row: &Row<'_>| {
                    goods.keeps(&row.line.key, &row.line.group, row.line.unit_price) && promotion.when.holds(row.at)
                };
                if !self.has(before, index) && rows.get(index).is_some_and(keeps) {
                    self.rows.push(index);
                }
            }
            if self.rows.len() == before {
                self.rows.truncate(first_row);
                self.ends.truncate(first_end);
                return;
            }
            self.ends.push(self.rows.len().saturating_sub(first_row));
        }
        self.close(promotion, promotion.stacking(), times);
    }

    /// Where rows and ends of the next deal begin.
    fn next(&self) -> (usize, usize) {
        self.deals.last().map_or((0, 0), |deal| (deal.rows.end, deal.ends.end))
    }

    fn close(&mut self, promotion: &'a Promotion, stacking: Stacking, times: u32) {
        let (row, end) = self.next();
        let (rows, ends) = (row..self.rows.len(), end..self.ends.len());
        self.deals.push(Candidate { promotion, stacking, times, rows, ends });
    }

    pub(super) fn deals(&self) -> Vec<Deal<'_>> {
        let deal = |one: &Candidate<'a>| {
            let parts = Parts { rows: self.rows.get(one.rows.clone())?, ends: self.ends.get(one.ends.clone())? };
            Some(Deal { promotion: one.promotion, stacking: one.stacking, parts, times: one.times })
        };
        let mut deals = Vec::with_capacity(self.deals.len());
        deals.extend(self.deals.iter().filter_map(deal));
        deals
    }
}

/// That a part of a promotion names the goods of a row: promotion, part and row in one number, since there are thousands.
#[derive(Clone, Copy)]
struct Named(u64);

impl Named {
    /// No basket has as many.
    const ROWS: u32 = 1 << 24;
    /// Promotions that name one row, where there are thousands.
    const USUAL: usize = 64;

    /// By promotion, and of each by row. They are counted into their places, since comparing them took longer than all else.
    fn of(rows: &[Row<'_>], book: &PromotionBook) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::with_capacity(rows.len().saturating_mul(Self::USUAL));
        for (index, row) in (0..Self::ROWS).zip(rows) {
            for list in book.naming(&row.line.key, &row.line.group).chain([book.of_all()]) {
                found.extend(list.iter().map(|selected| Self::new(*selected, index)));
            }
        }
        let mut places = alloc::vec![0_u32; book.len()];
        for named in &found {
            if let Some(count) = places.get_mut(named.place()) {
                *count = count.saturating_add(1);
            }
        }
        let mut next = 0_u32;
        for place in &mut places {
            next = next.saturating_add(core::mem::replace(place, next));
        }
        let mut sorted = alloc::vec![Self(0); found.len()];
        for named in found {
            let Some(place) = places.get_mut(named.place()) else { continue };
            if let Some(slot) = usize::try_from(*place).ok().and_then(|place| sorted.get_mut(place)) {
                *slot = named;
            }
            *place = place.saturating_add(1);
        }
        sorted
    }

    fn place(self) -> usize {
        usize::try_from(self.promotion()).unwrap_or(usize::MAX)
    }

    fn new(selected: Selected, row: u32) -> Self {
        Self(u64::from(selected.promotion) << 32 | u64::from(selected.part) << 24 | u64::from(row))
    }

    fn promotion(self) -> u32 {
        u32::try_from(self.0 >> 32).unwrap_or(u32::MAX)
    }

    fn part(self) -> u8 {
        u8::try_from(self.0 >> 24 & 0xFF).unwrap_or(u8::MAX)
    }

    fn row(self) -> usize {
        usize::try_from(self.0 & 0xFF_FFFF).unwrap_or(usize::MAX)
    }
}

/// How often this shopper may have it in this basket; `None`: not at all.
fn times(promotion: &Promotion, terms: &Terms) -> Option<u32> {
    if promotion.offline == Offline::NeedsHq && !terms.online {
        return None;
    }
    let nobody = MemberTerms::default();
    let member = terms.member.as_ref();
    if let Some(members) = &promotion.members {
        let level = &member?.level;
        if !members.levels.is_empty() && !members.levels.contains(level) {
            return None;
        }
    }
    let mut times = promotion.limit.per_transaction.unwrap_or(u32::MAX);
    if let Some(campaign) = &promotion.coupon {
        let coupons = terms.coupons.iter().filter(|coupon| *coupon == campaign).count();
        times = times.saturating_mul(u32::try_from(coupons).unwrap_or(u32::MAX));
    }
    if let Some(most) = promotion.limit.per_member {
        member?;
        let used = member.unwrap_or(&nobody).used.get(&promotion.id).copied().unwrap_or(0);
        times = times.min(most.saturating_sub(used));
    }
    (times > 0).then_some(times)
}
