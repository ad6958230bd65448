//! Deals: promotions that concern this basket, with the rows they may touch and how often they may.

use super::board::Row;
use super::{MemberTerms, Terms};
use crate::catalog::{Goods, Offer, OfferRule, Offline, Promotion, PromotionBook, PromotionRule, Stacking};
use crate::words::{ItemKey, Money, Name};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

pub(super) struct Deal<'a> {
    pub(super) promotion: &'a Promotion,
    pub(super) stacking: Stacking,
    /// Rows of the goods and, for rules that want more than one kind, of each further part.
    pub(super) parts: Vec<Vec<usize>>,
    pub(super) times: u32,
}

impl Deal<'_> {
    pub(super) fn rows(&self) -> impl Iterator<Item = usize> + '_ {
        self.parts.iter().flatten().copied()
    }

    pub(super) fn goods(&self) -> &[usize] {
        self.parts.first().map_or(&[], Vec::as_slice)
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
    for row in rows.iter().filter(|row| !row.weighed()) {
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

/// Everything that may touch this basket, in an order that depends on ids alone.
pub(super) fn deals<'a>(rows: &[Row<'_>], own: &'a [Own], book: &'a PromotionBook, terms: &Terms) -> Vec<Deal<'a>> {
    let own = own.iter().map(|own| Deal {
        promotion: &own.promotion,
        stacking: Stacking::Alone,
        parts: alloc::vec![own.rows.clone()],
        times: u32::MAX,
    });
    let everywhere = book.of_all().flat_map(|promotion| (0..rows.len()).map(move |row| (promotion, row)));
    let named = rows
        .iter()
        .enumerate()
        .flat_map(|(index, row)| book.naming(&row.line.key, &row.line.group).map(move |promotion| (promotion, index)));
    let mut found: Vec<(u32, usize)> = named.chain(everywhere).collect();
    found.sort_unstable();
    found.dedup();
    let from_book = found.chunk_by(|a, b| a.0 == b.0).filter_map(|found| {
        let promotion = book.get(found.first()?.0)?;
        let times = times(promotion, terms)?;
        let parts: Vec<Vec<usize>> = promotion.selectors().map(|goods| taken(rows, found, promotion, goods)).collect();
        let whole = parts.iter().all(|part| !part.is_empty());
        whole.then(|| Deal { promotion, stacking: promotion.stacking(), parts, times })
    });
    own.chain(from_book).collect()
}

/// Of the rows where the book found the promotion those that `goods` takes.
fn taken(rows: &[Row<'_>], found: &[(u32, usize)], promotion: &Promotion, goods: &Goods) -> Vec<usize> {
    let takes = |index: &usize| {
        rows.get(*index).is_some_and(|row| {
            goods.takes(&row.line.key, &row.line.group, row.line.unit_price) && promotion.when.holds(row.at)
        })
    };
    found.iter().map(|(_, index)| *index).filter(takes).collect()
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
