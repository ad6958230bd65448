//! The promotions in force, found by what lies in the basket: five thousand of them cost no more than the few that concern it.

use super::{Offline, Promotion, Stacking};
use crate::words::{ItemKey, Money};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// Built once when a dataset comes into force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PromotionBook {
    /// By id, so that nothing depends on the order of rows.
    promotions: Vec<Promotion>,
    by_key: BTreeMap<ItemKey, Vec<Selected>>,
    by_group: BTreeMap<String, Vec<Selected>>,
    of_all: Vec<Selected>,
    briefs: Vec<Brief>,
}

/// What a basket mostly has to know of a promotion, small enough for thousands to be at hand at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brief {
    pub stacking: Stacking,
    /// Always and for everybody, as often as one likes, for goods of one sort that nothing but their price takes out again.
    pub plain: bool,
    pub price_from: Money,
    pub price_to: Money,
}

impl Brief {
    fn of(promotion: &Promotion) -> Self {
        let goods = &promotion.goods;
        let anybody = promotion.members.is_none() && promotion.coupon.is_none() && promotion.limit.is_none();
        let always = promotion.when.is_always() && promotion.offline == Offline::Applies;
        let named = goods.except_keys.is_empty() && goods.except_groups.is_empty();
        Self {
            stacking: promotion.stacking(),
            plain: anybody && always && named && promotion.selectors().nth(1).is_none(),
            price_from: goods.price_from.unwrap_or(Money(i64::MIN)),
            price_to: goods.price_to.unwrap_or(Money(i64::MAX)),
        }
    }

    #[must_use]
    pub fn keeps(&self, unit_price: Money) -> bool {
        self.price_from <= unit_price && unit_price <= self.price_to
    }
}

/// Goods are named by this part of this promotion, see [`Promotion::selectors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selected {
    pub promotion: u32,
    pub part: u8,
}

/// A book without promotions.
pub static NO_PROMOTIONS: PromotionBook = PromotionBook {
    promotions: Vec::new(),
    by_key: BTreeMap::new(),
    by_group: BTreeMap::new(),
    of_all: Vec::new(),
    briefs: Vec::new(),
};

impl PromotionBook {
    /// Of two rows with one id the later counts.
    #[must_use]
    pub fn new(rows: impl IntoIterator<Item = Promotion>) -> Self {
        let by_id: BTreeMap<String, Promotion> = rows.into_iter().map(|row| (row.id.clone(), row)).collect();
        let mut book = Self { promotions: by_id.into_values().collect(), ..Self::default() };
        book.briefs = book.promotions.iter().map(Brief::of).collect();
        for (index, promotion) in (0_u32..).zip(&book.promotions) {
            for (part, goods) in (0_u8..).zip(promotion.selectors()) {
                let selected = Selected { promotion: index, part };
                if goods.all {
                    note(&mut book.of_all, selected);
                }
                for key in &goods.keys {
                    note(book.by_key.entry(key.clone()).or_default(), selected);
                }
                for group in &goods.groups {
                    note(book.by_group.entry(group.clone()).or_default(), selected);
                }
            }
        }
        book
    }

    #[must_use]
    pub fn get(&self, index: u32) -> Option<&Promotion> {
        self.promotions.get(usize::try_from(index).ok()?)
    }

    #[must_use]
    pub fn brief(&self, index: u32) -> Option<&Brief> {
        self.briefs.get(usize::try_from(index).ok()?)
    }

    #[must_use]
    pub fn by_id(&self, id: &str) -> Option<&Promotion> {
        let found = self.promotions.binary_search_by(|promotion| promotion.id.as_str().cmp(id)).ok()?;
        self.promotions.get(found)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.promotions.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.promotions.is_empty()
    }

    /// Who names the key or a group above it; who names all goods is in [`Self::of_all`]. One may come more than once, and says
    /// nothing yet of exceptions and prices ([`super::Goods::keeps`]).
    pub fn naming<'a>(&'a self, key: &ItemKey, group: &'a str) -> impl Iterator<Item = &'a [Selected]> {
        let ends = group.match_indices('/').map(|(end, _)| end).chain((!group.is_empty()).then_some(group.len()));
        let groups = ends.filter_map(|end| self.by_group.get(group.get(..end)?));
        self.by_key.get(key).into_iter().chain(groups).map(Vec::as_slice)
    }

    #[must_use]
    pub fn of_all(&self) -> &[Selected] {
        &self.of_all
    }
}

fn note(list: &mut Vec<Selected>, selected: Selected) {
    if list.last() != Some(&selected) {
        list.push(selected);
    }
}
