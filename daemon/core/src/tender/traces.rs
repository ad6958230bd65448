//! What a terminal is known to have done: by it an old payment is told from a new one.

use alloc::collections::VecDeque;
use serde::{Deserialize, Serialize};

/// More than a terminal's answer can be behind: it tells its last move or, where it tells of payments only, its last payment.
const SEEN_MAX: usize = 64;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traces {
    /// Trace number of the last payment or refund known; 0: none yet. None: never asked, or a person has worked at it since.
    pub last: Option<u32>,
    /// Known before, the latest last.
    seen: VecDeque<u32>,
}

impl Traces {
    pub(crate) fn learn(&mut self, trace: u32) {
        self.last = Some(trace);
        if self.seen.len() >= SEEN_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back(trace);
    }

    pub(crate) fn knows(&self, trace: u32) -> bool {
        self.seen.contains(&trace)
    }

    /// Whether a payment of that number came after all that is known. Numbers wrap and need not rise, so order says nothing.
    pub(crate) fn is_new(&self, trace: u32) -> bool {
        self.last.is_some() && !self.knows(trace)
    }
}
