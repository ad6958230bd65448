//! The promotions in force, found by what lies in the basket: five thousand of them cost no more than the few that concern it.

use super::Promotion;
use crate::words::ItemKey;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// Built once when a dataset comes into force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PromotionBook {
    /// By id, so that nothing depends on the order of rows.
    promotions: Vec<Promotion>,
    by_key: BTreeMap<ItemKey, Vec<u32>>,
    by_group: BTreeMap<String, Vec<u32>>,
    of_all: Vec<u32>,
}

/// A book without promotions.
pub static NO_PROMOTIONS: PromotionBook =
    PromotionBook { promotions: Vec::new(), by_key: BTreeMap::new(), by_group: BTreeMap::new(), of_all: Vec::new() };

impl PromotionBook {
    /// Of two rows with one id the later counts.
    #[must_use]
    pub fn new(rows: impl IntoIterator<Item = Promotion>) -> Self {
        let by_id: BTreeMap<String, Promotion> = rows.into_iter().map(|row| (row.id.clone(), row)).collect();
        let mut book = Self { promotions: by_id.into_values().collect(), ..Self::default() };
        for (index, promotion) in (0_u32..).zip(&book.promotions) {
            for goods in promotion.selectors() {
                if goods.all {
                    note(&mut book.of_all, index);
                }
                for key in &goods.keys {
                    note(book.by_key.entry(key.clone()).or_default(), index);
                }
                for group in &goods.groups {
                    note(book.by_group.entry(group.clone()).or_default(), index);
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

    /// Promotions that name the key or a group above it; those of all goods are in [`Self::of_all`].
    pub fn naming<'a>(&'a self, key: &ItemKey, group: &'a str) -> impl Iterator<Item = u32> + 'a {
        let ends = group.match_indices('/').map(|(end, _)| end).chain((!group.is_empty()).then_some(group.len()));
        let groups = ends.filter_map(|end| self.by_group.get(group.get(..end)?));
        self.by_key.get(key).into_iter().chain(groups).flatten().copied()
    }

    pub fn of_all(&self) -> impl Iterator<Item = u32> + '_ {
        self.of_all.iter().copied()
    }
}

fn note(list: &mut Vec<u32>, index: u32) {
    if list.last() != Some(&index) {
        list.push(index);
    }
}
