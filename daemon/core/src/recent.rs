//! A memory with an end: the latest things seen, and whether one of them is among them.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// About two megabytes, and years of numbered goods or single-use coupons of a shop.
pub const RECENT_MAX: usize = 20_000;

/// The last [`RECENT_MAX`] names; older ones are forgotten, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct Recent {
    order: VecDeque<String>,
    known: BTreeSet<String>,
}

impl Recent {
    #[must_use]
    pub fn knows(&self, name: &str) -> bool {
        self.known.contains(name)
    }

    pub fn remember(&mut self, name: String) {
        if !self.known.insert(name.clone()) {
            return;
        }
        self.order.push_back(name);
        if self.order.len() > RECENT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    pub fn forget(&mut self, name: &str) {
        if self.known.remove(name) {
            self.order.retain(|known| known != name);
        }
    }
}

impl From<Vec<String>> for Recent {
    fn from(names: Vec<String>) -> Self {
        let mut recent = Self::default();
        for name in names {
            recent.remember(name);
        }
        recent
    }
}

impl From<Recent> for Vec<String> {
    fn from(recent: Recent) -> Self {
        recent.order.into()
    }
}
