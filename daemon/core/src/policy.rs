//! What headquarters allows while nobody outside can be asked: rows of the signed dataset `policy`.
//!
//! A card terminal may approve by itself while its line to the bank is down. That money is a promise until the terminal has
//! handed it in, and how much of it a shop carries is headquarters' to say: without a policy in force, none. What a terminal has
//! approved stands, since the shopper has paid; the limits decide whether the next card is taken.

use crate::calendar;
use crate::device::{CardSlip, TerminalCommand, TerminalService};
use crate::event::Event;
use crate::page::Refused;
use crate::tender::TenderEvent;
use crate::turn::Turn;
use crate::words::{DeviceId, LocalMinute, Money, TenderId, Utc};
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// The row about cards.
pub const CARD_OFFLINE: &str = "card_offline";
/// The name under which a terminal is asked whether it reaches its bank again.
pub(crate) const LINE_TEST: &str = "line-test";
const HOUR_MS: i64 = 3_600_000;

/// One row of the dataset `policy`. Every limit of nothing allows nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    pub id: String,
    /// Not in force from this minute of the store's clock on.
    #[serde(with = "calendar::minute")]
    pub until: LocalMinute,
    /// The most one payment may be.
    #[serde(default)]
    pub per_sale: Money,
    /// Payments a terminal may hold.
    #[serde(default)]
    pub count: u32,
    /// What they may come to.
    #[serde(default)]
    pub total: Money,
    /// How old the oldest of them may be.
    #[serde(default)]
    pub hours: u32,
}

impl Policy {
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        if self.id != CARD_OFFLINE {
            return Err(alloc::format!("no policy of that name is known: {CARD_OFFLINE}"));
        }
        if self.per_sale < Money::ZERO || self.total < Money::ZERO {
            return Err("a limit is below zero".into());
        }
        Ok(())
    }

    /// Whether one more payment of `amount` may be approved by the terminal alone.
    #[must_use]
    pub fn allows(&self, held: &Exposure, amount: Money, now: Utc) -> bool {
        let age = held.since.map_or(0, |since| now.0.saturating_sub(since.0));
        amount <= self.per_sale
            && held.count < self.count
            && held.total.plus(amount) <= self.total
            && self.hours > 0
            && age < i64::from(self.hours).saturating_mul(HOUR_MS)
    }
}

/// What a terminal has approved by itself and not handed in; a fold of the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exposure {
    /// Its last answer came without the bank.
    pub offline: bool,
    pub count: u32,
    pub total: Money,
    /// The oldest of them.
    pub since: Option<Utc>,
}

impl Exposure {
    pub(crate) fn take(&mut self, utc: Utc, slip: &CardSlip, payment: bool) {
        self.offline = slip.offline;
        if slip.offline && payment {
            self.count = self.count.saturating_add(1);
            self.total = self.total.plus(slip.amount);
            self.since.get_or_insert(utc);
        }
    }
}

impl Turn<'_> {
    /// A terminal whose last answer came without the bank takes no more than headquarters allows.
    pub(crate) fn may_take_card(&mut self, device: &DeviceId, amount: Money) -> Result<(), Refused> {
        let Some(held) = self.facts.exposure.get(device).filter(|held| held.offline) else { return Ok(()) };
        let policy = self.catalog.policy(CARD_OFFLINE).filter(|policy| self.now.local() < policy.until);
        if policy.is_some_and(|policy| policy.allows(held, amount, self.now.utc)) {
            return Ok(());
        }
        // It may reach its bank again: whoever asks finds out.
        let service = TerminalService::Diagnosis;
        self.terminal(device.clone(), TerminalCommand::Service { tender: TenderId(LINE_TEST.into()), service });
        Err(Refused::CardOffline)
    }

    /// It reaches its bank again.
    pub(crate) fn terminal_online(&mut self, device: &DeviceId) {
        if self.facts.exposure.get(device).is_some_and(|held| held.offline) {
            let lane = self.config.lanes_of(device).first().copied();
            self.record(lane, Event::Tender(TenderEvent::TerminalOnline { device: device.clone() }));
        }
    }
}
