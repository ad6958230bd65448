//! Rows of a journal that need not be read back: what a sale has made an end of.
//!
//! Lines, quantities and savings stand in the open basket and nowhere else, and with the sale that basket is gone: what counts of
//! it stands in the sale itself. So between them and the sale they change nothing, unless something looked at the basket
//! meanwhile. A start folds a million rows, most of which are such.

use crate::event::Record;
use crate::facts::Facts;
use crate::words::{LaneId, Utc};
use alloc::collections::BTreeSet;

/// A record on its way back into the facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    pub record: Record,
    /// The latest time of rows before it that were passed over: all they leave behind.
    pub passed: Option<Utc>,
}

/// What a row is to the basket open at its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// Changes that basket and nothing else.
    WithBasket,
    /// Makes an end of it, and says itself what counts.
    Ends,
    /// Neither changes its lines nor looks at them.
    Apart,
    /// May look at it.
    Looks,
}

/// By area and name as the journal writes them; what is not known here is read.
#[must_use]
pub fn lasting(area: &str, name: &str) -> Lasting {
    match (area, name) {
        ("basket", "line_added" | "quantity_changed" | "savings_set" | "line_refused") => Lasting::WithBasket,
        ("basket", "completed") => Lasting::Ends,
        ("tender" | "member" | "store" | "control", _)
        | ("lane", "receipt_sent" | "receipt_printed" | "help_called" | "help_ended" | "attendant_came") => {
            Lasting::Apart
        }
        _ => Lasting::Looks,
    }
}

/// Looks through rows from the last to the first.
#[derive(Clone, Debug, Default)]
pub struct Backwards {
    /// Lanes where the next row that minds the basket is its sale.
    sold: BTreeSet<LaneId>,
}

impl Backwards {
    /// Whether that row, which comes before all told so far, passes without a trace.
    pub fn passes(&mut self, lane: Option<LaneId>, row: Lasting) -> bool {
        match (row, lane) {
            (Lasting::WithBasket, Some(lane)) => return self.sold.contains(&lane),
            (Lasting::Ends, Some(lane)) => drop(self.sold.insert(lane)),
            (Lasting::Looks, Some(lane)) => drop(self.sold.remove(&lane)),
            (Lasting::Apart, _) => {}
            (Lasting::WithBasket | Lasting::Ends | Lasting::Looks, None) => self.sold.clear(),
        }
        false
    }
}

impl Facts {
    /// As [`Facts::apply`] in the order of rows, of which some are passed over: the facts after the last are the same.
    pub fn replay(&mut self, Replayed { record, passed }: Replayed) {
        // Rows that tell of the clock are never passed over, so what holds here held for all of them.
        if self.upkeep.clock_doubt.is_none() {
            self.latest = self.latest.max(passed.unwrap_or_default());
        }
        self.take(record);
    }
}
