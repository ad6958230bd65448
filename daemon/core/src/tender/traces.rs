//! What a terminal is known to have done: by it an old payment is told from a new one.

use alloc::borrow::ToOwned as _;
use alloc::collections::VecDeque;
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// More than a terminal's answer can be behind: it tells its last move or, where it tells of payments only, its last payment.
const SEEN_MAX: usize = 64;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traces {
    /// Trace number of the last payment or refund known; 0: none yet. None: never asked, or a person has worked at it since.
    pub last: Option<u32>,
    /// Known before, the latest last.
    seen: VecDeque<u32>,
    /// As it names itself.
    #[serde(default)]
    terminal: String,
    /// Another name it has answered under, until somebody says that it is in order.
    #[serde(default)]
    pub changed: Option<String>,
}

impl Traces {
    /// The first name it answers under is its own.
    pub(crate) fn named(&mut self, terminal: &str) {
        if self.terminal.is_empty() {
            terminal.clone_into(&mut self.terminal);
        }
    }

    /// It answers under another name than its own.
    pub(crate) fn is_stranger(&self, terminal: &str) -> bool {
        !terminal.is_empty() && !self.terminal.is_empty() && self.terminal != terminal
    }

    pub(crate) fn accepted(&mut self) {
        if let Some(terminal) = self.changed.take() {
            self.terminal = terminal;
        }
    }

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
